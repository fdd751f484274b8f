"""What somebody has begun and not finished, as a training not started: kept for their next visit, with its file.

One folder for each owner and kind, written aside and renamed. Does not know what is in it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .job import write_json

VALUES, FILE = "values.json", "file"
KEPT_DAYS = 30
_KIND = re.compile(r"[\w-]+")


@dataclass(frozen=True)
class Draft:
    """What was filled in, as JSON has it, and the file under the name it had; None where there is none."""

    values: Mapping[str, Any]
    file: Path | None


class Drafts:
    """The drafts under one root; one of a kind for each owner, of which the last counts.

    Pages keep theirs at the same time: of two that are of one owner, each is whole.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._lock = root, threading.Lock()

    def keep(self, owner: str, kind: str, values: Mapping[str, Any]) -> None:
        """Keep what is filled in; the file stays as it was."""
        with self._lock:
            write_json(self._folder(owner, kind) / VALUES, values)

    def keep_file(self, owner: str, kind: str, path: Path | None) -> None:
        """Keep a copy of the file, or none."""
        with self._lock:
            self._keep_file(owner, kind, path)

    def _keep_file(self, owner: str, kind: str, path: Path | None) -> None:
        folder = self._folder(owner, kind)
        old, new = folder / FILE, folder / "new"
        shutil.rmtree(new, ignore_errors=True)
        if path:
            new.mkdir()
            shutil.copyfile(path, new / path.name)
        shutil.rmtree(old, ignore_errors=True)
        if path:
            new.rename(old)

    def read(self, owner: str, kind: str) -> Draft | None:
        """What was kept; None where nothing was, or nothing that can be read."""
        folder = self._place(owner, kind)
        try:
            values = json.loads((folder / VALUES).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return Draft(values, next((folder / FILE).glob("*"), None)) if isinstance(values, dict) else None

    def delete(self, owner: str, kind: str) -> None:
        """Forget one."""
        with self._lock:
            shutil.rmtree(self._place(owner, kind), ignore_errors=True)

    def delete_all(self, owner: str) -> None:
        """Forget all of an owner."""
        with self._lock:
            shutil.rmtree(self._home(owner), ignore_errors=True)

    def sweep(self) -> None:
        """Forget those of owners who have not touched any for `KEPT_DAYS`."""
        with self._lock:
            for home in self._root.glob("*"):
                touched = max((path.stat().st_mtime for path in home.glob(f"*/{VALUES}")), default=0.0)
                if touched < time.time() - 86_400 * KEPT_DAYS:
                    shutil.rmtree(home, ignore_errors=True)

    def _place(self, owner: str, kind: str) -> Path:
        if not _KIND.fullmatch(kind):
            raise ValueError(f"no kind of draft: {kind!r}")
        return self._home(owner) / kind

    def _home(self, owner: str) -> Path:
        return self._root / hashlib.sha256(owner.encode()).hexdigest()[:32]

    def _folder(self, owner: str, kind: str) -> Path:
        folder = self._place(owner, kind)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
