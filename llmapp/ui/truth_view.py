"""Under a judged table: the rows behind a number of its matrix, and what the labels of the table mean.

Reads the result of a job through the supervisor. Does not know how rows are judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice
from typing import Any

import gradio as gr

from ..bulk.truth import Compared, cell_rows, remap
from ..errors import NotFound
from ..messages import say
from .events import QUIET, bind
from .job_panel import Panel, look
from .label_words import label_word
from .matrix import matrix
from .notice import notice, quiet
from .owners import owner_of
from .services import Services
from .words import language_of, tell, w

PAGE = 20
"""Rows shown at once."""

Place = tuple[str, int, int, int]
"""A job, a cell of its matrix, and how many of its rows stand before those that are shown."""


@dataclass(frozen=True)
class View:
    """The widgets; `place` is what is shown."""

    rows: gr.HTML
    earlier: gr.Button
    later: gr.Button
    place: gr.State
    meanings: gr.Accordion
    value: gr.Dropdown
    label: gr.Dropdown
    said: gr.HTML

    def shown(self) -> list[Any]:
        """What shows rows."""
        return [self.rows, self.earlier, self.later, self.place, self.said]


def build() -> View:
    """Lay it out in the current column, below a panel."""
    rows = gr.HTML(elem_id="truth-rows", padding=False)
    with gr.Row():
        earlier = gr.Button(w("truth.earlier"), visible=False, size="sm", elem_id="truth-earlier")
        later = gr.Button(w("truth.later"), visible=False, size="sm", elem_id="truth-later")
    with gr.Accordion(w("truth.meanings"), open=True, visible=False, elem_id="truth-meanings") as meanings, gr.Row():
        value = gr.Dropdown([], label=w("truth.value"), elem_id="truth-value", filterable=False)
        label = gr.Dropdown([], label=w("truth.label"), elem_id="truth-label", filterable=False)
    return View(rows, earlier, later, gr.State(None), meanings, value, label, gr.HTML(padding=False))


def wire(services: Services, opened: Callable[..., Any], panel: Panel, view: View) -> None:
    """Numbers of the panel's report open their rows; a label that is given another meaning changes the report."""
    refused: dict[str, Any] = {"said": view.said}
    panel.report.click(bind(_pressed, services, view, **refused), [panel.chosen], view.shown(), **QUIET)
    for button, step in ((view.earlier, -PAGE), (view.later, PAGE)):
        button.click(bind(_turned, services, view, step, **refused), [view.place], view.shown(), **QUIET)
    offers = [view.meanings, view.value, view.label]
    changed = bind(_changed, services, panel, view, **refused)
    panel.report.change(changed, [panel.chosen], [*offers, *view.shown()], **QUIET)
    # A report that was drawn before its tab was opened never changes.
    opened(bind(_offered, services, panel, view, **refused), [panel.chosen], [*offers, view.said], **QUIET)
    picked = bind(_picked, services, view, **refused)
    view.value.input(picked, [panel.chosen, view.value], [view.label, view.said], **QUIET)
    mapped = bind(_mapped, services, panel, **refused)
    view.label.input(mapped, [panel.chosen, view.value, view.label], [*panel.outputs(), view.said], **QUIET)


def agreement(truth: Mapping[str, Any], language: str) -> str:
    """HTML for what a report says about true labels: figures, F1 of each label, the matrix, what was left out."""
    if "accuracy" not in truth:
        said = notice(say("truth.none_known", language, column=truth["column"]))
    else:
        values = {name: truth[name] for name in ("column", "rows", "accuracy", "macro_f1")}
        said = notice(say("truth.figures", language, **values), "good")
        figures = truth["by_label"].items()
        said += quiet(*(f"{label_word(label, language)}: F1 {each['f1']:.1%}" for label, each in figures))
    if truth["others"]:
        left = sum(sum(row) for row in truth["confusion"][len(truth["answers"]) :])
        said += notice(say("truth.left_out", language, rows=left, labels=", ".join(truth["others"])))
    answers = [label_word(label, language) for label in truth["answers"]]
    table = matrix((*answers, *truth["others"]), answers, truth["confusion"], language, cells=True)
    return f"{said}{table}"


def _truth(services: Services, job: str | None, request: gr.Request) -> Mapping[str, Any]:
    """What the report of a job says about true labels. Raises NotFound where it has none."""
    owner = owner_of(services.settings, request)
    ended = job and services.supervisor.status(job, owner).state == "done"
    truth = services.supervisor.report(job, owner).get("truth") if job and ended else None
    if not truth:
        raise NotFound("no_report", job=job or "")
    return dict(truth)


def _pressed(
    services: Services, view: View, job: str | None, request: gr.Request, event: gr.EventData
) -> dict[Any, Any]:
    """The first rows behind the number that was pressed."""
    try:
        i, j = (int(part) for part in str(event._data["cell"]).split(","))
    except (KeyError, TypeError, ValueError):
        return {view.said: ""}
    return _rows(services, view, (job or "", i, j, 0), request)


def _turned(services: Services, view: View, step: int, place: Place | None, request: gr.Request) -> dict[Any, Any]:
    if place is None:
        return {view.said: ""}
    job, i, j, start = place
    return _rows(services, view, (job, i, j, max(0, start + step)), request)


def _rows(services: Services, view: View, place: Place, request: gr.Request) -> dict[Any, Any]:
    job, i, j, start = place
    truth = _truth(services, job, request)
    names = (*truth["answers"], *truth["others"])
    if not (0 <= i < len(names) and 0 <= j < len(truth["answers"])):
        raise NotFound("no_report", job=job)
    folder = services.supervisor.result_path(job, owner_of(services.settings, request))
    found = cell_rows(folder, truth["means"], names[i], truth["answers"][j])
    rows = list(islice(found, start, start + PAGE))
    total = truth["confusion"][i][j]
    language, answers = language_of(request), len(truth["answers"])
    values = {
        "truth": label_word(names[i], language) if i < answers else names[i],
        "answer": label_word(names[j], language),
        "first": start + 1,
        "last": start + len(rows),
    }
    title = tell(request, "truth.rows", **values, total=total)
    return {
        view.rows: f"<h4>{escape(title)}</h4>{_table(rows, language)}",
        view.earlier: gr.update(visible=start > 0),
        view.later: gr.update(visible=start + len(rows) < total),
        view.place: place,
        view.said: "",
    }


def _table(rows: Sequence[Compared], language: str) -> str:
    heads = "".join(f"<th>{escape(say(f'truth.head_{name}', language))}</th>" for name in Compared.__annotations__)
    body = "".join(
        f"<tr><td class='quiet'>{row.row}</td><td dir='auto'>{escape(row.text)}</td><td>{escape(row.truth)}</td>"
        f"<td>{escape(label_word(row.label, language))}</td><td>{row.score:.2f}</td></tr>"
        for row in rows
    )
    return (
        f"<div class='scroll'><table class='matrix'><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _changed(services: Services, panel: Panel, view: View, job: str | None, request: gr.Request) -> dict[Any, Any]:
    """Another report is shown: its labels are offered, and rows of the one before are no longer."""
    gone = dict.fromkeys((view.earlier, view.later), gr.update(visible=False))
    return {view.rows: "", view.place: None, **gone, **_offered(services, panel, view, job, request)}


def _offered(services: Services, panel: Panel, view: View, job: str | None, request: gr.Request) -> dict[Any, Any]:
    """The labels of the report that is shown, the newest where no job is chosen yet."""
    mine = services.supervisor.jobs(owner_of(services.settings, request))
    newest = next((status.id for status in mine if status.kind == panel.kind.name), None)
    try:
        truth = _truth(services, job or newest, request)
    except NotFound:
        return {view.meanings: gr.update(visible=False), view.said: ""}
    first = next(iter((*truth["others"], *truth["means"])), None)
    return {
        view.said: "",
        view.meanings: gr.update(visible=bool(truth["means"])),
        view.value: gr.update(choices=list(truth["means"]), value=first),
        view.label: _meaning(truth, first, request),
    }


def _picked(services: Services, view: View, job: str, value: str, request: gr.Request) -> dict[Any, Any]:
    return {view.label: _meaning(_truth(services, job, request), value, request), view.said: ""}


def _meaning(truth: Mapping[str, Any], value: str | None, request: gr.Request) -> Any:
    choices = [
        (tell(request, "truth.nothing"), ""),
        *((label_word(label, language_of(request)), label) for label in truth["labels"]),
    ]
    return gr.update(choices=choices, value=truth["means"].get(value, ""))


def _mapped(services: Services, panel: Panel, job: str, value: str, label: str, request: gr.Request) -> dict[Any, Any]:
    """Give a label of the table its meaning; the report is drawn anew."""
    _truth(services, job, request)
    remap(services.supervisor.result_path(job, owner_of(services.settings, request)), value, label)
    return look(services, panel, job, request)
