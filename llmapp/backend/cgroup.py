"""What a container lets this process have: the memory limit of its control group, and what of it is free.

Reads the kernel's files, version 1 and 2. Does not know what the memory is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")

NO_LIMIT = 2**60
"""Version 1 writes "no limit" as the largest multiple of the page size below 2**63; no machine has an exabyte."""


@dataclass(frozen=True)
class Room:
    """Bytes a control group may use, and bytes of these that are free. Page cache counts as free."""

    limit: int
    free: int


@dataclass(frozen=True)
class _Version:
    """Names of the files of one version, and of the fields of memory.stat that the kernel can take back."""

    controller: str
    limit: str
    usage: str
    reclaimable: tuple[str, ...]


V1 = _Version(
    "memory",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    ("total_inactive_file", "total_active_file"),
)
V2 = _Version("", "memory.max", "memory.current", ("inactive_file", "active_file", "slab_reclaimable"))


def room(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Room | None:
    """The tightest limit among this process's group and the groups around it; None where there is none.

    Formula: free = limit - usage + reclaimable, as in the kernel's admin-guide/cgroup-v2 (memory.stat).
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    rooms = [found for line in lines for found in _rooms(root, line)]
    return min(rooms, key=lambda each: each.free, default=None)


def _rooms(root: Path, line: str) -> Iterator[Room]:
    """Limits along one line of /proc/self/cgroup, `hierarchy:controllers:path`."""
    _, controllers, path = line.split(":", 2)
    if controllers == "":
        version, top = V2, root
    elif "memory" in controllers.split(","):
        version, top = V1, root / V1.controller
    else:
        return
    group = top / path.lstrip("/")
    # In a container the path may be the host's and not be there; the mount's top is then the container's group.
    for folder in (group, *group.parents):
        found = _room_of(folder, version)
        if found is not None:
            yield found
        if folder == top:
            return


def _room_of(folder: Path, version: _Version) -> Room | None:
    try:
        limit_text = (folder / version.limit).read_text().strip()
        usage = int((folder / version.usage).read_text())
        stat = _stat((folder / "memory.stat").read_text())
    except (OSError, ValueError):
        return None
    if limit_text == "max" or int(limit_text) >= NO_LIMIT:
        return None
    cache = sum(stat.get(name, 0) for name in version.reclaimable)
    limit = int(limit_text)
    return Room(limit, max(0, limit - max(0, usage - cache)))


def _stat(text: str) -> Mapping[str, int]:
    return {name: int(value) for name, value in (line.split() for line in text.splitlines())}
