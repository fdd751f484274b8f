"""The gradients of one batch: at once, or where memory runs out in parts that add up to the same, or recomputing.

Knows a torch model, an objective and memory. Does not know optimizers, checkpoints or steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..backend.memory import give_back, ran_out
from ..errors import OutOfMemory
from .told import Halved, Recomputing, Report

if TYPE_CHECKING:
    from .objective import Objective

MOST_PARTS = 4
"""A batch is halved at most twice: what is then still too much is the model itself, or a single row."""


def computing(model: Any, compute: str) -> Any:
    """The forward pass inside computes in this number format."""
    import torch

    return torch.autocast(model.device.type, getattr(torch, compute), enabled=compute != "float32")


class Gradients:
    """How the gradients of a batch are had; `parts` is how many it is taken in, `recomputing` whether what they need is
    computed twice instead of kept (gradient checkpointing, arXiv:1604.06174: the same gradients, more slowly).
    """

    def __init__(self, model: Any, objective: Objective, compute: str, report: Report) -> None:
        self.compute, self.parts, self.recomputing = compute, 1, False
        self.objective = objective
        self._model, self._report = model, report

    def of(self, chosen: Sequence[int], seed: int) -> float:
        """Loss of these rows; the weights have its gradients, or where it is no number, something of them.

        Dropout falls by the seed, and otherwise in parts than in one. Raises OutOfMemory where no part fits.
        """
        while True:
            try:
                return self._summed(chosen, seed, self.parts)
            except (RuntimeError, MemoryError) as problem:
                if not ran_out(problem):
                    raise
            self._lower(len(chosen))  # out here nothing holds on to what the failed attempt had in its hands

    def fit(self, chosen: Sequence[int]) -> bool:
        """Try these rows at once, and throw their gradients away; False where memory runs out."""
        try:
            self._summed(chosen, 0, 1)
        except (RuntimeError, MemoryError) as problem:
            if not ran_out(problem):
                raise
            return False
        finally:
            self._model.zero_grad()
        return True

    def recompute(self) -> bool:
        """From now on compute twice what would be kept; False where that is done already, or the model can not."""
        if self.recomputing or not getattr(self._model, "supports_gradient_checkpointing", False):
            return False
        self._model.activation_checkpointing_enable()
        self.recomputing = True
        return True

    def _summed(self, chosen: Sequence[int], seed: int, parts: int) -> float:
        import torch

        torch.manual_seed(seed)
        self._model.train()
        size, total = -(-len(chosen) // parts), 0.0
        for at in range(0, len(chosen), size):
            part = chosen[at : at + size]
            share = self.objective.weight(part) / self.objective.weight(chosen)
            with computing(self._model, self.compute):
                loss = self.objective.loss(self._model, part) * share
            total += loss.item()
            if not math.isfinite(total):
                break
            torch.autograd.backward(loss)
        return total

    def _lower(self, rows: int) -> None:
        self._model.zero_grad()
        give_back()
        at_once = -(-rows // self.parts)
        if self.parts < MOST_PARTS and at_once > 1:
            self.parts *= 2
            self._report(Halved(-(-rows // self.parts)))
        elif self.recompute():
            self._report(Recomputing())
        else:
            raise OutOfMemory("training_memory", rows=at_once)
