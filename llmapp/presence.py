"""Which processes that share a data folder are alive, told by locks that the system frees when one dies.

Knows nothing of what they do. A process id would not do: ids are used again, and each container starts at 1.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from filelock import FileLock, Timeout

APPEAR_S = 5.0
"""How long to try for one's own lock, which another's `sweep` may be holding for a moment."""


class Presence:
    """This process's mark, random, and whether those of others are still held."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder
        self._kind = kind
        self.mark = secrets.token_hex(8)
        self._lock = FileLock(self._path(self.mark), timeout=APPEAR_S, thread_local=False)
        self._lock.acquire()

    def alive(self, mark: str) -> bool:
        """True while the process with this mark runs, for one's own too."""
        if not self._path(mark).exists():
            return False
        try:
            with FileLock(self._path(mark), timeout=0):
                return False
        except Timeout:
            return True

    def sweep(self) -> None:
        """Delete the lock files of processes that are gone."""
        for path in self._folder.glob(f"{self._kind}-*.lock"):
            try:
                with FileLock(path, timeout=0):
                    path.unlink(missing_ok=True)
            except Timeout:
                continue

    def _path(self, mark: str) -> Path:
        return self._folder / f"{self._kind}-{mark}.lock"
