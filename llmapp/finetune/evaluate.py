"""How good a classifier is on rows it never saw, and whether that could be luck. Numbers in, numbers out.

Knows counts of right and wrong answers. Does not know models, texts or the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt

CERTAINTY = 1.96
"""Standard errors of a 95 % interval."""


@dataclass(frozen=True)
class LabelScore:
    """How well one label is found: of what was called so, what is (precision); of what is so, what was (recall)."""

    precision: float
    recall: float
    f1: float
    rows: int


@dataclass(frozen=True)
class Scores:
    """Fractions of 1. `confusion[true][answer]` counts rows, labels in the order given."""

    accuracy: float
    macro_f1: float
    labels: dict[str, LabelScore]
    confusion: list[list[int]]


def score(truth: Sequence[int], answers: Sequence[int], labels: Sequence[str]) -> Scores:
    """Compare answers with the truth, both positions in `labels`. A label in neither counts as F1 0."""
    size = range(len(labels))
    pairs = Counter(zip(truth, answers, strict=True))
    confusion = [[pairs[t, a] for a in size] for t in size]
    by_label = {}
    for i, name in enumerate(labels):
        hit, is_so, said_so = confusion[i][i], sum(confusion[i]), sum(row[i] for row in confusion)
        by_label[name] = LabelScore(
            precision=hit / said_so if said_so else 0.0,
            recall=hit / is_so if is_so else 0.0,
            f1=2 * hit / (is_so + said_so) if is_so + said_so else 0.0,
            rows=is_so,
        )
    right = sum(confusion[i][i] for i in size)
    macro = sum(entry.f1 for entry in by_label.values()) / len(labels)
    return Scores(right / len(truth), macro, by_label, confusion)


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
