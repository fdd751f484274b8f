"""The report card of a training: before and after on rows it never saw, which it got wrong, whose labels are doubtful.

Knows a lesson and what came of it. Does not know models, jobs or the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from .. import __version__
from ..tasks.language import detect, usual
from ..tasks.metrics import score
from .adapter import Base
from .baseline import Before
from .evaluate import interval, mcnemar
from .lesson import Lesson, Taught
from .settings import LoraSettings
from .told import Outcome
from .train import hash_of

MOST_WRONG, MOST_SUSPECTED = 20, 50
MOST_DETECTED = 500
"""Rows whose language is looked at, from all over the table: it takes a millisecond each."""
LIBRARIES = ("torch", "transformers", "peft")
SUSPECT = 0.9
"""How sure a trained model must be of another label for that of the table to be suspected."""


def report_card(lesson: Lesson, taught: Taught, untouched: Before) -> dict[str, Any]:
    """How good it is on rows it never saw, fractions of 1, and what made it.

    `before` is the best that could be had untaught. `p`: how likely so large a difference is by luck. `worse`: rows
    that were right before and are wrong now. `interval`: where the true accuracy is, in 95 of 100 tests.
    """
    labels, truth = lesson.rows.classes, list(taught.test.labels)
    answers = taught.odds.argmax(-1).tolist()
    before, after = score(truth, untouched.answers, labels), score(truth, answers, labels)
    then = [answer == true for answer, true in zip(untouched.answers, truth, strict=True)]
    hits = [answer == true for answer, true in zip(answers, truth, strict=True)]
    return {
        "test_rows": len(truth),
        "train_rows": len(lesson.parts.train),
        "valid_rows": len(lesson.parts.valid),
        "labels": list(labels),
        "before": {"kind": untouched.kind, "answer": untouched.by, **_short(before)},
        "after": {**_short(after), "labels": {name: asdict(entry) for name, entry in after.labels.items()}},
        "interval": interval(sum(hits), len(hits)),
        "p": mcnemar(then, hits),
        "worse": sum(was and not now for was, now in zip(then, hits, strict=True)),
        "confusion": after.confusion,
        **what_made_it(lesson.base, lesson.settings, taught.outcome, lesson.rows.texts),
        "sha256": hash_of([lesson.rows.texts, lesson.rows.labels]),
    }


def what_made_it(base: Base, settings: LoraSettings, outcome: Outcome, texts: Sequence[str]) -> dict[str, Any]:
    """How a training went and what it cost, its settings, the base it stands on, and what language the texts are in."""
    every = -(-len(texts) // MOST_DETECTED)
    return {
        "steps": outcome.steps,
        "best_step": outcome.best_step,
        "early": outcome.early,
        **outcome.cost(),
        "settings": asdict(settings),
        "base": base.model.id,
        "revision": base.local.revision,
        "precision": base.precision.kind,
        "language": usual(map(detect, texts[::every])),
        "versions": {"llmapp": __version__, **{name: version(name) for name in LIBRARIES}},
    }


def tested(lesson: Lesson, taught: Taught, before: Before) -> list[dict[str, Any]]:
    """Every tested row: {"row", "text", "label", "before", "answer", "probability"}."""
    labels, rows = lesson.rows.classes, lesson.rows
    answers, sure = taught.odds.argmax(-1).tolist(), taught.odds.max(-1).tolist()
    return [
        {
            "row": rows.numbers[i],
            "text": rows.texts[i],
            "label": rows.labels[i],
            "before": labels[was],
            "answer": labels[now],
            "probability": probability,
        }
        for i, was, now, probability in zip(lesson.parts.test, before.answers, answers, sure, strict=True)
    ]


def suspected(lesson: Lesson, taught: Taught) -> list[dict[str, Any]]:
    """Rows whose label may be wrong, the surest first: the model is sure of another, though it may have learned this
    one: {"row", "text", "label", "answer", "probability"}.
    """
    labels, rows = lesson.rows.classes, lesson.rows
    odds = np.concatenate([taught.odds, taught.learned])
    places = [*lesson.parts.test, *lesson.doubted()]
    found = zip(places, odds.argmax(-1).tolist(), odds.max(-1).tolist(), strict=True)
    doubted = [(p, i, labels[j]) for i, j, p in found if labels[j] != rows.labels[i] and p >= SUSPECT]
    return [
        {"row": rows.numbers[i], "text": rows.texts[i], "label": rows.labels[i], "answer": said, "probability": p}
        for p, i, said in sorted(doubted, reverse=True)[:MOST_SUSPECTED]
    ]


def wrong_answers(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of the rows that `tested` gives those it got wrong, the surest first."""
    wrong = [row for row in rows if row["answer"] != row["label"]]
    return sorted(wrong, key=lambda row: -row["probability"])[:MOST_WRONG]


def _short(scores: Any) -> dict[str, float]:
    return {"accuracy": scores.accuracy, "macro_f1": scores.macro_f1}
