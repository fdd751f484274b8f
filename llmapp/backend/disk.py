"""Room on the disk, its errors in words, and renames that outlast a power cut.

Does not know what is stored.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG

from ..errors import SourceError

MARGIN = 100_000_000  # bytes that stay free for everything else on this disk
FULL = (errno.ENOSPC, errno.EDQUOT)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder, also while somebody writes to it; 0 where there is none."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            found = path.lstat()
            total += found.st_size if S_ISREG(found.st_mode) else 0
    return total


def check_room(name: str, folder: Path, needed: int) -> None:
    """Raises SourceError when `needed` bytes, less what lies in `folder` already, do not fit."""
    needed = max(needed - size_of(folder), 0) + MARGIN
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SourceError("source_no_room", name=name, folder=folder, need_gb=needed / 1e9, free_gb=free / 1e9)


@contextmanager
def disk_errors(name: str, folder: Path) -> Iterator[None]:
    """Turns an OSError of the disk into a SourceError that says what to do."""
    try:
        yield
    except OSError as problem:
        if problem.errno in FULL:
            there = next(place for place in (folder, *folder.parents) if place.exists())
            free_gb = shutil.disk_usage(there).free / 1e9
            raise SourceError("source_disk_full", file=name, folder=folder, free_gb=free_gb) from problem
        raise SourceError("source_disk_problem", file=name, problem=str(problem)) from problem


def is_full(problem: Exception) -> bool:
    """True where a disk without room, or a quota, was the problem; safetensors says so in words alone."""
    if isinstance(problem, OSError):
        return problem.errno in FULL
    return type(problem).__name__ == "SafetensorError" and any(f"(os error {code})" in str(problem) for code in FULL)


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames in a folder outlast a power cut, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
