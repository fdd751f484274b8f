"""Ways in which a training can be cut short: nothing is lost but the last steps, and the weights end up the same.

A training that was cut short and went on ends with the very weights of one that was not: fp32 on a processor, same
seed, no tolerance. Memory that runs out has a file of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llmapp.errors import LlmappError
from llmapp.finetune import train as training
from llmapp.finetune.adapter import Base
from llmapp.finetune.checkpoint import Checkpoints
from llmapp.finetune.objective import Sorting
from llmapp.finetune.told import Broke, Step
from llmapp.finetune.train import train
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import AppSettings

from ..hub_server import HubServer, Repo
from ..jobs.conftest import folder_of, log_of, until, until_dead, until_step
from ..jobs.kinds import fill_up
from .conftest import opinions, write_table
from .cut_short import Weights, begin, go_on, largest_difference, said, weights
from .faulty import worker_with
from .test_run import SPEC, until_checkpoint
from .test_train import FAST, fresh_model, learned, part, sorting

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def uninterrupted() -> Callable[[Path], Weights]:
    """The weights of a training that nothing befell, with the catalog of this data folder; trained once."""
    found: dict[str, Weights] = {}

    def trained(data_dir: Path) -> Weights:
        if not found:
            supervisor = Supervisor(
                data_dir / "whole", AppSettings(data_dir=data_dir, device="cpu"), worker_with("nothing")
            )
            job = begin(supervisor, data_dir)
            assert until(supervisor, job).state == "done", log_of(supervisor, job)
            found.update(weights(data_dir, job))
        return found

    return trained


@pytest.mark.parametrize("where", ["step", "save"])
def test_killed_in_the_middle_of_it_the_training_ends_with_the_weights_of_one_run(
    workers: Callable[..., Supervisor], data_dir: Path, uninterrupted: Callable[[Path], Weights], where: str
) -> None:
    supervisor = workers(where)
    job = begin(supervisor, data_dir)
    status = until(supervisor, job)
    assert (status.state, status.problem and status.problem.code) == ("interrupted", "error.job_interrupted")
    kept = folder_of(supervisor, job).path / "checkpoints"
    assert list(kept.glob("step-*/state.json"))
    assert (kept / "new").exists() == (where == "save")
    assert not (data_dir / "adapters").exists()
    go_on(supervisor, job)
    assert largest_difference(weights(data_dir, job), uninterrupted(data_dir)) == 0


@pytest.mark.slow
def test_app_and_worker_killed_together_the_next_app_goes_on(
    workers: Callable[..., Supervisor], data_dir: Path, uninterrupted: Callable[[Path], Weights]
) -> None:
    table = write_table(data_dir / "opinions.csv", opinions(300))
    spec = {**SPEC, "effort": "quick"}
    start = f"""
import time; from pathlib import Path
from llmapp.jobs.supervisor import Supervisor; from llmapp.settings import AppSettings
s = Supervisor(Path({str(data_dir / "jobs")!r}), AppSettings(data_dir=Path({str(data_dir)!r}), device="cpu"),
               {worker_with("nothing")!r})
print(s.start("finetune", "ada", {spec!r}, {{"rows.csv": Path({str(table)!r})}}), flush=True)
time.sleep(600)
"""
    app = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True)
    assert app.stdout
    job, supervisor = app.stdout.readline().strip(), workers()
    until_checkpoint(supervisor, job)
    pid = supervisor.status(job, "ada").pid
    assert pid
    app.kill()
    os.kill(pid, signal.SIGKILL)
    app.wait()
    until_dead(supervisor, job)
    supervisor.reconcile()
    assert supervisor.status(job, "ada").state == "interrupted"
    go_on(supervisor, job)
    assert largest_difference(weights(data_dir, job), uninterrupted(data_dir)) == 0


def test_a_disk_that_fills_up_is_said_and_the_training_goes_on_once_there_is_room(
    workers: Callable[..., Supervisor],
    data_dir: Path,
    small_disk: Callable[[int], Path],
    uninterrupted: Callable[[Path], Weights],
) -> None:
    disk = small_disk(12)
    shutil.copytree(data_dir / "catalog", disk / "catalog")
    supervisor = workers(home=disk)
    job = begin(supervisor, data_dir)
    until_checkpoint(supervisor, job)
    fill_up(disk / "hog")
    status = until(supervisor, job)
    assert (status.state, status.problem and status.problem.code) == ("failed", "error.job_disk_full")
    kept = folder_of(supervisor, job).path / "checkpoints"
    assert list(kept.glob("step-*/state.json"))
    assert not (kept / "new").exists()
    (disk / "hog").unlink()
    go_on(supervisor, job)
    assert largest_difference(weights(disk, job), uninterrupted(data_dir)) == 0


def test_a_checkpoint_that_the_disk_has_no_room_for_leaves_the_one_before(small_disk: Callable[[int], Path]) -> None:
    from safetensors import SafetensorError

    checkpoints = Checkpoints(small_disk(4))
    checkpoints.save(1, {"a": torch.ones(500_000)}, {"fingerprint": "x"})
    with pytest.raises((SafetensorError, OSError)):
        checkpoints.save(2, {"a": torch.zeros(1_000_000)}, {"fingerprint": "x"})
    assert newest(checkpoints) == 1
    checkpoints.save(3, {"a": torch.full([400_000], 3.0)}, {"fingerprint": "x"})  # the failed one takes no room
    assert newest(checkpoints) == 3


def newest(checkpoints: Checkpoints) -> float:
    found = checkpoints.newest("x")
    assert found
    return found[0]["a"][0].item()


def test_numbers_that_break_down_end_it_with_the_best_state_and_that_is_said(
    workers: Callable[..., Supervisor], data_dir: Path
) -> None:
    supervisor = workers("nan")
    job = begin(supervisor, data_dir, effort="balanced")
    assert until(supervisor, job).state == "done", log_of(supervisor, job)
    (values,) = said(supervisor, job, "training.broke")
    assert 0 < values["kept"] < values["step"]
    report = supervisor.report(job, "ada")
    assert report["best_step"] == values["kept"]
    assert report["after"]["accuracy"] > report["before"]["accuracy"]
    assert all(tensor.isfinite().all() for tensor in weights(data_dir, job).values())


def test_gradients_that_are_no_numbers_never_reach_the_weights(base: Base, tmp_path: Path) -> None:
    model, rows = fresh_model(base, 250)
    weight = next(p for name, p in model.named_parameters() if "lora_B" in name)
    seen: list[Any] = []

    def tell(event: Any) -> None:
        seen.append(event)
        if isinstance(event, Step) and event.step == 25:
            weight.register_hook(lambda gradient: gradient * float("inf"))

    outcome = train(model, sorting(part(rows, 0, 200), part(rows, 200, 250)), FAST, 80, tmp_path, tell, lambda: False)
    (broke,) = (event for event in seen if isinstance(event, Broke))
    assert (broke.step, broke.kept, outcome.finished) == (26, outcome.best_step, True)
    assert all(tensor.isfinite().all() for tensor in learned(model).values())
    again: list[Any] = []
    train(model, sorting(part(rows, 0, 200), part(rows, 200, 250)), FAST, 80, tmp_path, again.append, lambda: False)
    assert not [event for event in again if isinstance(event, Step)]  # it had ended


def test_a_checkpoint_is_never_five_minutes_old_however_long_a_step_takes(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(training.time, "monotonic", lambda: clock[0])
    model, rows = fresh_model(base, 250)
    saved: list[float] = []
    save = Checkpoints.save
    monkeypatch.setattr(Checkpoints, "save", lambda *given: (saved.append(clock[0]), save(*given)))

    def tell(event: Any) -> None:
        clock[0] += 100.0 if isinstance(event, Step) else 0.0

    train(model, sorting(part(rows, 0, 200), part(rows, 200, 250)), FAST, 12, tmp_path, tell, lambda: False)
    gaps = [later - earlier for earlier, later in zip([0.0, *saved], saved, strict=False)]
    assert len(saved) >= 4
    assert max(gaps) <= 300


@pytest.mark.parametrize("how", ["gated", pytest.param("missing", marks=pytest.mark.slow)])
def test_a_base_that_can_not_be_had_is_known_before_anything_long_and_go_on_takes_it_when_it_can(
    workers: Callable[..., Supervisor], data_dir: Path, tiny_folder: Path, how: str
) -> None:
    files = {path.name: path.read_bytes() for path in tiny_folder.iterdir() if path.is_file()}
    with HubServer() as hub:
        if how == "gated":
            hub.repos["me/tiny"] = Repo(files, token="hf_right")
        card = (data_dir / "catalog" / "tiny.yaml").read_text().partition("sources:")[0]
        size = len(files["model.safetensors"])
        source = f"sources: [{{hub: {{repo: me/tiny, revision: main, weights: fp32, bytes: {size}}}}}]}}"
        (data_dir / "catalog" / "tiny.yaml").write_text(card + source)
        supervisor = workers(hub_endpoint=hub.url)
        job = begin(supervisor, data_dir)
        status = until(supervisor, job)
        code = {"gated": "error.source_gated", "missing": "error.source_no_repo"}[how]
        assert (status.state, status.problem and status.problem.code) == ("failed", code), log_of(supervisor, job)
        phases = [event["phase"] for event in supervisor.events(job, "ada") if event["kind"] == "phase"]
        assert phases == ["preflight", "loading"]
        assert hub.gets(".safetensors") == []
        hub.repos["me/tiny"] = Repo(files, token="hf_right")
        go_on(workers(hub_endpoint=hub.url, hub_token="hf_right"), job)


@pytest.mark.slow
def test_a_clock_set_back_in_the_middle_changes_nothing(
    workers: Callable[..., Supervisor], data_dir: Path, uninterrupted: Callable[[Path], Weights]
) -> None:
    supervisor = workers()
    job = begin(supervisor, data_dir)
    until_step(supervisor, job, 1)
    until_checkpoint(supervisor, job)
    (data_dir / "jobs" / "set-back").write_text("86400")
    pid = supervisor.status(job, "ada").pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert until(supervisor, job).state == "interrupted"
    go_on(supervisor, job)
    times = [event["time"] for event in supervisor.events(job, "ada")]
    assert max(times) - times[-1] > 80_000
    assert largest_difference(weights(data_dir, job), uninterrupted(data_dir)) == 0


def test_no_state_to_keep_is_an_error(base: Base, tmp_path: Path) -> None:
    model, rows = fresh_model(base, 250)
    first = Sorting(part(rows, 0, 200), part(rows, 200, 250), 2)

    class Broken(Sorting):
        def loss(self, model: Any, chosen: Any) -> torch.Tensor:
            return super().loss(model, chosen) * float("nan")

    with pytest.raises(LlmappError, match="no longer a number") as caught:
        train(model, Broken(first.rows, first.valid, 2), FAST, 10, tmp_path, lambda _: None, lambda: False)
    assert caught.value.code == "training_nan"
