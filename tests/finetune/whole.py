"""What the tests of whole models share: a training's result as it lies in its job, made without training."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmapp.backend.progress import Progress
from llmapp.backend.sources import Sources
from llmapp.catalog import Model
from llmapp.finetune.export import TEXT, pack
from llmapp.finetune.take_along import Form, take_along
from llmapp.jobs.job import JobSpec, new_status, write_json
from llmapp.settings import AppSettings

from ..tiny import tiny_adapter

LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SCORES = {"chrf": 50.0, "exact": 0.5}


def result_of(
    place: Path, base: Path, model: Model, end: int, system: str | None, chat: bool = True, **lora: Any
) -> tuple[Path, dict[str, Any]]:
    """The result folder of a training with a random adapter for this base, and its report."""
    turns: Any = [{"role": "user", "content": TEXT}]
    if system is not None:
        turns.insert(0, {"role": "system", "content": system})
    if not chat:
        turns = f"User: {TEXT}\n\nAssistant:"
    report = {
        "test_rows": 20,
        "train_rows": 180,
        "valid_rows": 20,
        "steps": 60,
        "best_step": 40,
        "language": "en",
        "goal": "answer",
        "effort": "quick",
        "p": 0.03,
        "versions": {"torch": "9.9"},
        "sha256": "0" * 64,
        "before": SCORES,
        "after": SCORES,
        "precision": "fp32",
        "settings": {"rank": 8, "max_tokens": 512, "seed": 7},
        "base": model.id,
        "asked_as": {"turns": turns, "end": end},
    }
    folder = tiny_adapter(place / "adapter", base, targets=LINEARS, name="My style", report=report, **lora)
    (folder / "README.md").unlink()
    result = place / "result"
    result.mkdir()
    return result, report | {"files": {"adapter": pack(folder, result, "My style", model)}}


def done_job(jobs: Path, owner: str, made: tuple[Path, dict[str, Any]]) -> str:
    """A training that is done, with this result, as it lies among an owner's jobs; its id."""
    spec = JobSpec("019aa0000000-00000000", "finetune", owner, 0.0, {"name": "My style"}, {})
    folder = jobs / spec.id
    folder.mkdir(parents=True)
    write_json(folder / "spec.json", asdict(spec))
    write_json(folder / "status.json", asdict(new_status(spec)) | {"state": "done"})
    shutil.copytree(made[0], folder / "result")
    (folder / "result" / "report.json").write_text(json.dumps(made[1]), encoding="utf-8")
    return spec.id


def taken(
    form: Form, made: tuple[Path, dict[str, Any]], model: Model, seen: list[Progress], data: Path | None = None
) -> Path:
    """The folder that the zip of this form unpacks to."""
    result, report = made
    settings = AppSettings(data_dir=data or result, device="cpu")
    path = take_along(form, result, report, model, Sources(settings.data_dir / "models", settings), seen.append)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(result / form)
    return result / form


def answer(model: Any, ids: Sequence[int], end: int, most: int) -> list[int]:
    """The likeliest tokens after these, up to the end of the answer and with it."""
    import torch

    given = torch.tensor([list(ids)])
    out = model.generate(
        given,
        attention_mask=torch.ones_like(given),
        do_sample=False,
        max_new_tokens=most,
        eos_token_id=end,
        pad_token_id=end,
    )
    return [int(number) for number in out[0, len(ids) :]]
