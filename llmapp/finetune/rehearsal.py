"""A few steps before the long run, on real rows: how long it will take, and how much memory the longest rows need.

Knows costs, seconds and bytes. Does not know models, losses or rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

APART = 1.2
"""How much more the costliest step must cost than the middle one for a slope to be drawn through both."""
STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
FORGET_PEAK = "5"
"""What Linux takes as "the peak is what is held now" (proc_pid_clear_refs(5))."""


@dataclass(frozen=True)
class Rehearsal:
    """What was reckoned: `seconds` of the whole training, this rehearsal included, and `peak_bytes` of memory.

    `free_bytes` were free beside what was held; 0 where nobody asked. What was lowered to fit into them: a batch is
    taken in `parts`; `recomputing`: what a step would keep is computed twice; `rows` were longer than `tokens`, the
    longest since (0: as it was).
    """

    seconds: float
    peak_bytes: int
    free_bytes: int = 0
    parts: int = 1
    recomputing: bool = False
    tokens: int = 0
    rows: int = 0


def seconds_of(costs: Sequence[int], timed: Callable[[int], float]) -> float:
    """Seconds of all steps, from timing three: `costs` are their sizes, `timed(i)` makes the step number `i`.

    The middle one is made twice, since the first of all is slower; then the costliest, which shows the most memory too.
    A step takes a fixed time and one that grows with its size.
    """
    order = sorted(range(len(costs)), key=costs.__getitem__)
    middle, last = order[len(order) // 2], order[-1]
    timed(middle)
    usual, most = timed(middle), timed(last)
    if costs[last] < APART * costs[middle]:
        return usual * sum(costs) / costs[middle]
    slope = min(max(0.0, (most - usual) / (costs[last] - costs[middle])), usual / costs[middle])
    return sum(usual + slope * (cost - costs[middle]) for cost in costs)


def peak_bytes() -> int:
    """The most memory that this process has held: of the card where it computes on one, else of the machine.

    Since `forget_peak` where that can be forgotten: on Linux and on cards.
    """
    cuda = _cuda()
    if cuda is not None:
        return int(cuda.max_memory_allocated())
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":  # its ru_maxrss begins with what the process had that started this one
        with suppress(OSError, StopIteration):
            lines = STATUS.read_text(encoding="ascii").splitlines()
            return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    import resource

    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else 1024 * held


def forget_peak() -> None:
    """From now on the peak is what is held now; where that can not be, it stays."""
    cuda = _cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        with suppress(OSError):
            FORGET.write_text(FORGET_PEAK, encoding="ascii")


def held_bytes() -> int:
    """What this process holds now, there where `peak_bytes` looks."""
    cuda = _cuda()
    return int(cuda.memory_allocated() if cuda is not None else psutil.Process().memory_info().rss)


def _cuda() -> Any:
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
