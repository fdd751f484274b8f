"""What a person can want a model to learn, and how each is usually taught. Data only.

Starting values of writing: LoRA on all linear layers at about ten times the rate of full training (Schulman et al.
2025, "LoRA Without Regret"), small batches, since a row is an answer of many tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal, get_args

from ..catalog import Kind, Model, Task
from ..errors import BadInput
from .settings import LoraSettings

Goal = Literal["sort", "answer", "rewrite"]
GOALS: tuple[Goal, ...] = get_args(Goal)
AUTO = "auto"
SORTER, WRITER, MANY_LANGUAGES = "all-minilm-l6-v2", "smollm2-135m-instruct", "gemma-3-270m"
"""The bases that "auto" means: they come with the app and learn on a processor in minutes."""
KINDS: Mapping[Goal, tuple[Kind, ...]] = {
    "sort": ("encoder", "classifier"),
    "answer": ("causal",),
    "rewrite": ("causal",),
}
TASKS: Mapping[Goal, Task] = {"sort": "sentiment", "answer": "chat", "rewrite": "chat"}
"""The tab in which what was learned is at hand."""
_WRITING: Mapping[str, Any] = {
    "rank": 16,
    "alpha": 32,
    "dropout": 0.05,
    "learning_rate": 5e-4,
    "batch": 8,
    "max_tokens": 512,
}


def check_goal(goal: str) -> Goal:
    """The goal. Raises BadInput for one that is not one of GOALS."""
    for known in GOALS:
        if goal == known:
            return known
    raise BadInput("setting_choice", name="goal", value=goal, choices=", ".join(GOALS))


def settings_for(goal: Goal, changed: Mapping[str, Any]) -> LoraSettings:
    """The usual settings of a goal, with those that a person changed. Raises BadInput for names that there are not, and
    for values that are no numbers, no whole ones or out of bounds.
    """
    usual: dict[str, Any] = asdict(LoraSettings(**({} if goal == "sort" else _WRITING)))
    for name, value in changed.items():
        if name not in usual:
            raise BadInput("setting_choice", name="settings", value=name, choices=", ".join(usual))
        kind = type(usual[name])
        if isinstance(value, bool) or not isinstance(value, (int, float)) or kind(value) != value:
            raise BadInput("api_type", name=f"settings.{name}", value=f"{value!r:.80}", wanted=kind.__name__)
        usual[name] = kind(value)
    return LoraSettings(**usual)


def check_base(goal: Goal, model: Model) -> None:
    """Raises BadInput for a base that can not learn this."""
    if model.kind not in KINDS[goal]:
        raise BadInput("training_base" if goal == "sort" else "training_writer", model=model.name)
