"""The report card of a training: before and after, the rows behind each number, labels put right, taught again.

Reads the result of a job through the supervisor. Does not know how anything is trained.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from typing import Any

import gradio as gr

from ..errors import BadInput, NotFound
from ..finetune.edits import Edits
from ..finetune.order import TESTED, LessonOrder
from ..messages import say
from ..tasks.watch import read_order
from .events import QUIET, bind
from .facts import facts_line
from .job_panel import Panel, look
from .matrix import matrix
from .notice import notice, quiet
from .owners import owner_of
from .services import Services
from .words import language_of, tell, w
from .writer_card import LUCK, cost, two_inputs, writer_card

SHOWN, CUT = 50, 300
"""Rows shown at once, and characters of a text."""
LISTS = ("wrong", "suspected", "worse")

Row = Mapping[str, Any]
Corrections = tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class View:
    """The widgets. `corrections` are rows whose label a person put right, of the job `about`."""

    box: gr.Column
    which: gr.Dropdown
    rows: gr.HTML
    row: gr.Dropdown
    label: gr.Dropdown
    correct: gr.Button
    said: gr.HTML
    retrain: gr.Button
    corrections: gr.State
    about: gr.State

    def shown(self) -> list[Any]:
        """What shows rows."""
        return [self.rows, self.row, self.label, self.correct, self.said]

    def outputs(self) -> list[Any]:
        """Everything that another report changes."""
        return [self.box, self.which, *self.shown(), self.retrain, self.corrections, self.about]


def build() -> View:
    """Lay it out in the current column, below a panel; out of sight until a training is done."""
    with gr.Column(visible=False, elem_id="lesson-rows") as box:
        which = gr.Dropdown([], label=w("lesson.which"), elem_id="lesson-which", filterable=False)
        rows = gr.HTML(elem_id="lesson-shown", padding=False)
        with gr.Row():
            row = gr.Dropdown([], label=w("lesson.row"), visible=False, elem_id="lesson-row")
            label = gr.Dropdown([], label=w("lesson.label"), visible=False, elem_id="lesson-label", filterable=False)
        correct = gr.Button(w("lesson.correct"), visible=False, size="sm", elem_id="lesson-correct")
        said = gr.HTML(elem_id="lesson-said", padding=False)
        retrain = gr.Button(w("lesson.retrain"), visible=False, variant="primary", elem_id="lesson-retrain")
    return View(box, which, rows, row, label, correct, said, retrain, gr.State(()), gr.State(""))


def wire(services: Services, opened: Callable[..., Any], panel: Panel, view: View) -> None:
    """A number of the matrix and a list open their rows; a row's label is put right; the rest is a new training."""
    refused: dict[str, Any] = {"said": view.said}
    changed = bind(_changed, services, view, **refused)
    known = [panel.chosen, view.about]
    panel.ended.change(changed, known, view.outputs(), **QUIET)
    opened(changed, known, view.outputs(), **QUIET)
    panel.report.click(bind(_pressed, services, view, **refused), [panel.chosen], view.shown(), **QUIET)
    view.which.input(bind(_listed, services, view, **refused), [panel.chosen, view.which], view.shown(), **QUIET)
    corrected = bind(_corrected, services, view, **refused)
    given = [panel.chosen, view.row, view.label, view.corrections]
    view.correct.click(corrected, given, [view.corrections, view.retrain, view.said], **QUIET)
    again = bind(_retrained, services, panel, view, **refused)
    view.retrain.click(again, [panel.chosen, view.corrections], [*panel.outputs(), view.said], **QUIET)


def card(report: Mapping[str, Any], language: str) -> str:
    """HTML for the figures: what was right before and after, whether that could be luck, each label, the matrix."""
    if "chrf" in report["after"]:
        return writer_card(report, language)
    after, before, rows = report["after"], report["before"], report["test_rows"]
    right, was = (round(side["accuracy"] * rows) for side in (after, before))
    verdict = say("lesson.verdict", language, rows=rows, before=was, after=right)
    code = "luck" if report["p"] >= LUCK else "real" if right > was else "got_worse"
    kind = "good" if code == "real" else ""
    said = notice(f"{verdict} {say(f'lesson.{code}', language, p=report['p'])}", kind)
    if right <= was:
        said += notice(say("lesson.no_gain", language, train=report["train_rows"]))
    scores = {name: after[name] for name in ("accuracy", "macro_f1")}
    how = say(f"lesson.before_{before.get('kind', 'commonest')}", language, answer=before["answer"])
    worse = say("lesson.worse", language, rows=report["worse"]) if report.get("worse") else ""
    return (
        said
        + f"<p>{escape(say('finetune.scores', language, **scores))} {escape(worse)}</p>"
        + quiet(how)
        + _labels(after["labels"], language)
        + matrix(report["labels"], report["labels"], report["confusion"], language, cells=True)
        + notice(say("finetune.use", language))
        + two_inputs(report, language)
        + quiet(cost(report, language))
        + quiet(facts_line({**report, "model_name": report["base"], "weights": ""}, language))
    )


def _labels(labels: Mapping[str, Mapping[str, float]], language: str) -> str:
    """How well each label is found."""
    heads = "".join(f"<th scope='col'>{escape(say(f'lesson.head_{name}', language))}</th>" for name in _COLUMNS)
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{each['precision']:.0%}</td><td>{each['recall']:.0%}</td>"
        f"<td>{each['f1']:.0%}</td><td>{each['rows']:,}</td></tr>"
        for name, each in labels.items()
    )
    return (
        f"<div class='scroll'><table class='matrix'><thead><tr><th></th>{heads}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


_COLUMNS = ("precision", "recall", "f1", "rows")


def result_of(services: Services, job: str | None, request: gr.Request) -> tuple[Mapping[str, Any], list[Row]]:
    """The report and the tested rows of a training that is done; nothing where there is none."""
    try:
        return _result(services, job, request)
    except NotFound:
        return {}, []


def _result(services: Services, job: str | None, request: gr.Request) -> tuple[Mapping[str, Any], list[Row]]:
    """As `result_of`. Raises NotFound."""
    owner = owner_of(services.settings, request)
    if not job or services.supervisor.status(job, owner).state != "done":
        raise NotFound("no_report", job=job or "")
    report = services.supervisor.report(job, owner)
    return report, tested_rows(services, job, owner) or list(report.get("wrong", ()))  # what an earlier version kept


def tested_rows(services: Services, job: str, owner: str) -> list[Row]:
    """Every row that a training was tested on; none where an earlier version kept none. Raises NotFound."""
    try:
        found = json.loads((services.supervisor.result_path(job, owner) / TESTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return list(found)


def _changed(services: Services, view: View, job: str | None, about: str, request: gr.Request) -> dict[Any, Any]:
    """Another training is shown, or this one has ended: what can be looked at, and nothing corrected yet."""
    report, tested = result_of(services, job, request)
    if not report.get("labels"):  # none is done, or it learned to write
        return {view.box: gr.update(visible=False), view.said: "", view.about: ""}
    if about == job:
        return {view.said: gr.skip()}
    lists = _lists(report, tested)
    choices = [(tell(request, f"lesson.list_{name}", rows=len(lists[name])), name) for name in LISTS]
    first = next((name for name in LISTS if lists[name]), LISTS[0])
    return {
        view.box: gr.update(visible=True),
        view.which: gr.update(choices=choices, value=first),
        view.retrain: gr.update(visible=False),
        view.corrections: (),
        view.about: job,
        **_shown(view, report, lists[first], request),
    }


def _lists(report: Mapping[str, Any], tested: Sequence[Row]) -> dict[str, Sequence[Row]]:
    wrong = sorted((row for row in tested if row["answer"] != row["label"]), key=lambda row: -row["probability"])
    worse = [row for row in wrong if row.get("before") == row["label"]]
    return {"wrong": wrong, "suspected": report.get("suspected", ()), "worse": worse}


def _listed(services: Services, view: View, job: str, which: str, request: gr.Request) -> dict[Any, Any]:
    report, tested = _result(services, job, request)
    return _shown(view, report, _lists(report, tested)[which], request)


def _pressed(services: Services, view: View, job: str, request: gr.Request, event: gr.EventData) -> dict[Any, Any]:
    """The rows behind the number that was pressed."""
    report, tested = _result(services, job, request)
    try:
        i, j = (int(part) for part in str(event._data["cell"]).split(","))
        label, answer = report["labels"][i], report["labels"][j]
    except (KeyError, TypeError, ValueError, IndexError):
        return {view.said: ""}
    return _shown(view, report, [r for r in tested if (r["label"], r["answer"]) == (label, answer)], request)


def _shown(view: View, report: Mapping[str, Any], rows: Sequence[Row], request: gr.Request) -> dict[Any, Any]:
    language, few = language_of(request), rows[:SHOWN]
    choices = [(f"{row['row']}: {row['text'][:60]}", row["row"]) for row in few]
    first = few[0] if few else None
    return {
        view.rows: _table(few, len(rows), language),
        view.row: gr.update(choices=choices, value=first["row"] if first else None, visible=bool(few)),
        view.label: gr.update(choices=report["labels"], value=first["answer"] if first else None, visible=bool(few)),
        view.correct: gr.update(visible=bool(few)),
        view.said: "",
    }


def _table(rows: Sequence[Row], total: int, language: str) -> str:
    if not rows:
        return quiet(say("lesson.none", language))
    names = ("row", "text", "truth", "label", "score")
    heads = "".join(f"<th>{escape(say(f'truth.head_{name}', language))}</th>" for name in names)
    body = "".join(
        f"<tr><td class='quiet'>{row['row']}</td><td dir='auto'>{escape(row['text'][:CUT])}</td>"
        f"<td>{escape(row['label'])}</td><td>{escape(row['answer'])}</td><td>{row['probability']:.2f}</td></tr>"
        for row in rows
    )
    table = f"<table class='matrix'><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    more = quiet(say("doctor.more", language, rows=total - len(rows))) if total > len(rows) else ""
    return f"<div class='scroll'>{table}</div>{more}"


def _corrected(
    services: Services, view: View, job: str, row: int, label: str, corrections: Corrections, request: gr.Request
) -> dict[Any, Any]:
    """One more label put right; of one row the last counts."""
    report, tested = _result(services, job, request)
    known = {each["row"]: each for each in (*report.get("suspected", ()), *tested)}
    if row not in known or label not in report["labels"]:
        raise BadInput("lesson_pick")
    made = tuple((dict(corrections) | {row: label}).items())
    said = tell(request, "lesson.corrected", row=row, label=label)
    button = tell(request, "lesson.retrain_with", count=len(made))
    return {
        view.corrections: made,
        view.retrain: gr.update(value=button, visible=True),
        view.said: notice(said, "good"),
    }


def _retrained(
    services: Services, panel: Panel, view: View, job: str, corrections: Corrections, request: gr.Request
) -> dict[Any, Any]:
    """A training with the same table and these labels; its id is chosen."""
    owner = owner_of(services.settings, request)
    services.guard.job(request, panel.kind.name)
    order = read_order(LessonOrder, services.supervisor.spec(job, owner))
    order = replace(order, edits=order.edits.then(Edits(labels=corrections)))
    new = services.supervisor.again(job, owner, asdict(order))
    return look(services, panel, new, request) | {view.said: ""}
