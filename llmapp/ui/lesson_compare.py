"""Trainings beside each other: settings, scores and curves of two; and the name of the one that is shown.

Reads results of jobs through the supervisor. Does not know how anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from ..errors import BadInput
from ..finetune.evaluate import mcnemar
from ..messages import say
from .events import QUIET, bind
from .job_panel import Panel, look
from .lesson_view import Row, tested_rows
from .notice import notice, quiet
from .owners import owner_of
from .services import Services
from .training_view import compared_curves
from .words import language_of, tell, w
from .writer_card import LUCK

SCORES = {"accuracy": "{:.1%}", "macro_f1": "{:.1%}", "chrf": "{:.1f}", "exact": "{:.1%}", "perplexity": "{:.1f}"}
FACTS = {
    "train_rows": "{:,}",
    "test_rows": "{:,}",
    "steps": "{:,}",
    "minutes": "{:.1f}",
    "peak_mb": "{:,.0f}",
    "base": "{}",
    "precision": "{}",
}
NAME_MOST = 60


@dataclass(frozen=True)
class Compare:
    """The widgets."""

    box: gr.Accordion
    name: gr.Textbox
    rename: gr.Button
    other: gr.Dropdown
    shown: gr.HTML
    said: gr.HTML


@dataclass(frozen=True)
class Run:
    """A training that is done: what it is called, what came of it, what happened, and the rows it was tested on."""

    name: str
    report: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]
    tested: Sequence[Row]


def build() -> Compare:
    """Lay it out in the current column, folded; out of sight until a training is done."""
    with gr.Accordion(w("runs.title"), open=False, visible=False, elem_id="lesson-compare") as box:
        with gr.Row(equal_height=True):
            name = gr.Textbox("", label=w("runs.name"), max_length=NAME_MOST, scale=3, elem_id="lesson-name")
            rename = gr.Button(w("runs.rename"), size="sm", min_width=80, elem_id="lesson-rename")
        other = gr.Dropdown([], label=w("runs.with"), elem_id="lesson-other")
        shown = gr.HTML(elem_id="lesson-beside", padding=False)
        said = gr.HTML(elem_id="lesson-compare-said", padding=False)
    return Compare(box, name, rename, other, shown, said)


def wire(services: Services, opened: Callable[..., Any], panel: Panel, view: Compare) -> None:
    """Another training can be set beside the one that is chosen, which can be given another name."""
    offered = bind(_offered, services, panel, view, said=view.said)
    outputs = [view.box, view.name, view.other, view.shown, view.said]
    for event in (panel.ended.change, opened):
        event(offered, [panel.chosen, view.other], outputs, **QUIET)
    beside = bind(_beside, services, view, said=view.said)
    view.other.input(beside, [panel.chosen, view.other], [view.shown, view.said], **QUIET)
    renamed = bind(_renamed, services, panel, view, said=view.said)
    for press in (view.rename.click, view.name.submit):
        press(renamed, [panel.chosen, view.name], [*panel.outputs(), view.said], **QUIET)


def _offered(
    services: Services, panel: Panel, view: Compare, job: str, other: str | None, request: gr.Request
) -> dict[Any, Any]:
    """What the chosen training is called, and the others that are done."""
    owner = owner_of(services.settings, request)
    done = [s.id for s in services.supervisor.jobs(owner) if s.kind == panel.kind.name and s.state == "done"]
    if job not in done:
        return {view.box: gr.update(visible=False), view.shown: ""}
    choices = [(services.supervisor.name(each, owner), each) for each in done if each != job]
    kept = other if other in {each for _, each in choices} else None
    return {
        view.box: gr.update(visible=True),
        view.name: services.supervisor.name(job, owner),
        view.other: gr.update(choices=choices, value=kept, visible=bool(choices)),
        view.shown: _drawn(services, job, kept, owner, language_of(request)) if kept else "",
    }


def _beside(services: Services, view: Compare, job: str, other: str | None, request: gr.Request) -> dict[Any, Any]:
    owner = owner_of(services.settings, request)
    drawn = _drawn(services, job, other, owner, language_of(request)) if other else ""
    return {view.shown: drawn, view.said: ""}


def _renamed(
    services: Services, panel: Panel, view: Compare, job: str, name: str, request: gr.Request
) -> dict[Any, Any]:
    """The training and, where it is still there, its adapter are called so from now on."""
    owner, name = owner_of(services.settings, request), " ".join(name.split())[:NAME_MOST]
    if not name:
        raise BadInput("no_name")
    services.supervisor.rename(job, owner, name)
    if any(adapter.id == job for adapter in services.catalog.adapters(owner)):
        services.catalog.rename_adapter(job, owner, name)
    return look(services, panel, job, request) | {view.said: notice(tell(request, "runs.renamed", name=name), "good")}


def _drawn(services: Services, job: str, other: str, owner: str, language: str) -> str:
    return beside(_run(services, job, owner), _run(services, other, owner), language)


def _run(services: Services, job: str, owner: str) -> Run:
    supervisor = services.supervisor
    made = supervisor.report(job, owner), supervisor.events(job, owner), tested_rows(services, job, owner)
    return Run(supervisor.name(job, owner), *made)


def beside(one: Run, other: Run, language: str) -> str:
    """HTML: a verdict where both were tested on the same rows, a table, and the curves over each other."""
    heads = "".join(f"<th scope='col' dir='auto'>{escape(run.name)}</th>" for run in (one, other))
    body = "".join(
        f"<tr{_differs(a, b)}><th scope='row'>{escape(title)}</th><td>{escape(a)}</td><td>{escape(b)}</td></tr>"
        for title, a, b in _lines(one, other, language)
    )
    table = f"<table class='matrix compared'><thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody></table>"
    drawn = compared_curves((one.events, other.events), (one.name, other.name), language)
    return f"{_verdict(one, other, language)}<div class='scroll'>{table}</div>{drawn}"


def _differs(one: str, other: str) -> str:
    return " class='differs'" if one != other else ""


def _lines(one: Run, other: Run, language: str) -> Iterator[tuple[str, str, str]]:
    """(what, of the one, of the other)"""
    for name, form in SCORES.items():
        if name in {*one.report["after"], *other.report["after"]}:
            yield say(f"runs.{name}", language), _score(one, name, form), _score(other, name, form)
    for name, form in FACTS.items():
        yield say(f"runs.{name}", language), _cell(one.report.get(name), form), _cell(other.report.get(name), form)
    chosen, others = one.report["settings"], other.report["settings"]
    for name in chosen:
        yield say(f"training.{name}", language), _cell(chosen[name], "{}"), _cell(others.get(name), "{}")


def _score(run: Run, name: str, form: str) -> str:
    """`before → after`."""
    sides = [run.report[side].get(name) for side in ("before", "after")]
    return " → ".join(_cell(value, form) for value in sides) if any(value is not None for value in sides) else "–"


def _cell(value: Any, form: str) -> str:
    return "–" if value is None else form.format(value)


def _verdict(one: Run, other: Run, language: str) -> str:
    """Which is better on the same rows, and whether that could be luck; that they were tested on others."""
    hits = [{row["row"]: row["answer"] == row["label"] for row in run.tested} for run in (one, other)]
    same_rows = hits[0].keys() == hits[1].keys() and one.report["sha256"] == other.report["sha256"]
    if not same_rows or not hits[0]:
        return notice(say("runs.other_rows", language))
    if "accuracy" not in one.report["after"]:
        return quiet(say("runs.same_rows", language, rows=len(hits[0])))
    p = mcnemar([hits[1][row] for row in hits[0]], list(hits[0].values()))
    counts = {"one": sum(hits[0].values()), "other": sum(hits[1].values()), "rows": len(hits[0])}
    code = "runs.luck" if p >= LUCK else "runs.real"
    return notice(f"{say('runs.verdict', language, **counts)} {say(code, language, p=p)}")
