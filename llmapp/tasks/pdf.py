"""Text of PDF pages, read in a child process with bounds: a small file may unpack to hours and gigabytes.

`python -m llmapp.tasks.pdf FILE PAGES` prints one JSON line a page, or one with the code of what is wrong.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import BadInput, TooLong

READ_S = 120
"""A page takes 10 to 100 ms; a book of a thousand pages has to come through."""
MAX_PAGES = 5000
MAX_CHARS = 5_000_000
MAX_MEMORY = 2_000_000_000
"""Address space of the child in bytes; pypdf itself takes some 200 MB of it."""


def read_pages(path: Path, name: str) -> list[str]:
    """Text of each page of a file that people call `name`.

    Raises BadInput for an encrypted or broken one, TooLong for one beyond bounds.
    """
    command = [sys.executable, "-m", "llmapp.tasks.pdf", str(path.absolute()), str(MAX_PAGES)]
    root = Path(__file__).parents[2]
    try:
        child = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=READ_S, check=True, cwd=root
        )
    except subprocess.TimeoutExpired:
        raise TooLong("document_too_slow", file=name, seconds=READ_S) from None
    except subprocess.CalledProcessError as problem:
        raise BadInput("document_broken", file=name) from problem
    items = [json.loads(line) for line in child.stdout.splitlines()]
    pages = [item["page"] for item in items if "page" in item]
    trouble = next((item["trouble"] for item in items if "trouble" in item), "")
    if trouble in ("document_bomb", "document_too_long"):
        raise TooLong(trouble, file=name, pages=MAX_PAGES, chars=MAX_CHARS)
    if trouble or not pages:
        raise BadInput(trouble or "document_broken", file=name)
    return pages


def _read(path: Path, most_pages: int) -> Iterator[dict[str, str]]:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError, PyPdfError

    try:
        reader = PdfReader(path)
        # Many files are encrypted with an empty password, only to forbid printing.
        if reader.is_encrypted and not reader.decrypt(""):
            yield {"trouble": "document_encrypted"}
            return
        chars = 0
        for number, page in enumerate(reader.pages):
            text = page.extract_text()
            chars += len(text)
            if number >= most_pages or chars > MAX_CHARS:
                yield {"trouble": "document_too_long"}
                return
            yield {"page": text}
    except (DependencyError, FileNotDecryptedError):
        yield {"trouble": "document_encrypted"}
    except (LimitReachedError, MemoryError):
        yield {"trouble": "document_bomb"}
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError, RecursionError):
        # What pypdf raises on broken files is not of one family.
        yield {"trouble": "document_broken"}


def _main(path: Path, most_pages: int) -> None:
    with suppress(ImportError):  # Windows has no such limits.
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    for item in _read(path, most_pages):
        print(json.dumps(item))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]))
