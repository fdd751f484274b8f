"""The fine-tune tab's steps as they are laid out: what to learn, from what, with which model, and how it goes.

Widgets and nothing else: what they do is wired in `finetune.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..finetune.goals import AUTO, GOALS, Goal
from ..finetune.order import MOST_PROMPTS
from ..finetune.records import ENDINGS
from ..finetune.settings import EFFORTS
from .blind import Blind
from .blind import build as build_blind
from .doctor_view import Doctor, build_doctor
from .job_panel import Kind, Panel, build_panel
from .lesson_compare import Compare
from .lesson_compare import build as build_compare
from .lesson_view import View
from .lesson_view import build as build_view
from .push import Away
from .push import build as build_away
from .table_input import FILE_TYPES, TableInput, build_table
from .take_along import Whole
from .take_along import build as build_whole
from .training_settings import Knobs, build_knobs
from .words import w

STEPS = ("goal", "data", "model", "training")
SAMPLES: Mapping[Goal, Path] = {goal: Path(__file__).parent / "samples" / f"{goal}.csv" for goal in GOALS}


@dataclass(frozen=True)
class Way:
    """The steps: `at` is the number of the one that is shown, from 1; `go` are buttons and the step they lead to."""

    walk: gr.Walkthrough
    steps: tuple[gr.Step, ...]
    at: gr.State
    go: tuple[tuple[gr.Button, int], ...]


@dataclass(frozen=True)
class Page:
    """The tab's widgets. `ready` leads on from the table; `kept` is the draft as it was kept last, `begun` whether this
    page has asked for it.
    """

    way: Way
    goal: gr.Radio
    about: gr.HTML
    samples: Mapping[Goal, gr.DownloadButton]
    to_runs: gr.Button
    table: TableInput
    doctor: Doctor
    mine: gr.Button
    ready: gr.Button
    base: gr.Dropdown
    costs: gr.HTML
    effort: gr.Radio
    name: gr.Textbox
    prompts: gr.Textbox
    knobs: Knobs
    start: gr.Button
    refused: gr.HTML
    panel: Panel
    whole: Whole
    away: Away
    view: View
    blind: Blind
    compare: Compare
    fresh: gr.Button
    kept: gr.State
    begun: gr.State

    def form(self) -> list[Any]:
        """What a person fills in."""
        asked = [self.base, self.effort, self.name, self.prompts, *self.knobs.values()]
        return [self.goal, *self.table.inputs(), *asked]


def build_page(kind: Kind) -> Page:
    """Lay it out."""
    with gr.Walkthrough(selected=1, elem_id="finetune-steps") as walk:
        with _step("goal") as first:
            goal, about, samples = _goal()
            with gr.Row():
                to_runs = gr.Button(w("finetune.to_runs"), visible=False, elem_id="finetune-to-runs")
                to_data = gr.Button(w("finetune.next"), variant="primary", elem_id="finetune-next")
        with _step("data") as second:
            with gr.Row(equal_height=False):
                with gr.Column(min_width=320):
                    mine = gr.Button(w("keep.shelf"), visible=False, size="sm", elem_id="finetune-mine")
                    table = build_table("finetune", ("text", "label"), ("second", "system"), (*FILE_TYPES, *ENDINGS))
                with gr.Column(min_width=320):
                    doctor = build_doctor()
            with gr.Row():
                to_goal = _back()
                ready = gr.Button(w("finetune.next"), variant="primary", interactive=False, elem_id="finetune-ready")
        with _step("model") as third:
            base, costs, effort, name, prompts = _asked()
            knobs = build_knobs()
            refused = gr.HTML(elem_id="finetune-refused", padding=False)
            with gr.Row():
                back = _back()
                start = gr.Button(w("finetune.start"), variant="primary", elem_id="finetune-start")
        with _step("training") as fourth:
            panel = build_panel(kind)
            whole = build_whole()
            away = build_away()
            view = build_view()
            blind = build_blind()
            compare = build_compare()
            fresh = gr.Button(w("finetune.fresh"), size="sm", elem_id="finetune-fresh")
    go = ((to_data, 2), (to_runs, 4), (to_goal, 1), (ready, 3), (back, 2), (fresh, 1))
    way = Way(walk, (first, second, third, fourth), gr.State(1), go)
    return Page(
        way=way,
        goal=goal,
        about=about,
        samples=samples,
        to_runs=to_runs,
        table=table,
        doctor=doctor,
        mine=mine,
        ready=ready,
        base=base,
        costs=costs,
        effort=effort,
        name=name,
        prompts=prompts,
        knobs=knobs,
        start=start,
        refused=refused,
        panel=panel,
        whole=whole,
        away=away,
        view=view,
        blind=blind,
        compare=compare,
        fresh=fresh,
        kept=gr.State({}),
        begun=gr.State(False),
    )


def _step(name: str) -> gr.Step:
    number = STEPS.index(name) + 1
    return gr.Step(w(f"finetune.step_{name}"), id=number, elem_id=f"finetune-step-{name}")


def _back() -> gr.Button:
    return gr.Button(w("finetune.back"))


def _goal() -> tuple[gr.Radio, gr.HTML, Mapping[Goal, gr.DownloadButton]]:
    choices = [(w(f"finetune.goal_{each}"), each) for each in GOALS]
    goal = gr.Radio(choices, value=GOALS[0], label=w("finetune.goal"), elem_id="finetune-goal")
    about = gr.HTML(elem_id="finetune-about", padding=False)
    return goal, about, {each: _sample(each) for each in GOALS}


def _sample(goal: Goal) -> gr.DownloadButton:
    """A table of the kind that this goal takes; only the first is in sight at first."""
    path, shown = str(SAMPLES[goal]), goal == GOALS[0]
    return gr.DownloadButton(
        w("finetune.sample"), value=path, visible=shown, size="sm", elem_id=f"finetune-sample-{goal}"
    )


def _asked() -> tuple[gr.Dropdown, gr.HTML, gr.Radio, gr.Textbox, gr.Textbox]:
    base = gr.Dropdown(
        [(w("model.auto"), AUTO)],
        value=AUTO,
        label=w("finetune.base"),
        info=w("finetune.base_info"),
        elem_id="finetune-base",
    )
    costs = gr.HTML(elem_id="finetune-costs", padding=False)
    efforts = [(w(f"finetune.{effort}"), effort) for effort in EFFORTS]
    effort = gr.Radio(efforts, value=EFFORTS[0], label=w("finetune.effort"), elem_id="finetune-effort")
    name = gr.Textbox("", label=w("finetune.name"), placeholder=w("finetune.name_info"), max_length=60)
    prompts = gr.Textbox(
        "",
        label=w("finetune.prompts"),
        info=w("finetune.prompts_info"),
        lines=2,
        max_lines=MOST_PROMPTS,
        max_length=2000,
        visible=False,
        elem_id="finetune-prompts",
    )
    return base, costs, effort, name, prompts
