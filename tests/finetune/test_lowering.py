"""Memory that will not do for a training: found before it begins, by real steps, and no more is lowered than must be.

How much a step takes is measured first; then so much of that is said to be free.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from llmapp.errors import OutOfMemory
from llmapp.finetune.adapter import Base
from llmapp.finetune.batching import Encoded, Example, batches
from llmapp.finetune.course import _lowered
from llmapp.finetune.gradients import Gradients
from llmapp.finetune.lowering import SHARE, Lowering
from llmapp.finetune.objective import Sorting, Writing
from llmapp.finetune.scarce import in_batches
from llmapp.finetune.settings import LoraSettings
from llmapp.finetune.told import Halved, Recomputing, Rehearsal, Shortened, Step
from llmapp.finetune.train import train

from .cut_short import largest_difference
from .test_train import fresh_model

BATCH, LONG, SHORT, KEPT = 16, 256, 30, 1_000_000
SETTINGS = LoraSettings(batch=BATCH)
ROWS = Encoded(
    [[5 + i % 50 for i in range(count - 1)] + [3] for count in (LONG, SHORT) for _ in range(2 * BATCH)],
    [0, 1] * 2 * BATCH,
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def settled(base: Base, room: Callable[[], int] | None) -> tuple[list[Any], Lowering, Gradients]:
    model, _ = fresh_model(base, 10)
    gradients = Gradients(model, Sorting(ROWS, ROWS, 2), "float32", [].append)
    lowering = Lowering(gradients, lambda objective: batches(objective.lengths, BATCH, 8, 0), KEPT, room)
    return list(lowering.settle()), lowering, gradients


@pytest.fixture(scope="module")
def needed(base: Base) -> int:
    """Bytes that a whole step takes beside what is held."""
    torch.set_num_threads(1)
    told, lowering, _ = settled(base, lambda: 10**12)
    assert told == []
    return lowering.peak - lowering._held - KEPT


def limited(share: float, needed: int) -> Callable[[], int]:
    """So much of what a step takes may be taken."""
    return lambda: int((KEPT + share * needed) / SHARE)


@pytest.mark.parametrize(("share", "rows"), [(1.6, []), (0.75, [8]), (0.42, [4])])
def test_a_batch_is_taken_in_as_few_parts_as_fit(base: Base, needed: int, share: float, rows: list[int]) -> None:
    told, lowering, gradients = settled(base, limited(share, needed))
    assert [seen.rows for seen in told] == rows
    assert BATCH // gradients.parts == (rows or [BATCH])[-1]
    assert not gradients.recomputing
    assert all(seen.needs > seen.free == lowering.free for seen in told)
    assert lowering.tokens == 0


def test_where_quarters_do_not_fit_steps_are_computed_twice_and_rows_cut(base: Base, needed: int) -> None:
    told, lowering, gradients = settled(base, limited(0.1, needed))
    assert [type(seen) for seen in told] == [Halved, Recomputing, Shortened]
    assert (told[0].rows, told[2].rows, told[2].cut) == (4, 2 * BATCH, True)
    assert SHORT < lowering.tokens == told[2].tokens < LONG
    cut = gradients.objective.rows.ids
    assert {len(ids) for ids in cut} == {SHORT, lowering.tokens}
    assert cut[0] == [*ROWS.ids[0][: lowering.tokens - 1], 3]  # what ends a text still does
    assert all(len(ids) <= lowering.tokens for ids in gradients.objective.valid.ids)
    assert lowering.peak - lowering._held <= SHARE * lowering.free


def test_where_nothing_helps_it_says_what_it_needs_and_what_is_free(base: Base) -> None:
    with pytest.raises(OutOfMemory) as caught:
        settled(base, lambda: KEPT + 1000)
    assert caught.value.code == "training_no_room"
    values = caught.value.message.values
    assert values["needs_gb"] > values["free_gb"]
    assert values["tokens"] < SHORT
    assert "smaller model" in str(caught.value)


def test_what_was_lowered_is_kept_and_stays_after_a_stop(base: Base, tmp_path: Path, needed: int) -> None:
    told = list[Any]()

    def run(room: Callable[[], int], stop: Callable[[], bool]) -> Any:
        model, _ = fresh_model(base, 10)
        return train(model, Sorting(ROWS, ROWS, 2), SETTINGS, 4, tmp_path, told.append, stop, room=room)

    first = run(limited(0.42, needed), lambda: any(isinstance(seen, Step) for seen in told))
    assert [seen.rows for seen in told if isinstance(seen, Halved)] == [4]
    assert not first.finished
    told.clear()
    last = run(limited(9.0, needed), lambda: False)
    assert not [seen for seen in told if isinstance(seen, (Halved, Rehearsal))]
    assert (last.parts, last.cost()["estimate"]["parts"]) == (4, 4)
    assert last.cost()["estimate"]["free_mb"] == first.rehearsal.free_bytes // 10**6 > 0


def test_shorter_rows_stay_shorter_after_a_stop(base: Base, tmp_path: Path, needed: int) -> None:
    told = list[Any]()

    def run(room: Callable[[], int], stop: Callable[[], bool]) -> Any:
        model, _ = fresh_model(base, 10)
        return train(model, Sorting(ROWS, ROWS, 2), SETTINGS, 3, tmp_path, told.append, stop, room=room)

    first = run(limited(0.1, needed), lambda: any(isinstance(seen, Step) for seen in told))
    assert (first.finished, first.rehearsal.recomputing) == (False, True)
    assert SHORT < first.rehearsal.tokens < LONG
    last = run(limited(9.0, needed), lambda: False)
    assert last.finished
    assert last.rehearsal == first.rehearsal
    assert first.steps < last.steps == 3


def test_computing_twice_gives_the_same_gradients(base: Base) -> None:
    """What chance drops is the same both times."""
    found = []
    for twice in (False, True):
        model, rows = fresh_model(base, 20)
        gradients = Gradients(model, Sorting(rows, rows, 2), "float32", [].append)
        assert not twice or gradients.recompute()
        loss = gradients.of(range(16), 7)
        found.append((loss, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}))
    (one, kept), (other, computed) = found
    assert one == pytest.approx(other, rel=1e-6)
    assert largest_difference(kept, computed) < 1e-5


def test_rows_to_answer_are_left_out_whole_until_too_few_are_left() -> None:
    rows = [Example(range(8 + i), 4) for i in range(30)]
    objective = Writing(rows, rows, lambda _: [])
    shorter = objective.shorter(20)
    assert shorter
    assert [len(row.ids) for row in shorter.rows] == list(range(8, 21))
    assert shorter.valid == shorter.rows
    assert objective.shorter(16) is None  # nine rows


def test_each_measure_has_its_own_words() -> None:
    seen = [Halved(4), Halved(4, 2, 1), Recomputing(), Recomputing(2, 1)]
    seen += [Shortened(64, 9, cut, 2, 1) for cut in (True, False)]
    assert len({_lowered(each).text() for each in seen}) == len({_lowered(each).text("zh") for each in seen}) == 6


REALLY_SHORT = """
import resource, sys
from pathlib import Path
import psutil, torch
from llmapp.backend.engine import Precision
from llmapp.backend.sources import Local
from llmapp.finetune.adapter import Base
from llmapp.messages import message
from tests.finetune.test_lowering import fresh_model, settled
from tests.tiny import catalog_entry
torch.set_num_threads(1)
folder = Path(sys.argv[1])
precision = Precision("fp32", "float32", "cpu", message("reason.cpu"))
base = Base(catalog_entry(folder, "encoder", "bert"), Local(folder, "1", "fp32", "folder"), precision)
fresh_model(base, 10)[0](input_ids=torch.ones(1, 8, dtype=torch.int64)).logits.sum().backward()
now = psutil.Process().memory_info().vms
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_AS, (now + int(sys.argv[2]), resource.RLIM_INFINITY))
rows = [seen.rows for seen in settled(base, None)[0]]
peak = int(next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmPeak")).split()[1])
print(rows, 1024 * peak - now)
"""


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_memory_that_really_runs_out_while_it_is_tried_is_made_do_with(tiny_folder: Path) -> None:
    """The process may take no more than a part of what the whole batch was seen to take; nobody says what is free."""

    def told(*limit: str) -> tuple[str, str]:
        command = [sys.executable, "-c", REALLY_SHORT, str(tiny_folder), *limit]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=Path(__file__).parents[2])
        assert ran.returncode == 0, ran.stderr
        rows, _, needs = ran.stdout.strip().rpartition(" ")
        return rows, needs

    rows, needs = told()
    assert rows == "[]"
    assert told(str(round(0.65 * int(needs))))[0] in ("[8]", "[4]")


def test_what_is_only_computed_goes_in_smaller_batches_where_memory_runs_out() -> None:
    done, sizes = list[int](), list[int]()

    def work(most: int, some: Any) -> None:
        sizes.append(len(some))
        if len(some) > most:
            torch.empty(1 << 55)
        done.extend(some)

    in_batches(range(20), 8, partial(work, 3))
    assert done == list(range(20))
    assert sizes == [8, 4, *[2] * 10]
    with pytest.raises(RuntimeError, match="allocate"):
        in_batches(range(20), 8, partial(work, 0))
    with pytest.raises(ZeroDivisionError):
        in_batches([1, 2], 2, lambda some: 1 / 0)
