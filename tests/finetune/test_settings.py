"""Knobs refuse nonsense and have words; effort buys steps."""

from __future__ import annotations

from dataclasses import fields

import pytest

from llmapp.errors import BadInput
from llmapp.finetune.settings import EFFORTS, LoraSettings, step_budget
from llmapp.messages import LANGUAGES, say


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_knob_has_a_label_and_a_consequence(language: str) -> None:
    for knob in fields(LoraSettings):
        assert say(f"training.{knob.name}", language)
        assert say(f"training.{knob.name}_effect", language)


@pytest.mark.parametrize("knob", fields(LoraSettings), ids=lambda knob: knob.name)
def test_a_value_out_of_bounds_is_refused_with_the_bounds(knob: object) -> None:
    with pytest.raises(BadInput, match=rf"`{knob.name}` is .* between"):
        LoraSettings(**{knob.name: knob.metadata["high"] * 2})


@pytest.mark.parametrize(
    ("effort", "rows", "steps"),
    [
        ("quick", 1600, 120),
        ("balanced", 1600, 400),
        ("thorough", 1600, 1200),
        ("quick", 240, 60),
        ("balanced", 240, 200),
        ("balanced", 40, 60),
        ("balanced", 100_000, 1000),
        ("thorough", 100_000, 3000),
        ("quick", 3, 20),
    ],
)
def test_effort_buys_steps(effort: str, rows: int, steps: int) -> None:
    assert step_budget(effort, rows, 16) == steps


def test_an_unknown_effort_is_refused() -> None:
    assert EFFORTS == ("quick", "balanced", "thorough")
    with pytest.raises(BadInput, match="quick, balanced, thorough"):
        step_budget("heroic", 100, 16)
