"""The columns of the fine-tune tab: two inputs, the system and whole conversations are guessed, shown and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ..running_app import App
from .test_security import as_on_the_page
from .visitor import Outcome, Visitor, event_of

COLUMNS = ("text", "label", "second", "system")
ALPACA = [
    {"instruction": f"Say {i}.", "input": f"of {i}", "output": f"It is {i}.", "system": "Be kind."} for i in range(24)
]
TALKS = [
    {
        "messages": [
            {"role": "user", "content": f"What is {i}?"},
            {"role": "assistant", "content": f"A number, {i}."},
            {"role": "user", "content": f"And {i * 7}?"},
            {"role": "assistant", "content": f"Another, {i}: ada@example.org."},
        ]
    }
    for i in range(24)
]


@pytest.fixture
def visitor(tiny_app: App) -> Visitor:
    found = Visitor(tiny_app.url)
    found.open_page()
    return found


def happens(visitor: Visitor, widget: str, kind: str, named: Mapping[str, Any]) -> Outcome:
    index, inputs = event_of(visitor.config(), f"finetune-{widget}", kind)
    return visitor.run(index, as_on_the_page(inputs, {f"finetune-{name}": value for name, value in named.items()}))


def given(visitor: Visitor, records: Sequence[Any], goal: str) -> dict[str, Any]:
    return {"file": visitor.uploaded("rows.json", json.dumps(records).encode()), "goal": goal}


def picked(outcome: Outcome) -> list[str]:
    return [column["value"] for column in outcome.data[: len(COLUMNS)]]


def test_alpacas_columns_are_guessed_and_shown(visitor: Visitor) -> None:
    named = given(visitor, ALPACA, "answer")
    seen = happens(visitor, "file", "change", named)
    assert picked(seen) == ["instruction", "output", "input", "system"]
    assert [len(column["choices"]) for column in seen.data[:4]] == [4, 4, 5, 5]  # the last two may be none
    assert "24 pairs can be used" in seen.data[4]
    assert seen.data[5]["value"]["headers"] == ["instruction", "output", "input", "system"]
    chosen = dict(zip(COLUMNS, ("instruction", "output", "", "output"), strict=True))
    assert "`output` is chosen twice" in happens(visitor, "second", "input", named | chosen).said


def test_what_sorts_takes_no_system_prompt(visitor: Visitor) -> None:
    rows = [{"title": f"Film {i}", "review": f"It is {i}.", "label": ("good", "bad")[i % 2]} for i in range(24)]
    assert picked(happens(visitor, "file", "change", given(visitor, rows, "sort"))) == ["title", "label", "review", ""]


def test_conversations_are_taken_whole_and_looked_over(visitor: Visitor) -> None:
    named = given(visitor, TALKS, "answer")
    seen = happens(visitor, "file", "change", named)
    assert picked(seen) == ["conversation", "reply", "", ""]
    assert "24 conversations with 48 answers can be used" in seen.data[4]
    first = dict(zip(COLUMNS, ("question", "answer", "", ""), strict=True))
    said = happens(visitor, "text", "input", named | first).data[4]
    assert "24 pairs can be used" in said
    assert "24 later ones are not" in said
