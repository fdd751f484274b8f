"""Drafts of other versions, or torn ones, never break the tab."""

from __future__ import annotations

from typing import Any

import pytest

from llmapp.finetune.edits import Edits
from llmapp.ui.finetune_draft import NOTHING, checked

DRAFT = {
    **NOTHING,
    "goal": "answer",
    "effort": "thorough",
    "name": "Rosewood",
    "settings": {"rank": 4, "learning_rate": 0.0001},
    "edits": [{"dropped": [3], "labels": [[4, "praise"]], "texts": []}],
    "step": 3,
}


def test_a_draft_of_this_version_is_as_it_was() -> None:
    assert checked(DRAFT) == DRAFT
    assert checked(NOTHING) == NOTHING


@pytest.mark.parametrize(
    ("name", "value"),
    [("goal", "sing"), ("effort", "endless"), ("step", 9), ("step", "three"), ("name", 5), ("settings", [1])],
)
def test_what_this_version_does_not_know_is_as_usual(name: str, value: Any) -> None:
    assert checked({**DRAFT, name: value}) == {**DRAFT, name: NOTHING[name]}


@pytest.mark.parametrize(
    ("name", "value"),
    [("settings", {"rank": 100_000}), ("settings", {"depth": 3}), ("edits", [{"torn": 1}]), ("edits", ["x"])],
)
def test_settings_and_edits_that_can_not_be_taken_go_together(name: str, value: Any) -> None:
    assert checked({**DRAFT, name: value}) == {**DRAFT, "settings": {}, "edits": []}


def test_a_draft_of_before_has_no_second_input() -> None:
    assert checked({name: value for name, value in DRAFT.items() if name not in ("second", "system")}) == DRAFT


def test_a_newer_versions_values_are_left_out() -> None:
    assert checked({**DRAFT, "colour": "blue"}) == DRAFT
    assert Edits(**DRAFT["edits"][0]).dropped == (3,)  # type: ignore[index]
