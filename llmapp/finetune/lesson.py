"""What shall be learned, and what came of it. Data that training and reports share; knows no jobs and no page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .adapter import Base
from .baseline import Before, usual
from .batching import Encoded
from .dataset import Rows, Split
from .settings import LoraSettings
from .train import Outcome

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
