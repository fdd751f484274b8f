"""Ways in which a training can be cut short: nothing is lost but the last steps, and the weights end up the same.

A training that was cut short and went on ends with the very weights of one that was not: fp32 on a processor, same
seed, no tolerance. One whose batch is taken in parts adds the same numbers up in another order (1e-3 of the largest
weight after 30 steps), as long as nothing is dropped by chance, which falls otherwise in parts.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from llmapp.errors import LlmappError, OutOfMemory
from llmapp.finetune import train as training
from llmapp.finetune.adapter import Base
from llmapp.finetune.batching import Encoded, Example
from llmapp.finetune.checkpoint import Checkpoints
from llmapp.finetune.objective import Sorting, Writing
from llmapp.finetune.told import Broke, Halved, Step
from llmapp.finetune.train import train
from llmapp.jobs.job import JobStatus
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import AppSettings

from ..hub_server import HubServer, Repo
from ..jobs.conftest import end_workers, folder_of, log_of, until, until_step
from ..jobs.kinds import fill_up
from .conftest import opinions, write_table
from .faulty import worker_with
from .test_run import SPEC, until_checkpoint
from .test_train import FAST, fresh_model, learned, part, sorting

pytestmark = pytest.mark.faults
Weights = dict[str, torch.Tensor]


@pytest.fixture
def workers(data_dir: Path) -> Iterator[Callable[..., Supervisor]]:
    """`workers("save")`: a supervisor over the data folder whose workers meet that fault."""
    homes = []

    def made(fault: str = "nothing", home: Path = data_dir, **settings: Any) -> Supervisor:
        homes.append(home)
        return Supervisor(home / "jobs", AppSettings(data_dir=home, device="cpu", **settings), worker_with(fault))

    yield made
    for home in homes:
        end_workers(home / "jobs")


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


@pytest.fixture(scope="module")
def uninterrupted(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Weights]:
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
    checkpoints.save(3, {"a": torch.full([400_000], 3.0)}, {"fingerprint": "x"})  # the failed one takes no room
    found = checkpoints.newest("x")
    assert found
    assert found[0]["a"][0] == 3


def test_too_little_memory_halves_the_batch_twice_says_so_and_goes_on(
    workers: Callable[..., Supervisor], data_dir: Path
) -> None:
    supervisor = workers("memory-4")
    job = begin(supervisor, data_dir)
    until_checkpoint(supervisor, job)
    supervisor.stop(job, "ada")
    assert until(supervisor, job).state == "stopped", log_of(supervisor, job)
    assert [values["rows"] for values in said(supervisor, job, "training.halved")] == [8, 4]
    go_on(supervisor, job)
    assert len(said(supervisor, job, "training.halved")) == 2  # it goes on in parts, without trying again
    assert supervisor.report(job, "ada")["after"]["accuracy"] >= 0.9


@pytest.mark.slow
def test_memory_for_not_even_a_quarter_of_the_batch_fails_in_words_and_goes_on_when_there_is_some(
    workers: Callable[..., Supervisor], data_dir: Path
) -> None:
    supervisor = workers("memory-0")
    job = begin(supervisor, data_dir)
    status = until(supervisor, job)
    assert (status.state, status.problem and status.problem.code) == ("failed", "error.training_memory")
    assert len(said(supervisor, job, "training.halved")) == 2
    assert "can't allocate memory" in log_of(supervisor, job) or "OutOfMemory" in log_of(supervisor, job)
    go_on(workers("nothing"), job)


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


def left_nothing_to_chance(base: Base, rows: int) -> tuple[Any, Encoded]:
    model, encoded = fresh_model(base, rows)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model, encoded


def test_a_training_whose_batches_were_halved_ends_with_the_same_weights(base: Base, tmp_path: Path) -> None:
    class Short(Sorting):
        def loss(self, model: Any, chosen: Any) -> torch.Tensor:
            if len(chosen) > 4:
                torch.empty(1 << 55)
            return super().loss(model, chosen)

    ended, told = [], []
    for kind in (Sorting, Short):
        model, rows = left_nothing_to_chance(base, 250)
        objective = kind(part(rows, 0, 200), part(rows, 200, 250), 2)
        train(model, objective, FAST, 30, tmp_path / kind.__name__, told.append, lambda: False)
        ended.append(learned(model))
    assert [seen.rows for seen in told if isinstance(seen, Halved)] == [8, 4]
    assert largest_difference(*ended) < 1e-3


@pytest.mark.parametrize("parts", [2, 4])
def test_the_parts_of_a_batch_add_up_to_its_gradients(base: Base, parts: int) -> None:
    """Where rare labels count more, too, and where answers have different lengths."""
    from llmapp.finetune.gradients import Gradients

    model, rows = left_nothing_to_chance(base, 60)
    skewed = Encoded(rows.ids[:30], [0] * 27 + [1] * 3)
    objective, chosen = Sorting(skewed, skewed, 2), [0, 5, 9, 27, 28, 11, 29, 3, 2]
    assert objective.weights
    found = []
    for each in (1, parts):
        model.zero_grad()
        gradients = Gradients(model, objective, "float32", [].append)
        gradients.parts = each
        loss = gradients.of(chosen, 7)
        found.append((loss, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}))
    (one, whole), (several, added) = found
    assert several == pytest.approx(one, rel=1e-5)
    assert largest_difference(whole, added) < 1e-5
    answers = [Example(range(9), start) for start in (1, 8, 4)]
    weigh = Writing(answers, answers, lambda _: []).weight
    assert weigh([0, 1, 2]) == weigh([0]) + weigh([1]) + weigh([2]) == 8 + 1 + 5


HUNGRY = """
import resource, sys
from pathlib import Path
import psutil, torch
from llmapp.backend.engine import Precision
from llmapp.backend.sources import Local
from llmapp.finetune.adapter import Base
from llmapp.finetune.batching import Encoded
from llmapp.finetune.gradients import Gradients
from llmapp.finetune.objective import Sorting
from llmapp.finetune.settings import LoraSettings
from llmapp.messages import message
from tests.finetune.test_train import fresh_model
from tests.tiny import catalog_entry
torch.set_num_threads(1)
folder, share = Path(sys.argv[1]), float(sys.argv[2])
precision = Precision("fp32", "float32", "cpu", message("reason.cpu"))
base = Base(catalog_entry(folder, "encoder", "bert"), Local(folder, "1", "fp32", "folder"), precision)
model, _ = fresh_model(base, 10, LoraSettings(dropout=0.0))
rows = Encoded([[5 + i % 50 for i in range(256)]] * 64, [0, 1] * 32)
told = []
gradients = Gradients(model, Sorting(rows, rows, 2), "float32", told.append)
gradients.of(range(8), 0)
before = psutil.Process().memory_info().vms
gradients.of(range(64), 0)
peak = int(next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmPeak")).split()[1])
needs, now = 1024 * peak - before, psutil.Process().memory_info().vms
resource.setrlimit(resource.RLIMIT_AS, (now + int(share * needs), resource.RLIM_INFINITY))
print(gradients.of(range(64), 0), [seen.rows for seen in told])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize(("share", "rows"), [(0.75, [32]), pytest.param(0.22, [32, 16], marks=pytest.mark.slow)])
def test_memory_that_really_runs_out_is_made_do_with(tiny_folder: Path, share: float, rows: list[int]) -> None:
    """The process may take no more than a share of what the whole batch was seen to take."""
    command = [sys.executable, "-c", HUNGRY, str(tiny_folder), str(share)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=Path(__file__).parents[2])
    loss, _, told = ran.stdout.strip().partition(" ")
    assert told == str(rows), ran.stderr
    assert 0 < float(loss) < 5


def test_one_row_that_does_not_fit_is_said_at_once(base: Base) -> None:
    from llmapp.finetune.gradients import Gradients

    model, rows = fresh_model(base, 60)

    class Greedy(Sorting):
        def loss(self, model: Any, chosen: Any) -> torch.Tensor:
            return torch.empty(1 << 55)

    told: list[Halved] = []
    with pytest.raises(OutOfMemory) as caught:
        Gradients(model, Greedy(rows, rows, 2), "float32", told.append).of([3], 0)
    assert caught.value.code == "training_memory"
    assert told == []


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
