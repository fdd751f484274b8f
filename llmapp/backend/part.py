"""A file on its way: the bytes that have arrived (`NAME.part`) and what they are of (`NAME.part.json`).

It can be killed at any moment and gone on with; it becomes `NAME` in one rename, after its check.
Does not know where bytes come from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .disk import sync_folder

CHUNK = 1 << 18


class Cut(Exception):
    """Something that may work when tried again."""


class Damaged(Exception):
    """These are not the right bytes, and more of them will not help."""


@dataclass(frozen=True)
class Remote:
    """What to fetch. `digest`: `sha256:<hex>`, `git:<hex>` (a git blob's sha1), or empty where unknown."""

    url: str
    name: str
    size: int | None = None
    digest: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Head:
    """Where a server starts sending, how much there is in all, and the name it has for this content."""

    start: int
    total: int | None
    etag: str


class Part:
    """What has arrived of `remote`; it will be `target`. `total` is None until it is known."""

    def __init__(self, target: Path, remote: Remote) -> None:
        self._target, self._remote = target, remote
        self._path = target.with_name(target.name + ".part")
        self._facts_path = target.with_name(target.name + ".part.json")
        self._facts = self._read_facts()
        self.total: int | None = remote.size if remote.size is not None else self._facts.get("total")
        if not self._same_content() or (self.total is not None and self._on_disk() > self.total):
            self.discard()
        self._file = self._path.open("ab")
        self.size = self._on_disk()
        self._hash = self._hash_so_far()

    @property
    def complete(self) -> bool:
        """All bytes are here."""
        return self.total is not None and self.size == self.total

    def ask(self) -> dict[str, str]:
        """Headers that ask for the rest, if the content is still the same."""
        if not self.size:
            return {}
        etag = self._facts.get("etag", "")
        return {"Range": f"bytes={self.size}-", **({"If-Range": etag} if etag else {})}

    def start(self, head: Head) -> int:
        """Get ready for what the server sends; returns how many bytes had to be given up for it."""
        lost = 0
        if head.start != self.size:
            lost = self.size
            self._file.truncate(0)
            self.size, self._hash = 0, self._new_hash()
            if head.start:
                raise Cut("the server sent another part than was asked for")
        if self.total is not None and head.total not in (None, self.total):
            raise Damaged
        self.total = head.total if self.total is None else self.total
        self._facts = {"etag": head.etag, "digest": self._remote.digest, "url": self._remote.url}
        self._facts_path.write_text(json.dumps({**self._facts, "total": self.total}), encoding="utf-8")
        return lost

    def write(self, piece: bytes) -> None:
        """Append what arrived."""
        if self.total is not None and self.size + len(piece) > self.total:
            raise Damaged
        self._file.write(piece)
        self._hash.update(piece)
        self.size += len(piece)

    def end(self) -> None:
        """The server has sent all it wanted to."""
        if self.total is None:
            self.total = self.size
        if not self.complete:
            raise Cut("the connection ended early")

    def publish(self) -> None:
        """Check, sync and rename: from now on it is `target`."""
        if self._remote.digest and self._hash.hexdigest() != self._remote.digest.partition(":")[2]:
            raise Damaged
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._path.replace(self._target)
        self._facts_path.unlink(missing_ok=True)
        sync_folder(self._target.parent)

    def discard(self) -> None:
        """Forget everything."""
        self._path.unlink(missing_ok=True)
        self._facts_path.unlink(missing_ok=True)
        self._facts = {}

    def close(self) -> None:
        """Keep what there is for the next attempt."""
        self._file.close()

    def _same_content(self) -> bool:
        if self._remote.digest:
            return bool(self._facts.get("digest") == self._remote.digest)
        return bool(self._facts.get("etag")) and self._facts.get("url") == self._remote.url

    def _read_facts(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._facts_path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def _on_disk(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def _new_hash(self) -> Any:
        if self._remote.digest.startswith("git:"):
            return hashlib.sha1(f"blob {self._remote.size}\0".encode(), usedforsecurity=False)
        return hashlib.sha256()

    def _hash_so_far(self) -> Any:
        running = self._new_hash()
        with self._path.open("rb") as file:
            while piece := file.read(CHUNK):
                running.update(piece)
        return running
