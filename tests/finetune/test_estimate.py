"""What a training is reckoned to cost: beside what real steps take, and what follows for its badge."""

from __future__ import annotations

from dataclasses import replace

import pytest
import transformers

from llmapp.backend.device import Hardware
from llmapp.backend.loader import load_for_training
from llmapp.catalog import Catalog, Model, Shape
from llmapp.finetune.adapter import Base
from llmapp.finetune.estimate import (
    SHARE,
    WORKER_BYTES,
    Rows,
    activations,
    estimate,
    guessed,
    lora_weights,
    measured_rate,
    rows_of,
    usual_rate,
)
from llmapp.finetune.goals import settings_for
from llmapp.finetune.lengths import lengths_by
from llmapp.finetune.settings import LoraSettings
from llmapp.finetune.train import with_lora

from ..published_configs import CONFIGS
from .test_train import LABELS

LAPTOP = Hardware("cpu", cores=2, ram=8_000_000_000)
SOME = Rows(300, 40.0, 120)
SORT, WRITE = settings_for("sort", {}), settings_for("answer", {})


def test_every_base_that_can_be_taught_has_the_shape_that_was_published(catalog: Catalog) -> None:
    taught = [model for model in catalog.models("finetune") if model.kind != "seq2seq"]
    assert all(model.shape for model in taught)
    for model in taught:
        if model.id in CONFIGS:
            kind, given = CONFIGS[model.id]
            config = transformers.CONFIG_MAPPING[kind](**given)
            inner = getattr(config, "intermediate_size", None) or getattr(config, "hidden_dim", None)
            found = (config.num_hidden_layers, config.hidden_size, inner or 4 * config.hidden_size)
            assert model.shape == Shape(
                *found, config.num_attention_heads, config.vocab_size, model.kind == "causal" and model.id != "gpt2"
            )


def test_weights_that_learn_are_those_that_lora_makes(base: Base) -> None:
    loaded = load_for_training(base.local, base.model, base.precision, LABELS)
    config = loaded.model.config
    model = with_lora(loaded.model, LoraSettings(rank=4), loaded.fresh)
    made = sum(p.numel() for name, p in model.named_parameters() if p.requires_grad and ".encoder." in name)
    shape = Shape(config.num_hidden_layers, config.hidden_size, config.intermediate_size, 4, config.vocab_size)
    assert lora_weights(shape, 4, writes=True) == made


def test_what_a_step_keeps_is_near_what_was_measured(catalog: Catalog) -> None:
    """Rises of real steps on one core, fp32: `Lowering._rise` of so many rows of equal length."""
    sorter, writer = catalog.model("all-minilm-l6-v2").shape, catalog.model("smollm2-135m-instruct").shape
    assert sorter
    assert writer
    for batch, tokens, measured in ((16, 128, 1268), (4, 256, 794), (16, 256, 2952)):
        assert activations(sorter, batch, Rows(9, tokens, tokens), "float32") / 1e6 == pytest.approx(measured, rel=0.25)
    for batch, tokens, said, measured in (
        (4, 128, 8, 1562),
        (4, 128, 100, 1813),
        (2, 256, 8, 1584),
        (2, 256, 200, 1779),
    ):
        rows = Rows(9, tokens, tokens, said)
        assert activations(writer, batch, rows, "float32") / 1e6 == pytest.approx(measured, rel=0.25)


def test_longer_rows_larger_batches_and_bases_cost_more_and_lowering_less(catalog: Catalog) -> None:
    small = catalog.model("smollm2-135m-instruct")

    def needs(model: Model, rows: Rows = SOME, **changes: int) -> int:
        return estimate(model, rows, "quick", replace(WRITE, **changes), LAPTOP, 10**9).needs

    assert needs(small) < needs(small, batch=16) < needs(catalog.model("smollm2-360m-instruct"), batch=16)
    some, more = (replace(SOME, longest=240, answer=said) for said in (30, 90))
    assert needs(small, replace(SOME, answer=30)) < needs(small, some) < needs(small, more)
    told = estimate(small, SOME, "quick", WRITE, LAPTOP, 10**9)
    assert WORKER_BYTES < told.least < told.needs


def test_the_badge_says_what_fits(catalog: Catalog) -> None:
    model = catalog.model("smollm2-135m-instruct")
    told = estimate(model, SOME, "quick", WRITE, LAPTOP, 0)
    for free, badge in ((told.needs + 10, "fits"), (told.least + 10, "tight"), (told.least - 10, "too_big")):
        assert estimate(model, SOME, "quick", WRITE, LAPTOP, int(free / SHARE)).badge == badge


def test_minutes_go_by_the_trainings_that_were_here(catalog: Catalog) -> None:
    model = catalog.model("all-minilm-l6-v2")
    report = {"base": model.id, "tokens": 60 * 16 * 40, "minutes": 2.0, "steps": 60}
    rate = measured_rate([report, {"base": "gone", "tokens": 5, "minutes": 1.0}, {"base": model.id}], {model.id: model})
    rows = replace(SOME, mean=40.0)  # of 240 rows that teach, in 60 steps of 16
    assert estimate(model, rows, "quick", SORT, LAPTOP, 10**9, rate).minutes == pytest.approx(2.0)
    assert measured_rate([], {}) == 0.0
    rough = estimate(model, rows, "quick", SORT, LAPTOP, 10**9).minutes
    assert rough == pytest.approx(2.0 * rate / usual_rate(LAPTOP))
    assert estimate(model, rows, "thorough", SORT, LAPTOP, 10**9).minutes > rough


def test_rows_are_measured_by_some_and_by_the_longest() -> None:
    texts = ["word " * 10] * 1000 + ["word " * 300]
    rows = rows_of(texts, [], lengths_by(None), SORT)
    assert (rows.count, rows.answer) == (1001, 0)
    assert rows.mean == pytest.approx(15, abs=2)
    assert rows.longest == 256  # no more is read
    both = rows_of(texts, ["yes " * 20] * 1001, lengths_by(None), WRITE)
    assert both.mean > rows.mean
    assert 20 <= both.answer <= 25


def test_a_shape_that_is_not_known_is_guessed_by_size() -> None:
    shape = guessed(110_000_000)
    assert 8 <= shape.layers <= 16
    assert 600 <= shape.hidden <= 1000
