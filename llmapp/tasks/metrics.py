"""How well answers agree with the truth. Numbers in, numbers out; knows no models, texts or page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


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
