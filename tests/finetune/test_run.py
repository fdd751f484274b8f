"""A whole fine-tuning as a job: a worker process, an adapter that answers, and nothing lost when it is killed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from llmapp.backend.adapters import attach
from llmapp.backend.loader import load
from llmapp.catalog import Catalog
from llmapp.errors import LlmappError
from llmapp.finetune.adapter import Base, save, verify
from llmapp.finetune.objective import probabilities
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import AppSettings

from ..jobs.conftest import end_workers, folder_of, log_of, until
from .conftest import opinions, write_table
from .test_train import fresh_model
from .worker import COMMAND

SPEC = {
    "base": "tiny",
    "text": "message",
    "label": "label",
    "effort": "balanced",
    "name": "Praise",
    "settings": {"learning_rate": 5e-3},
}
Table = Callable[[int], Path]


@pytest.fixture
def supervisor(data_dir: Path) -> Iterator[Supervisor]:
    yield Supervisor(data_dir / "jobs", AppSettings(data_dir=data_dir, device="cpu"), COMMAND)
    end_workers(data_dir / "jobs")


def start(supervisor: Supervisor, table: Path, **changes: object) -> str:
    return supervisor.start("finetune", "ada", {**SPEC, **changes}, {"rows.csv": table})


def until_checkpoint(supervisor: Supervisor, job: str) -> None:
    folder = folder_of(supervisor, job).path / "checkpoints"
    while not list(folder.glob("step-*/state.json")):
        assert supervisor.status(job, "ada").state in ("queued", "running"), log_of(supervisor, job)
        time.sleep(0.01)


def test_a_table_becomes_an_adapter_that_answers(
    supervisor: Supervisor, table: Table, data_dir: Path, base: Base
) -> None:
    job = start(supervisor, table(300))
    status = until(supervisor, job)
    assert status.state == "done", log_of(supervisor, job)
    report = supervisor.report(job, "ada")
    assert report["test_rows"] == 30
    assert report["before"]["accuracy"] < 0.7
    assert report["after"]["accuracy"] >= 0.9
    assert report["p"] < 0.01
    assert sum(map(sum, report["confusion"])) == 30
    assert set(report["versions"]) == {"llmapp", "torch", "transformers", "peft"}
    assert len(report["wrong"]) == 30 - round(30 * report["after"]["accuracy"])
    catalog = Catalog.read(data_dir / "catalog", data_dir / "adapters")
    (adapter,) = catalog.adapters("ada", "sentiment")
    assert catalog.adapters("bob") == []
    assert (adapter.id, adapter.name, adapter.base, adapter.labels) == (job, "Praise", "tiny", ("negative", "positive"))
    assert adapter.report["after"] == report["after"]
    loaded = load(base.local, base.model, base.precision)
    view = attach(loaded, adapter.folder, adapter.id)
    assert view.labels == adapter.labels
    texts, labels = zip(*opinions(400)[300:], strict=True)
    answers = probabilities(view.model, loaded.tokenizer(list(texts))["input_ids"]).argmax(-1)
    assert np.mean([view.labels[a] == label for a, label in zip(answers, labels, strict=True)]) >= 0.9
    events = supervisor.events(job, "ada")
    assert [e["phase"] for e in events if e["kind"] == "phase"][-3:] == ["training", "evaluating", "saving"]
    losses = [e["loss"] for e in events if e.get("series") == "loss"]
    assert losses[-1] < losses[0] / 2
    assert json.loads((adapter.folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"


@pytest.mark.faults
@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_to_the_same_weights(
    supervisor: Supervisor, table: Table, data_dir: Path
) -> None:
    rows = table(300)
    job, whole = start(supervisor, rows, effort="quick"), start(supervisor, rows, effort="quick")
    until_checkpoint(supervisor, job)
    pid = supervisor.status(job, "ada").pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert until(supervisor, job).state == "interrupted"
    assert not (data_dir / "adapters").exists()
    supervisor.resume(job, "ada")
    assert until(supervisor, job, "done", "failed").state == "done", log_of(supervisor, job)
    assert until(supervisor, whole).state == "done"
    mine, other = (load_file(data_dir / "adapters" / each / "adapter_model.safetensors") for each in (job, whole))
    assert mine.keys() == other.keys()
    assert all(mine[name].equal(other[name]) for name in mine)


def test_stop_keeps_a_checkpoint_and_resume_goes_on_from_it(supervisor: Supervisor, table: Table) -> None:
    job = start(supervisor, table(300), effort="quick")
    until_checkpoint(supervisor, job)
    supervisor.stop(job, "ada")
    assert until(supervisor, job).state == "stopped"
    kept = max(int(p.name[5:]) for p in (folder_of(supervisor, job).path / "checkpoints").glob("step-*"))
    seen = len(supervisor.events(job, "ada"))
    supervisor.resume(job, "ada")
    assert until(supervisor, job, "done", "failed").state == "done", log_of(supervisor, job)
    steps = [e["step"] for e in supervisor.events(job, "ada")[seen:] if e.get("series") == "loss"]
    assert steps[0] == kept + 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"text": "text"}, "table_no_column"),
        ({"base": "writer"}, "training_base"),
        ({"base": "nothing"}, "no_model"),
        ({"effort": "heroic"}, "setting_choice"),
        ({"settings": {"rank": 0}}, "training_range"),
    ],
)
def test_what_can_not_be_done_fails_in_words(
    supervisor: Supervisor, table: Table, data_dir: Path, changes: dict[str, object], code: str
) -> None:
    job = start(supervisor, table(60), **changes)
    status = until(supervisor, job)
    assert status.state == "failed"
    assert status.problem
    assert status.problem.code == f"error.{code}"
    assert not (data_dir / "adapters").exists()


def test_an_adapter_that_learned_nothing_or_changed_on_disk_is_found(base: Base, tmp_path: Path) -> None:
    import torch

    model, rows = fresh_model(base, 20)
    ask = partial(probabilities, ids=rows.ids)
    odds = ask(model)
    save(model, base, tmp_path / "a")
    with pytest.raises(LlmappError, match="changed nothing"):
        verify(tmp_path / "a", base, ask, odds)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.fill_(0.05)
    save(model, base, tmp_path / "a")
    with pytest.raises(LlmappError, match="answers differently"):
        verify(tmp_path / "a", base, ask, odds)
    verify(tmp_path / "a", base, ask, ask(model))


def test_a_table_with_one_label_fails_before_the_base_is_touched(supervisor: Supervisor, tmp_path: Path) -> None:
    job = start(supervisor, write_table(tmp_path / "same.csv", [(text, "same") for text, _ in opinions(40)]))
    status = until(supervisor, job)
    assert status.phase == "preflight"
    assert "`same`" in str(status.problem)
