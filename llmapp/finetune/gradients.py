"""The gradients of one batch: at once, or where memory runs out in parts that add up to the same.

Knows a torch model, an objective and memory. Does not know optimizers, checkpoints or steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..backend.memory import give_back, ran_out
from ..errors import OutOfMemory
from .told import Halved, Report

if TYPE_CHECKING:
    from .objective import Objective

MOST_PARTS = 4
"""A batch is halved at most twice: what is then still too much is the model itself, or a single row."""


def computing(model: Any, compute: str) -> Any:
    """The forward pass inside computes in this number format."""
    import torch

    return torch.autocast(model.device.type, getattr(torch, compute), enabled=compute != "float32")


class Gradients:
    """How the gradients of a batch are had; `parts` is how many it is taken in."""

    def __init__(self, model: Any, objective: Objective, compute: str, report: Report) -> None:
        self.compute, self.parts = compute, 1
        self._model, self._objective, self._report = model, objective, report

    def of(self, chosen: Sequence[int], seed: int) -> float:
        """Loss of these rows; the weights have its gradients, or where it is no number, something of them.

        Dropout falls by the seed, and otherwise in parts than in one. Raises OutOfMemory where no part fits.
        """
        while True:
            try:
                return self._summed(chosen, seed)
            except (RuntimeError, MemoryError) as problem:
                if not ran_out(problem):
                    raise
            self._halve(len(chosen))  # out here nothing holds on to what the failed attempt had in its hands

    def _summed(self, chosen: Sequence[int], seed: int) -> float:
        import torch

        torch.manual_seed(seed)
        self._model.train()
        size, total = -(-len(chosen) // self.parts), 0.0
        for at in range(0, len(chosen), size):
            part = chosen[at : at + size]
            share = self._objective.weight(part) / self._objective.weight(chosen)
            with computing(self._model, self.compute):
                loss = self._objective.loss(self._model, part) * share
            total += loss.item()
            if not math.isfinite(total):
                break
            torch.autograd.backward(loss)
        return total

    def _halve(self, rows: int) -> None:
        self._model.zero_grad()
        give_back()
        at_once = -(-rows // self.parts)
        if self.parts >= MOST_PARTS or at_once < 2:
            raise OutOfMemory("training_memory", rows=at_once)
        self.parts *= 2
        self._report(Halved(-(-rows // self.parts)))
