"""Files a person gives, as text: encodings found and said, what is read of each format, and what fits into a message.

Knows neither models nor the page: how many tokens a text has, the caller's `count` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import BadInput, TooLong
from ..messages import Message, message
from .pdf import read_pages
from .tables import workbook_text

Kind = Literal["txt", "md", "html", "pdf", "docx", "srt", "vtt", "csv", "tsv", "xlsx"]
KINDS: dict[str, Kind] = {
    ".txt": "txt",
    ".text": "txt",
    ".md": "md",
    ".markdown": "md",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".srt": "srt",
    ".vtt": "vtt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".xlsx": "xlsx",
    ".xls": "xlsx",
    ".ods": "xlsx",
}
"""What can be read, by the end of a file's name."""

UNSPACED = "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3040-\\u30ff\\u3400-\\u9fff\\uf900-\\ufaff"
"""Characters of scripts written without spaces, for a class in a pattern."""

WORD = f"(?:[{UNSPACED}]|[^\\s{UNSPACED}]+)"
"""Pattern of a stretch between white space, or of one character of a script written without it."""

_WORD = re.compile(WORD)
PDF_MAGIC = b"%PDF-"
"""Stands in the first 1,024 bytes; programs put things before it (ISO 32000-1, annex H, note 13)."""


@dataclass(frozen=True)
class Document:
    """A file as text, line ends as \\n: Markdown and CSV as they stand, of all others what a person reads.

    `encoding` is what it was in, empty where the format says it itself; `pages` is 0 but for a PDF.

    `blank` numbers the PDF pages on which no text was found, `broken` counts characters shown as U+FFFD.
    """

    text: str
    name: str
    kind: Kind
    encoding: str = ""
    pages: int = 0
    blank: Sequence[int] = ()
    broken: int = 0

    @property
    def words(self) -> int:
        """As `count_words` counts."""
        return count_words(self.text)

    @property
    def plain(self) -> str:
        """What a person reads: without the marks of Markdown."""
        if self.kind != "md":
            return self.text
        from .formats.markdown import plain

        return plain(self.text)

    @property
    def notes(self) -> tuple[Message, ...]:
        """What a person must know about the reading; empty when all is there."""
        notes = []
        if self.blank:
            shown = ", ".join(map(str, self.blank[:20])) + ("…" if len(self.blank) > 20 else "")
            values = {"file": self.name, "count": len(self.blank), "pages": self.pages, "numbers": shown}
            notes.append(Message("documents.blank_pages", values))
        if self.broken:
            notes.append(message("documents.broken_characters", file=self.name, count=self.broken))
        return tuple(notes)


@dataclass(frozen=True)
class Part:
    """How much of one document was put into the message, in words."""

    name: str
    words: int
    total: int


@dataclass(frozen=True)
class Coverage:
    """What of the documents is in the message."""

    parts: tuple[Part, ...]

    @property
    def complete(self) -> bool:
        """True when nothing was left out."""
        return all(part.words == part.total for part in self.parts)

    @property
    def message(self) -> Message | None:
        """`Read 3,100 of 9,800 words of ...`; None when nothing was left out."""
        short = [part for part in self.parts if part.words < part.total]
        if not short:
            return None
        return message(
            "documents.partly_read",
            files=", ".join(part.name for part in short),
            words=sum(part.words for part in short),
            total=sum(part.total for part in short),
        )


def kind_of(name: str) -> Kind | None:
    """What kind of file it is by the end of its name; None for one that is not read here."""
    return KINDS.get(Path(name).suffix.lower())


def read_document(path: Path, limit_mb: float, name: str = "") -> Document:
    """Read a file of one of the `KINDS`; `name` is what the person calls it, where the path says something else.

    Raises TooLong for a file over `limit_mb` (10^6 bytes) or one that unpacks beyond bounds; BadInput for
    an unknown kind, an empty or binary file, an encoding that is not known, one that is encrypted, damaged,
    or only pictures.
    """
    name = name or path.name
    kind = kind_of(name)
    if kind is None:
        raise BadInput("document_kind", file=name, kinds=", ".join(KINDS))
    size_mb = path.stat().st_size / 1e6
    if size_mb > limit_mb:
        raise TooLong("document_too_big", file=name, size=size_mb, limit=limit_mb)
    with path.open("rb") as file:
        start = file.read(1024)
    if kind == "pdf" or PDF_MAGIC in start:
        return _pdf(path, name)
    document = _office(path, kind, name) if kind in ("docx", "xlsx") else _text(path, kind, name)
    if not document.text.strip():
        raise BadInput("document_empty", file=name)
    return document


def _text(path: Path, kind: Kind, name: str) -> Document:
    from .formats.opening import decoded_as, text_layout

    found = decoded_as(path, kind, name)
    if kind in ("html", "srt", "vtt"):
        text = text_layout(found, kind, name).text()
    else:
        text = found.text.replace("\r\n", "\n").replace("\r", "\n")
    return Document(text, name, kind, found.encoding, broken=found.broken)


def _office(path: Path, kind: Kind, name: str) -> Document:
    if kind == "xlsx":
        return Document(workbook_text(path, name), name, kind)
    from .formats.word import pictures, word_layout

    text = word_layout(path, name).text()
    if not text.strip() and pictures(path):
        raise BadInput("document_pictures", file=name, pictures=pictures(path))
    return Document(text, name, kind)


def attach_text(
    text: str, documents: Sequence[Document], budget_tokens: int, count: Callable[[str], int]
) -> tuple[str, Coverage]:
    """The documents before the message, each as much of its beginning as fits; what does not fit is said.

    All of what is returned stays within `budget_tokens` by `count`. Short documents stay whole, long ones
    share the rest evenly. Raises TooLong when not even some words of each fit.
    """
    totals = [count_words(document.text) for document in documents]
    nothing = [Part(document.name, 0, total) for document, total in zip(documents, totals, strict=True)]
    frames = "".join(_framed(document, "", part) for document, part in zip(documents, nothing, strict=True))
    pieces = _shared([document.text for document in documents], budget_tokens - count(frames + text), count)
    while True:
        parts = tuple(map(_part, documents, pieces, totals))
        whole = "".join(map(_framed, documents, pieces, parts)) + text
        over = count(whole) - budget_tokens
        if any(part.words == 0 < part.total for part in parts) or (over > 0 and not any(pieces)):
            files = ", ".join(document.name for document in documents)
            raise TooLong("documents_no_room", files=files, budget=max(0, budget_tokens))
        if over <= 0:
            return whole, Coverage(parts)
        # Joints between pieces can cost a token more than their sum.
        longest = max(range(len(pieces)), key=lambda index: len(pieces[index]))
        pieces[longest] = _beginning(pieces[longest], count(pieces[longest]) - over, count)


def count_words(text: str) -> int:
    """Stretches between white space, and each character of a script written without it as one."""
    return len(_WORD.findall(text))


def _pdf(path: Path, name: str) -> Document:
    pages = read_pages(path, name)
    blank = tuple(number for number, page in enumerate(pages, start=1) if not page.strip())
    if len(blank) == len(pages):
        raise BadInput("document_scanned", file=name, pages=len(pages))
    text = "\n\n".join(page.strip() for page in pages if page.strip())
    return Document(text, name, "pdf", pages=len(pages), blank=blank)


def _part(document: Document, piece: str, total: int) -> Part:
    # A word that was cut counts as one that was read, so the number alone does not tell.
    whole = piece.rstrip() == document.text.rstrip()
    return Part(document.name, total if whole else min(count_words(piece), total - 1), total)


def _framed(document: Document, piece: str, part: Part) -> str:
    name = document.name.replace('"', "'").replace("\n", " ")
    cut = "" if part.words == part.total else f' part="the first {part.words} of {part.total} words"'
    inside = piece.replace("</document", "<\\/document")
    return f'<document name="{name}"{cut}>\n{inside}\n</document>\n\n'


def _shared(texts: Sequence[str], room: int, count: Callable[[str], int]) -> list[str]:
    """The beginning of each text, shortest first, so that what short ones leave goes to the long ones."""
    pieces = [""] * len(texts)
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    for served, index in enumerate(order):
        pieces[index] = _beginning(texts[index], room // (len(texts) - served), count)
        room -= count(pieces[index])
    return pieces


def _beginning(text: str, room: int, count: Callable[[str], int]) -> str:
    """The longest beginning of at most `room` tokens, cut at a good place; counts little more than that."""
    low, high = 0, max(room, 0)
    while low < high < len(text) and count(text[:high]) <= room:
        low, high = high, 2 * high
    high = min(high, len(text))
    if high == len(text) and count(text) <= room:
        return text
    while high - low > 1 + low // 200:
        middle = (low + high) // 2
        low, high = (middle, high) if count(text[:middle]) <= room else (low, middle)
    return _cut_well(text[:low], text[low : low + 1])


def _cut_well(piece: str, following: str) -> str:
    """Without the broken end: back to the last paragraph, sentence or word that ends in the last tenth."""
    for end in ("\n\n", "\n", "。", "！", "？", ". ", "! ", "? ", "，", "、", " "):
        place = (piece + following).rfind(end, len(piece) * 9 // 10)
        if place > 0:
            return piece[: place + len(end)].rstrip()
    return piece
