"""A training that is cut short and goes on, and how its weights are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from llmapp.jobs.job import JobStatus
from llmapp.jobs.supervisor import Supervisor

from ..jobs.conftest import log_of, until
from .conftest import opinions, write_table
from .test_run import SPEC

Weights = dict[str, torch.Tensor]


def begin(supervisor: Supervisor, folder: Path, **changes: object) -> str:
    """A training whose table is deleted as soon as it has begun."""
    table = write_table(folder / "opinions.csv", opinions(300))
    job = supervisor.start("finetune", "ada", {**SPEC, "effort": "quick", **changes}, {"rows.csv": table})
    table.unlink()
    return job


def go_on(supervisor: Supervisor, job: str) -> JobStatus:
    supervisor.resume(job, "ada")
    status = until(supervisor, job, "done", "failed")
    assert status.state == "done", log_of(supervisor, job)
    return status


def weights(data_dir: Path, job: str) -> Weights:
    return load_file(data_dir / "adapters" / job / "adapter_model.safetensors")


def said(supervisor: Supervisor, job: str, code: str) -> list[dict[str, Any]]:
    return [event["values"] for event in supervisor.events(job, "ada") if event.get("code") == code]


def largest_difference(one: Weights, other: Weights) -> float:
    """Of any weight, as a share of the largest there is."""
    assert one.keys() == other.keys()
    largest = max(tensor.abs().max().item() for tensor in one.values())
    return max((one[name] - other[name]).abs().max().item() for name in one) / largest
