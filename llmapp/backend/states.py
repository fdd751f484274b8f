"""How a model stands: absent, on its way, in memory. What pages show of the pool; knows nothing of weights."""

from __future__ import annotations

from dataclasses import dataclass

from .engine import Precision
from .progress import Progress


@dataclass(frozen=True)
class Absent:
    """Not in memory."""


@dataclass(frozen=True)
class Loading:
    """On its way into memory."""

    progress: Progress


@dataclass(frozen=True)
class LoadedState:
    """In memory. `bytes` are the weights'; `leased` counts who uses or waits for it; `since` is epoch seconds."""

    model_id: str
    adapters: tuple[str, ...]
    precision: Precision
    weights: str
    bytes: int
    leased: int
    since: float


State = Absent | Loading | LoadedState
