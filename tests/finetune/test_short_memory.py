"""Memory that runs out: the batch is taken in halves, then in quarters, that is said, and what is learned is the same.

The parts add the same numbers up in another order (1e-3 of the largest weight after 30 steps), as long as nothing is
dropped by chance, which falls otherwise in parts.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llmapp.errors import OutOfMemory
from llmapp.finetune.adapter import Base
from llmapp.finetune.batching import Encoded, Example
from llmapp.finetune.gradients import Gradients
from llmapp.finetune.objective import Sorting, Writing
from llmapp.finetune.told import Halved, Recomputing
from llmapp.finetune.train import train
from llmapp.jobs.supervisor import Supervisor

from ..jobs.conftest import log_of, until
from .cut_short import begin, go_on, largest_difference, said
from .test_run import until_checkpoint
from .test_train import FAST, fresh_model, learned, part

pytestmark = pytest.mark.faults


def test_too_little_memory_is_found_before_it_begins_and_said_and_it_goes_on(
    workers: Callable[..., Supervisor], data_dir: Path
) -> None:
    supervisor = workers("memory-4")
    job = begin(supervisor, data_dir)
    until_checkpoint(supervisor, job)
    supervisor.stop(job, "ada")
    assert until(supervisor, job).state == "stopped", log_of(supervisor, job)
    assert [values["rows"] for values in said(supervisor, job, "training.lowered_rows")] == [4]
    go_on(supervisor, job)
    assert len(said(supervisor, job, "training.lowered_rows")) == 1  # it goes on in parts, without trying again
    report = supervisor.report(job, "ada")
    assert report["after"]["accuracy"] >= 0.9
    assert {name: report["estimate"][name] for name in ("parts", "recomputing", "max_tokens")} == {
        "parts": 4,
        "recomputing": False,
        "max_tokens": 0,
    }


@pytest.mark.slow
def test_memory_for_not_even_a_quarter_of_the_batch_fails_in_words_and_goes_on_when_there_is_some(
    workers: Callable[..., Supervisor], data_dir: Path
) -> None:
    supervisor = workers("memory-0")
    job = begin(supervisor, data_dir)
    status = until(supervisor, job)
    assert (status.state, status.phase) == ("failed", "rehearsing")
    assert status.problem
    assert status.problem.code == "error.training_no_room"
    go_on(workers("nothing"), job)


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
    assert [seen.rows for seen in told if isinstance(seen, Halved)] == [4]
    assert largest_difference(*ended) < 1e-3


@pytest.mark.parametrize("parts", [2, 4])
def test_the_parts_of_a_batch_add_up_to_its_gradients(base: Base, parts: int) -> None:
    """Where rare labels count more, too, and where answers have different lengths."""
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
@pytest.mark.parametrize(("share", "rows"), [(0.45, [32]), pytest.param(0.18, [32, 16], marks=pytest.mark.slow)])
def test_memory_that_really_runs_out_is_made_do_with(tiny_folder: Path, share: float, rows: list[int]) -> None:
    """The process may take no more than a share of what the whole batch was seen to take."""
    command = [sys.executable, "-c", HUNGRY, str(tiny_folder), str(share)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=Path(__file__).parents[2])
    loss, _, told = ran.stdout.strip().partition(" ")
    assert told == str(rows), ran.stderr
    assert 0 < float(loss) < 5


def test_one_row_that_does_not_fit_is_said_at_once(base: Base) -> None:
    model, rows = fresh_model(base, 60)

    class Greedy(Sorting):
        def loss(self, model: Any, chosen: Any) -> torch.Tensor:
            return torch.empty(1 << 55)

    told: list[Any] = []
    with pytest.raises(OutOfMemory) as caught:
        Gradients(model, Greedy(rows, rows, 2), "float32", told.append).of([3], 0)
    assert caught.value.code == "training_memory"
    assert told == [Recomputing()]
