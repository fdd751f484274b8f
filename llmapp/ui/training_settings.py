"""The knobs of a training as a form: each with what it does and what is usual for the goal.

Knows `LoraSettings` by its fields alone. Does not know rows, models or jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import gradio as gr

from ..finetune.goals import GOALS, Goal, settings_for
from ..finetune.settings import LoraSettings
from .words import tell, w

Knobs = Mapping[str, gr.Number]


def build_knobs() -> Knobs:
    """Lay them out in the current column, folded."""
    with gr.Accordion(w("finetune.details"), open=False, elem_id="finetune-details"):
        usual = asdict(settings_for(GOALS[0], {}))
        return {
            item.name: gr.Number(
                usual[item.name],
                label=w(f"training.{item.name}"),
                info=w(f"training.{item.name}_effect"),
                precision=0 if isinstance(usual[item.name], int) else None,
                minimum=item.metadata["low"],
                maximum=item.metadata["high"],
                step=1 if isinstance(usual[item.name], int) else 0.00001,
                elem_id=f"finetune-{item.name}",
            )
            for item in fields(LoraSettings)
        }


def usual_knobs(knobs: Knobs, goal: Goal, changed: Mapping[str, Any], request: gr.Request) -> dict[Any, Any]:
    """What they show for a goal: what is usual, or what a person has set, and beside it what is usual."""
    usual = asdict(settings_for(goal, {}))
    return {
        knob: gr.update(
            value=changed.get(name, usual[name]),
            info=f"{tell(request, f'training.{name}_effect')} {tell(request, 'training.usual', value=usual[name])}",
        )
        for name, knob in knobs.items()
    }


def changed_knobs(knobs: Knobs, goal: Goal, given: Mapping[Any, Any]) -> dict[str, Any]:
    """Those that are not as usual; an emptied one is. What is out of bounds is found where a training is ordered."""
    usual = asdict(settings_for(goal, {}))
    set_to = {name: given[knob] for name, knob in knobs.items() if given[knob] is not None}
    return {name: value for name, value in set_to.items() if value != usual[name]}
