"""Dropout as torch has it, at a fifth of the time on a processor: a random number of 64 bits decides about four values.

Knows tensors alone. torch draws a number for each value there, one after the other, where it was built without Intel's
generator or runs on another maker's processor. Imports torch as it is read: import it late.
"""

from __future__ import annotations

from typing import Any

import torch

CHANCES = 2**16
"""A chance is known to one of so many."""


class Dropout(torch.nn.Dropout):
    """In place of torch's own; the numbers come from torch's generator, so a seed gives the same ones again."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Some values are none, the others larger by as much."""
        if not (self.training and self.p and input.device.type == "cpu"):
            return super().forward(input)
        kept = _kept(input.numel(), self.p).view(input.shape).to(input.dtype)
        return input * kept.mul_(1 / (1 - self.p))


def with_fast_dropout(model: Any) -> Any:
    """The same model, dropping values in the fast way."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is torch.nn.Dropout:
                setattr(parent, name, Dropout(child.p))
    return model


def _kept(count: int, p: float) -> torch.Tensor:
    """Which of so many values stay, each with the chance 1 - p."""
    drawn = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    return drawn.view(torch.int16)[:count] >= round(p * CHANCES) - CHANCES // 2
