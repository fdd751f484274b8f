"""What can be set about a training: every knob with its label, its consequence and its bounds; and what effort buys.

Data only. Does not know models, rows or who asks. Starting values: LoRA on all linear layers (Schulman et al. 2025,
"LoRA Without Regret": all layers, about ten times the rate of full training, small batches), then measured on two
sets of 2,000 short texts with all-MiniLM-L6-v2: 0.001 is ahead of 0.0005 at 120 steps, and level with it at 400.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from ..errors import BadInput

Effort = Literal["quick", "balanced", "thorough"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
_SHARE: Mapping[Effort, float] = {"quick": 0.3, "balanced": 1.0, "thorough": 3.0}
EPOCHS = 4
STEPS_LEAST, STEPS_MOST = 200, 1000
EPOCHS_MOST = 20
"""Bounds of the balanced budget: fewer steps move nothing, more passes over few rows only learn them by heart."""


def _knob(default: Any, low: float, high: float) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class LoraSettings:
    """Knobs of a LoRA training; `training.<name>` names each and `training.<name>_effect` says its consequence.

    Raises BadInput for a value out of bounds.
    """

    rank: int = _knob(8, 1, 256)
    alpha: int = _knob(16, 1, 512)
    dropout: float = _knob(0.1, 0.0, 0.5)
    learning_rate: float = _knob(1e-3, 1e-6, 1e-2)
    batch: int = _knob(16, 1, 256)
    max_tokens: int = _knob(256, 8, 8192)
    seed: int = _knob(0, 0, 2**31 - 1)

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not item.metadata["low"] <= value <= item.metadata["high"]:
                raise BadInput("training_range", name=item.name, value=value, **item.metadata)


def check_effort(effort: str) -> Effort:
    """The effort. Raises BadInput for one that is not one of EFFORTS."""
    for known in EFFORTS:
        if effort == known:
            return known
    raise BadInput("setting_choice", name="effort", value=effort, choices=", ".join(EFFORTS))


def step_budget(effort: str, rows: int, batch: int) -> int:
    """Training steps for this many rows: four passes, at least 200 and at most 1000 steps, times the effort's share.

    Raises BadInput for an effort that is not one of EFFORTS.
    """
    an_epoch = max(1, -(-rows // batch))
    balanced = min(max(EPOCHS * an_epoch, STEPS_LEAST), STEPS_MOST)
    return max(1, min(round(_SHARE[check_effort(effort)] * balanced), EPOCHS_MOST * an_epoch))
