"""Whether what a classifier gets right on rows it never saw could be luck. Numbers in, numbers out.

Knows counts of right and wrong answers; scores are in `tasks.metrics`. Does not know models, texts or the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import comb, sqrt

CERTAINTY = 1.96
"""Standard errors of a 95 % interval."""


def commonest(labels: Sequence[int]) -> int:
    """The label that stands most often; the first of equals."""
    return max(sorted(set(labels)), key=Counter(labels).__getitem__)


def mcnemar(before: Sequence[bool], after: Sequence[bool]) -> float:
    """How likely a difference this large is by luck, two-sided: McNemar's exact test on rows right before and after.

    Only rows where the two differ count: each is a toss of a fair coin if neither is better.
    """
    gained = sum(a and not b for b, a in zip(before, after, strict=True))
    lost = sum(b and not a for b, a in zip(before, after, strict=True))
    tosses = gained + lost
    tail = sum(comb(tosses, k) for k in range(min(gained, lost) + 1))
    return min(1.0, float(2 * tail / (1 << tosses)))


def interval(right: int, rows: int) -> tuple[float, float]:
    """Where the true accuracy is, in 95 of 100 such tests: Wilson's interval (Wilson 1927), good for few rows too."""
    share, z = right / rows, CERTAINTY
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    spread = z * sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return max(0.0, middle - spread), min(1.0, middle + spread)
