"""What is right before anybody taught the model: the untouched base, asked as well as it can be without examples.

Knows an engine, texts and labels. Does not know training, jobs or the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..backend.engine import Engine
from ..tasks.columns import guess_means
from ..tasks.sentiment import classify_each
from .evaluate import commonest
from .scarce import in_batches

How = Literal["commonest", "names", "shipped"]
BATCH = 64


@dataclass(frozen=True)
class Before:
    """Answers to the rows kept for the test, as positions of labels.

    `kind` says how they were found: always the commonest label of the rows to learn from (`by` is that label), by the
    names of the labels, or by an adapter that came with the app (`by` is its name).
    """

    kind: How
    answers: tuple[int, ...]
    by: str = ""


def usual(labels: Sequence[int], tested: int, names: Sequence[str]) -> Before:
    """Always the label that is commonest in `labels`."""
    answer = commonest(labels)
    return Before("commonest", (answer,) * tested, names[answer])


def by_names(engine: Engine, texts: Sequence[str], names: Sequence[str]) -> Before | None:
    """By how near a text is to each label's name. None where the names have no meaning, as numbers have not, or the
    model has labels of its own.
    """
    if engine.info.labels or engine.info.model.kind == "classifier" or not all(map(_has_letters, names)):
        return None
    return Before("names", tuple(names.index(label) for label in _judged(engine, texts, names)))


def by_shipped(engine: Engine, texts: Sequence[str], names: Sequence[str], adapter: str) -> Before | None:
    """By an adapter's own labels. None unless each of the labels means one of its, and no two the same."""
    means = {own: name for name, own in guess_means(names, engine.info.labels).items() if own}
    if len(means) != len(names) or len(means) != len(engine.info.labels):
        return None
    return Before("shipped", tuple(names.index(means[label]) for label in _judged(engine, texts, ())), adapter)


def _judged(engine: Engine, texts: Sequence[str], names: Sequence[str]) -> list[str]:
    """The label of each text, one of the model's own where no names are given."""
    found = list[str]()

    def judge(some: Sequence[str]) -> None:
        found.extend([each.label for each in classify_each(engine, some, names, batch=len(some), warn=False)])

    in_batches(texts, BATCH, judge)
    return found


def _has_letters(name: str) -> bool:
    return any(map(str.isalpha, name))


def best(found: Sequence[Before], truth: Sequence[int]) -> Before:
    """The one with most answers right, the first of equals: to be beaten by a training is the best there is."""
    return max(found, key=lambda each: sum(a == t for a, t in zip(each.answers, truth, strict=True)))
