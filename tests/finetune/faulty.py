"""`python -m tests.finetune.faulty FAULT JOB_DIR`: the real fine-tuning, and one thing that goes wrong in it.

What kills it does so once: the worker that goes on is spared. What memory or numbers do stays, as it would.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from llmapp.finetune import train
from llmapp.finetune.objective import Sorting
from llmapp.worker import run_job

from ..jobs.kinds import clock_of
from .worker import finetune

BROKEN_AT = 80
"""The step whose loss is no number; before it, the training has looked at what it has learned."""
KILLED_AT_STEP, KILLED_AT_SAVE = 40, 3


def worker_with(fault: str) -> tuple[str, ...]:
    """The command of a worker that meets this fault."""
    return (sys.executable, "-m", "tests.finetune.faulty", fault)


def in_a_step(marker: Path) -> None:
    """Be killed after the forward pass of a step, before its gradients are whole."""
    whole, seen = torch.autograd.backward, [0]

    def backward(*given: Any, **named: Any) -> None:
        seen[0] += 1
        if seen[0] == KILLED_AT_STEP:
            die(marker)
        whole(*given, **named)

    torch.autograd.backward = backward


def in_a_save(marker: Path) -> None:
    """Be killed when half of a checkpoint is on the disk."""
    whole, seen = safetensors.torch.save_file, [0]

    def save_file(tensors: Any, path: Path) -> None:
        seen[0] += 1
        whole(tensors, path)
        if seen[0] == KILLED_AT_SAVE:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            die(marker)

    safetensors.torch.save_file = save_file


def short_of_memory(rows: int) -> Callable[[Path], None]:
    """Memory for so many rows at once: torch's allocator refuses what more would take."""

    def set_up(_: Path) -> None:
        loss = Sorting.loss

        def checked(self: Sorting, model: Any, chosen: list[int]) -> torch.Tensor:
            if len(chosen) > rows:
                torch.empty(1 << 55)
            return loss(self, model, chosen)

        Sorting.loss = checked

    return set_up


def numbers_break(_: Path) -> None:
    """From some step on, the loss is no number."""
    loss, seen = Sorting.loss, [0]

    def broken(self: Sorting, model: Any, chosen: list[int]) -> torch.Tensor:
        seen[0] += 1
        return loss(self, model, chosen) * (float("nan") if seen[0] > BROKEN_AT else 1.0)

    Sorting.loss = broken


def nothing(_: Path) -> None:
    """All goes well."""


def die(marker: Path) -> None:
    marker.touch()
    os.kill(os.getpid(), signal.SIGKILL)


FAULTS: Mapping[str, Callable[[Path], None]] = {
    "nothing": nothing,
    "step": in_a_step,
    "save": in_a_save,
    "memory-4": short_of_memory(4),
    "memory-0": short_of_memory(0),
    "nan": numbers_break,
}

if __name__ == "__main__":
    fault, folder = sys.argv[1], Path(sys.argv[2])
    killed = folder / "was-killed"
    if not killed.exists():
        FAULTS[fault](killed)
    time.time = clock_of(folder.parent / "set-back")
    train.SAVE_EVERY_S = 0.2
    run_job(folder, {"finetune": finetune}, worker_with(fault))
