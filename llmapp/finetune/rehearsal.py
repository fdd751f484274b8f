"""A few steps before the long run, on real rows: how long it will take, and how much memory the longest rows need.

Knows costs, seconds and bytes. Does not know models, losses or rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

APART = 1.2
"""How much more the costliest step must cost than the middle one for a slope to be drawn through both."""


@dataclass(frozen=True)
class Rehearsal:
    """What was reckoned: `seconds` of the whole training, this rehearsal included, and `peak_bytes` of memory."""

    seconds: float
    peak_bytes: int


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
    """The most memory that this process has held: of the card where it computes on one, else of the machine."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else 1024 * held
