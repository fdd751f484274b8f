"""The report card of what learned to write: likeness to the answers of the table before and after, and each answer.

Knows texts and numbers. Does not know models, jobs or the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..tasks.bleu import likeness, row_likeness
from .evaluate import mcnemar
from .lesson import WritingLesson, Written
from .objective import perplexity
from .pairs import Pairs
from .report import what_made_it
from .train import hash_of

Row = Mapping[str, Any]


def answered(pairs: Pairs, tested: Sequence[int], before: Sequence[str], after: Sequence[str]) -> list[dict[str, Any]]:
    """Every tested row: {"row", "text", "label", "before", "answer", "likeness_before", "likeness"}, chrF 0 to 100."""
    wanted = [pairs.answers[i] for i in tested]
    sides = zip(tested, before, after, row_likeness(before, wanted), row_likeness(after, wanted), strict=True)
    return [
        {
            "row": pairs.numbers[i],
            "text": pairs.shown(i),
            "label": pairs.answers[i],
            "before": was,
            "answer": now,
            "likeness_before": round(first, 1),
            "likeness": round(second, 1),
        }
        for i, was, now, first, second in sides
    ]


def writing_card(lesson: WritingLesson, written: Written, rows: Sequence[Row]) -> dict[str, Any]:
    """How near it comes on rows it never saw, and what made it.

    `chrf` is 0 to 100 over all rows, `exact` the fraction of answers that are the table's word for word, blanks apart;
    `p`, `p_exact`: how likely so large a difference is by luck; `worse`: rows whose answer is less like the table's.
    """
    wanted, before, after = ([str(row[name]) for row in rows] for name in ("label", "before", "answer"))
    alike = likeness(before, after, wanted)
    exact = [[_same(a, b) for a, b in zip(side, wanted, strict=True)] for side in (before, after)]
    first, last = (perplexity(loss) for loss in written.losses)
    pairs = lesson.pairs
    return {
        "test_rows": len(rows),
        "train_rows": len(lesson.parts.train),
        "valid_rows": len(lesson.parts.valid),
        "left_out": written.left_out,
        "before": {"chrf": alike.before, "exact": sum(exact[0]) / len(rows), "perplexity": first},
        "after": {"chrf": alike.after, "exact": sum(exact[1]) / len(rows), "perplexity": last},
        "p": alike.p,
        "p_exact": mcnemar(*exact),
        "worse": sum(row["likeness"] < row["likeness_before"] for row in rows),
        "unchanged": before == after,
        "asked_as": dict(written.asked_as),
        **what_made_it(lesson.base, lesson.settings, written.outcome, pairs.answers),
        "system": pairs.system,
        "sha256": hash_of([part for part in (pairs.inputs, pairs.answers, pairs.systems, pairs.histories) if part]),
    }


def _same(one: str, other: str) -> bool:
    return one.split() == other.split()
