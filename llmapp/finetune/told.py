"""What a training tells: a step, a look, what it lowered for memory, that its numbers broke down, how it ended.

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
    """Memory ran out: from now on a step takes at most so many `rows` at once, and adds up what they teach.

    `needs`: bytes that were reckoned beforehand, of which `free` were there; 0 where it ran out in the middle.
    """

    rows: int
    needs: int = 0
    free: int = 0


@dataclass(frozen=True)
class Recomputing:
    """Memory ran out, or as with `Halved` would have: what a step keeps for its gradients is computed twice instead."""

    needs: int = 0
    free: int = 0


@dataclass(frozen=True)
class Shortened:
    """Memory would run out: so many `rows` are longer than `tokens`, and are cut there, or left out."""

    tokens: int
    rows: int
    cut: bool
    needs: int
    free: int


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
    crash took back; `peak_bytes` is the most memory it held in any. `parts`: how many a batch was taken in at last;
    `tokens`: of all its batches, what fills them up included.
    """

    steps: int
    best_step: int
    best: Mapping[str, float]
    seconds: float
    finished: bool
    early: bool
    rehearsal: Rehearsal | None = None
    peak_bytes: int = 0
    parts: int = 1
    tokens: int = 0

    def cost(self) -> dict[str, Any]:
        """Minutes and memory as they were, and as `estimate` what was reckoned and lowered before: {"minutes",
        "peak_mb", "free_mb", "parts", "recomputing", "max_tokens", "rows_shortened"}.
        """
        told = self.rehearsal
        reckoned = told and {
            "minutes": round(told.seconds / 60, 2),
            "peak_mb": told.peak_bytes // 10**6,
            "free_mb": told.free_bytes // 10**6,
            "parts": told.parts,
            "recomputing": told.recomputing,
            "max_tokens": told.tokens,
            "rows_shortened": told.rows,
        }
        took = {"minutes": round(self.seconds / 60, 2), "peak_mb": self.peak_bytes // 10**6, "tokens": self.tokens}
        return {**took, "estimate": reckoned}


Phase = Literal["rehearsing", "training"]
Told = Phase | Rehearsal | Step | Look | Halved | Recomputing | Shortened | Broke
Report = Callable[[Told], None]
