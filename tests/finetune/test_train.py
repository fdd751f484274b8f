"""The training loop on a tiny real model: it learns, stops, goes on exactly, and survives a torn checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llmapp.backend.engine import Precision
from llmapp.backend.loader import load_for_training
from llmapp.errors import LlmappError
from llmapp.finetune.adapter import Base, save, verify
from llmapp.finetune.batching import Encoded
from llmapp.finetune.objective import Sorting, probabilities
from llmapp.finetune.settings import LoraSettings
from llmapp.finetune.told import Look, Outcome, Step
from llmapp.finetune.train import train, with_lora
from llmapp.messages import message

from .conftest import opinions

LABELS = ("negative", "positive")
FAST = LoraSettings(learning_rate=5e-3)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def fresh_model(base: Base, rows: int, settings: LoraSettings = FAST) -> tuple[Any, Encoded]:
    torch.manual_seed(settings.seed)
    loaded = load_for_training(base.local, base.model, base.precision, LABELS)
    texts, labels = zip(*opinions(rows), strict=True)
    encoded = Encoded(loaded.tokenizer(list(texts))["input_ids"], [LABELS.index(label) for label in labels])
    return with_lora(loaded.model, settings, loaded.fresh), encoded


def part(rows: Encoded, start: int, stop: int) -> Encoded:
    return Encoded(rows.ids[start:stop], rows.labels[start:stop])


def sorting(rows: Encoded, valid: Encoded) -> Sorting:
    return Sorting(rows, valid, len(LABELS))


def learn(
    base: Base,
    checkpoints: Path,
    steps: int = 80,
    stop: Callable[[], bool] = lambda: False,
    seen: list[Step | Look] | None = None,
    settings: LoraSettings = FAST,
) -> tuple[Any, Encoded, Outcome]:
    model, rows = fresh_model(base, 300, settings)
    tell = [].append if seen is None else seen.append
    outcome = train(model, sorting(part(rows, 0, 200), part(rows, 200, 250)), settings, steps, checkpoints, tell, stop)
    return model, part(rows, 250, 300), outcome


def steps_of(seen: list[Any]) -> list[int]:
    return [event.step for event in seen if isinstance(event, Step)]


def learned(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def test_it_learns_and_only_lora_and_head_move(base: Base, tmp_path: Path) -> None:
    seen: list[Step | Look] = []
    model, test, outcome = learn(base, tmp_path, seen=seen)
    answers = probabilities(model, test.ids).argmax(-1)
    assert (answers == test.labels).mean() >= 0.9
    losses = [event.loss for event in seen if isinstance(event, Step)]
    assert sum(losses[:10]) / 10 > 0.6
    assert sum(losses[-10:]) / 10 < 0.3
    assert outcome.finished
    assert outcome.best["macro_f1"] == max(event.scores["macro_f1"] for event in seen if isinstance(event, Look))
    trained = learned(model)
    assert {name for name in trained if "lora_" not in name and "classifier" not in name} == set()
    assert all(tensor.any() for name, tensor in trained.items() if "lora_B" in name)
    untouched, _ = fresh_model(base, 10)
    frozen = {name: p for name, p in untouched.named_parameters() if not p.requires_grad}
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)


@pytest.mark.faults
def test_stopped_and_gone_on_it_ends_with_the_weights_of_one_run(base: Base, tmp_path: Path) -> None:
    whole, _, _ = learn(base, tmp_path / "whole", steps=30)
    seen: list[Step | Look] = []
    _, _, first = learn(base, tmp_path / "parts", steps=30, stop=lambda: len(seen) >= 17, seen=seen)
    assert not first.finished
    assert 10 < first.steps < 20
    again: list[Step | Look] = []
    resumed, _, second = learn(base, tmp_path / "parts", steps=30, seen=again)
    assert second.finished
    assert steps_of(again)[0] == first.steps + 1
    assert all(torch.equal(p, learned(whole)[name]) for name, p in learned(resumed).items())


def test_it_is_rehearsed_once_and_that_changes_nothing(base: Base, tmp_path: Path) -> None:
    """The resumed run of the test above ends with the same weights, though only its first sitting was rehearsed."""
    seen: list[Any] = []
    _, _, first = learn(base, tmp_path, steps=30, stop=lambda: len(seen) >= 12, seen=seen)
    assert [type(event).__name__ for event in seen[:5]] == ["str", "Look", "Rehearsal", "str", "Step"]
    assert (seen[0], seen[1].step, seen[1].best, seen[3]) == ("rehearsing", 0, False, "training")
    assert first.rehearsal == seen[2]
    again: list[Any] = []
    _, _, second = learn(base, tmp_path, steps=30, seen=again)
    assert [type(event).__name__ for event in again[:2]] == ["str", "Step"]
    assert second.rehearsal == first.rehearsal
    assert second.peak_bytes >= first.peak_bytes > 0
    assert second.cost()["estimate"]["peak_mb"] == first.rehearsal.peak_bytes // 10**6


@pytest.mark.faults
def test_a_torn_newest_checkpoint_is_passed_over(base: Base, tmp_path: Path) -> None:
    seen: list[Step | Look] = []
    for stop_at in (10, 20):
        learn(base, tmp_path, steps=30, stop=lambda limit=stop_at: len(seen) >= limit, seen=seen)
    newest = max(tmp_path.glob("step-*"))
    weights = newest / "tensors.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    (tmp_path / "new").mkdir()
    again: list[Step | Look] = []
    learn(base, tmp_path, steps=30, seen=again)
    assert 1 < steps_of(again)[0] <= int(newest.name.removeprefix("step-"))


def test_a_checkpoint_of_other_settings_is_not_taken(base: Base, tmp_path: Path) -> None:
    seen: list[Step | Look] = []
    learn(base, tmp_path, steps=30, stop=lambda: len(seen) >= 10, seen=seen)
    again: list[Step | Look] = []
    learn(base, tmp_path, steps=30, seen=again, settings=LoraSettings(learning_rate=1e-3))
    assert steps_of(again)[0] == 1


def test_only_the_newest_checkpoints_are_kept(base: Base, tmp_path: Path) -> None:
    for stop_at in (3, 6, 9):
        seen: list[Step | Look] = []
        learn(base, tmp_path, steps=30, stop=lambda limit=stop_at, so_far=seen: len(so_far) >= limit, seen=seen)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.faults
def test_a_loss_that_is_no_number_stops_it_in_words(base: Base, tmp_path: Path) -> None:
    model, rows = fresh_model(base, 60)
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if "classifier" in name and p.requires_grad).fill_(float("nan"))
    with pytest.raises(LlmappError, match="no longer a number") as caught:
        train(model, sorting(part(rows, 0, 40), part(rows, 40, 60)), FAST, 10, tmp_path, lambda _: None, lambda: False)
    assert caught.value.code == "training_nan"


def test_it_ends_early_where_there_is_nothing_to_learn(base: Base, tmp_path: Path) -> None:
    model, rows = fresh_model(base, 300)
    opposite = Encoded(rows.ids[200:], [1 - label for label in rows.labels[200:]])
    outcome = train(model, sorting(part(rows, 0, 200), opposite), FAST, 300, tmp_path, lambda _: None, lambda: False)
    assert outcome.early
    assert outcome.finished
    assert outcome.best_step < outcome.steps < 300


def test_bf16_learns_as_well(base: Base, tmp_path: Path) -> None:
    model, rows = fresh_model(base, 300)
    args = (
        sorting(part(rows, 0, 200), part(rows, 200, 250)),
        FAST,
        80,
        tmp_path,
        lambda _: None,
        lambda: False,
        "bfloat16",
    )
    train(model, *args)
    assert (probabilities(model, rows.ids[250:]).argmax(-1) == rows.labels[250:]).mean() >= 0.9


def test_a_4_bit_base_learns_and_is_read_back(base: Base, tmp_path: Path) -> None:
    held = replace(base, precision=Precision("4-bit", "float32", "cpu", message("reason.cpu")))
    model, test, _ = learn(held, tmp_path / "checkpoints")
    odds = probabilities(model, test.ids)
    assert (odds.argmax(-1) == test.labels).mean() >= 0.9
    save(model, held, tmp_path / "adapter")
    verify(tmp_path / "adapter", held, lambda model: probabilities(model, test.ids), odds)


def test_probabilities_are_in_order_whatever_the_lengths(base: Base) -> None:
    model, rows = fresh_model(base, 70)
    together = probabilities(model, rows.ids)
    alone = [probabilities(model, [ids])[0] for ids in rows.ids[:40]]
    assert together.shape == (70, 2)
    assert np.allclose(together[:40], alone, atol=1e-6)
    assert np.allclose(together.sum(-1), 1)


def test_a_checkpoint_that_can_not_be_written_is_not_passed_over_in_silence(base: Base, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotADirectoryError):
        learn(base, tmp_path / "file", steps=2)
