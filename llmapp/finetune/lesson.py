"""What shall be learned, and what came of it. Data that training and reports share; knows no jobs and no page."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.engine import Turn
from .adapter import Base
from .baseline import Before, usual
from .batching import Encoded
from .dataset import Rows, Split
from .pairs import Pairs
from .settings import LoraSettings
from .told import Outcome

MOST_ASKED = 200
"""Rows of the test that are answered, drawn by the seed; the rest of a large table's would take hours."""
MOST_DOUBTED = 5000
"""Rows to learn from that are asked about again after it."""


@dataclass(frozen=True)
class Lesson:
    """What shall be learned, on what, how."""

    rows: Rows
    parts: Split
    base: Base
    steps: int
    settings: LoraSettings = field(default_factory=LoraSettings)

    def doubted(self) -> Sequence[int]:
        """Rows to learn from whose labels are doubted after it; of very many those that stand evenly among them."""
        return self.parts.train[:: -(-len(self.parts.train) // MOST_DOUBTED)]

    def usual(self) -> Before:
        """Always the commonest label of the rows to learn from, for each row of the test."""
        truth = self.rows.truth
        return usual([truth[i] for i in self.parts.train], len(self.parts.test), self.rows.classes)


@dataclass(frozen=True)
class Taught:
    """A trained model, and its answers: probabilities of shape (rows, labels), to the rows kept for the test (`odds`)
    and to `Lesson.doubted` (`learned`).
    """

    model: Any
    outcome: Outcome
    test: Encoded
    odds: NDArray[np.float64]
    learned: NDArray[np.float64]


@dataclass(frozen=True)
class WritingLesson:
    """What shall be learned, on what, how. `tested` are the rows of the test that are answered."""

    pairs: Pairs
    parts: Split
    base: Base
    settings: LoraSettings
    effort: str
    tested: Sequence[int]
    prompts: Sequence[str] = ()

    def questions(self) -> list[tuple[Turn, ...]]:
        """What is asked in the rows that are tested."""
        return [self.pairs.asked(self.base.model, i) for i in self.tested]


@dataclass(frozen=True)
class Written:
    """What a training came to: losses of the tested rows' answers, before and after, in nats a token.

    `asked_as`: how the model is asked, the text being `export.TEXT`, as {"turns", "end"}.
    """

    outcome: Outcome
    left_out: int
    losses: tuple[float, float]
    asked_as: Mapping[str, Any]


def drawn(positions: Sequence[int], most: int, seed: int) -> Sequence[int]:
    """At most so many of them, drawn by the seed, in order."""
    if len(positions) <= most:
        return tuple(positions)
    return tuple(sorted(random.Random(seed).sample(list(positions), most)))  # noqa: S311  no secret
