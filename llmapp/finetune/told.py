"""What a training tells: a step, a look, that memory ran out, that its numbers broke down, and how it ended.

Values only. Does not know who makes them or who listens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .rehearsal import Rehearsal


@dataclass(frozen=True)
class Step:
    """One step was made: its loss, and the rows it saw."""

    step: int
    steps: int
    loss: float
    rows: int


@dataclass(frozen=True)
class Look:
    """The rows kept for choosing were scored, as `objective.Seen` has it; `best` when no earlier state was as good."""

    step: int
    loss: float
    scores: Mapping[str, float]
    rank: Sequence[float]
    best: bool
    samples: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Halved:
    """Memory ran out: from now on a step takes at most so many `rows` at once, and adds up what they teach."""

    rows: int


@dataclass(frozen=True)
class Broke:
    """At `step` loss or gradients were no longer numbers: it ends with the state of step `kept`. `rate`: the learning
    rate that it had.
    """

    step: int
    kept: int
    rate: float


@dataclass(frozen=True)
class Outcome:
    """How a training ended, its best state in the model. `finished` is False when it was told to stop.

    `best` are the scores of that state on the rows kept for choosing. `seconds` counts all its sittings, less what a
    crash took back; `peak_bytes` is the most memory it held in any.
    """

    steps: int
    best_step: int
    best: Mapping[str, float]
    seconds: float
    finished: bool
    early: bool
    rehearsal: Rehearsal | None = None
    peak_bytes: int = 0

    def cost(self) -> dict[str, Any]:
        """Minutes and memory, as reckoned before and as it was: {"minutes", "peak_mb", "estimate": {...}}."""
        told = self.rehearsal
        reckoned = {"minutes": round(told.seconds / 60, 2), "peak_mb": told.peak_bytes // 10**6} if told else None
        return {"minutes": round(self.seconds / 60, 2), "peak_mb": self.peak_bytes // 10**6, "estimate": reckoned}


Phase = Literal["rehearsing", "training"]
Told = Phase | Rehearsal | Step | Look | Halved | Broke
Report = Callable[[Told], None]
