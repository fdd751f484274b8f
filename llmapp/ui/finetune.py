"""The fine-tune tab, first form: a table of texts and labels in, a trained classifier out, proven on unseen rows.

Starts jobs and reads their folders; what trains is a process of its own and does not know this page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import LlmappError
from ..finetune.dataset import guess_columns, read_table, validate
from ..finetune.settings import EFFORTS
from ..jobs.job import JobStatus
from ..messages import say
from .events import QUIET, bind
from .notice import notice
from .owners import owner_of
from .services import Services
from .words import language_of, tell, w

Act = Callable[[Services, str, gr.Request], None]
TICK_S = 1.5
PREVIEW_ROWS = 5
BASE = "all-minilm-l6-v2"


@dataclass(frozen=True)
class Page:
    """The tab's widgets."""

    file: gr.File
    text: gr.Dropdown
    label: gr.Dropdown
    preview: gr.Dataframe
    found: gr.HTML
    name: gr.Textbox
    effort: gr.Radio
    start: gr.Button
    runs: gr.Dropdown
    report: gr.HTML
    said: gr.HTML
    stop: gr.Button
    resume: gr.Button
    delete: gr.Button

    def running(self) -> list[Any]:
        """What the clock redraws."""
        return [self.runs, self.report, self.said, self.stop, self.resume, self.delete]


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it."""
    gr.Markdown(w("finetune.intro"), elem_classes="quiet")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            file = gr.File(label=w("finetune.file"), file_types=[".csv", ".tsv"], elem_id="finetune-file", height=150)
            sample = gr.DownloadButton(w("finetune.sample"), value=str(SAMPLE), size="sm", elem_id="finetune-sample")
            with gr.Row():
                text = gr.Dropdown([], label=w("finetune.text"), elem_id="finetune-text")
                label = gr.Dropdown([], label=w("finetune.label"), elem_id="finetune-label")
            found = gr.HTML(elem_id="finetune-found", padding=False)
            preview = gr.Dataframe(
                interactive=False, visible=False, wrap=True, label=w("finetune.preview"), elem_id="finetune-preview"
            )
            name = gr.Textbox("", label=w("finetune.name"), placeholder=w("finetune.name_info"), max_length=60)
            effort = gr.Radio(
                [(w(f"finetune.{effort}"), effort) for effort in EFFORTS],
                value=EFFORTS[0],
                label=w("finetune.effort"),
            )
            start = gr.Button(w("finetune.start"), variant="primary", interactive=False, elem_id="finetune-start")
        with gr.Column(min_width=320):
            runs = gr.Dropdown([], label=w("finetune.runs"), elem_id="finetune-runs")
            report = gr.HTML(elem_id="finetune-report", padding=False)
            said = gr.HTML(elem_id="finetune-said", padding=False)
            with gr.Row():
                stop = gr.Button(w("work.stop"), variant="stop", visible=False, size="sm", elem_id="finetune-stop")
                resume = gr.Button(w("finetune.resume"), visible=False, size="sm", elem_id="finetune-resume")
                delete = gr.Button(w("finetune.delete"), visible=False, size="sm", elem_id="finetune-delete")
    del sample
    page = Page(file, text, label, preview, found, name, effort, start, runs, report, said, stop, resume, delete)
    _wire(services, (demo.load, tab.select), page)


SAMPLE = Path(__file__).parent / "samples" / "classify.csv"


def _wire(services: Services, opens: Sequence[Callable[..., Any]], page: Page) -> None:
    chosen = [page.file, page.text, page.label]
    data = [page.text, page.label, page.preview, page.found, page.start]
    page.file.change(bind(_opened, page, said=page.found), [page.file], data, **QUIET)
    for column in (page.text, page.label):
        column.input(bind(_checked, page, said=page.found), chosen, data, **QUIET)
    page.start.click(
        bind(_start, services, page, said=page.found),
        [*chosen, page.name, page.effort],
        [page.found, *page.running()],
        **QUIET,
    )
    look = bind(_look, services, page, said=page.said)
    for event in (*opens, page.runs.input, gr.Timer(TICK_S).tick):
        event(look, [page.runs], page.running(), **QUIET)
    for button, act in ((page.stop, _stop), (page.resume, _resume), (page.delete, _delete)):
        button.click(bind(_act, services, page, act, said=page.said), [page.runs], page.running(), **QUIET)


def _opened(page: Page, path: str | None, request: gr.Request) -> dict[Any, Any]:
    """A file was chosen: guess its columns and check it."""
    if not path:
        return {
            page.found: "",
            page.start: gr.update(interactive=False),
            page.preview: gr.update(visible=False),
        }
    language = language_of(request)
    try:
        table = read_table(Path(path))
        text, label = guess_columns(table)
    except LlmappError as error:
        return {page.found: notice(error.text(language), "bad"), page.start: gr.update(interactive=False)}
    columns = {
        page.text: gr.update(choices=list(table.columns), value=text),
        page.label: gr.update(choices=list(table.columns), value=label),
    }
    return columns | _checked(page, path, text, label, request)


def _checked(page: Page, path: str, text: str | None, label: str | None, request: gr.Request) -> dict[Any, Any]:
    language = language_of(request)
    try:
        table = read_table(Path(path))
        rows = validate(table, text or "", label or "")
    except LlmappError as error:
        return {page.found: notice(error.text(language), "bad"), page.start: gr.update(interactive=False)}
    notes = "".join(notice(note.text(language)) for note in rows.notes)
    sentence = tell(request, "finetune.found", rows=len(rows.texts), labels=", ".join(rows.classes))
    shown = [[t[:200], str(y)] for t, y in zip(rows.texts[:PREVIEW_ROWS], rows.labels[:PREVIEW_ROWS], strict=True)]
    return {
        page.found: notice(sentence, "good") + notes,
        page.preview: gr.update(value={"headers": [text, label], "data": shown}, visible=True),
        page.start: gr.update(interactive=True),
    }


def start_job(
    services: Services, request: gr.Request | None, path: Path, text: str, label: str, name: str, effort: str
) -> str:
    """Start a training and return its job id at once. Raises BadInput for data that can not teach."""
    services.guard.manage(request)
    services.guard.size(request, path.stat().st_size)
    table = read_table(path)
    validate(table, text, label)
    spec = {"base": BASE, "text": text, "label": label, "effort": effort, "name": name.strip() or path.stem}
    return services.supervisor.start("finetune", owner_of(services.settings, request), spec, {"rows.csv": path})


def _start(
    services: Services,
    page: Page,
    path: str,
    text: str,
    label: str,
    name: str,
    effort: str,
    request: gr.Request,
) -> dict[Any, Any]:
    return _look(services, page, start_job(services, request, Path(path), text, label, name, effort), request)


def _act(services: Services, page: Page, act: Act, job: str, request: gr.Request) -> dict[Any, Any]:
    """A button below a run was pressed; what went wrong with the one before is no longer said."""
    act(services, job, request)
    return _look(services, page, job, request) | {page.said: ""}


def _stop(services: Services, job: str, request: gr.Request) -> None:
    services.supervisor.stop(job, owner_of(services.settings, request))


def _resume(services: Services, job: str, request: gr.Request) -> None:
    services.guard.manage(request)
    services.supervisor.resume(job, owner_of(services.settings, request))


def _delete(services: Services, job: str, request: gr.Request) -> None:
    services.supervisor.delete(job, owner_of(services.settings, request))


def _look(services: Services, page: Page, job: str | None, request: gr.Request) -> dict[Any, Any]:
    """The runs of this person, and how the chosen one is."""
    owner, language = owner_of(services.settings, request), language_of(request)
    jobs = [status for status in services.supervisor.jobs(owner) if status.kind == "finetune"]
    if not jobs:
        hidden = gr.update(visible=False)
        empty = notice(say("finetune.no_runs", language))
        return {
            page.runs: gr.update(choices=[], value=None),
            page.report: empty,
            page.stop: hidden,
            page.resume: hidden,
            page.delete: hidden,
        }
    status = next((s for s in jobs if s.id == job), jobs[0])
    choices = [(_title(services, s, owner, language), s.id) for s in jobs]
    ended = status.state in ("done", "stopped", "failed", "interrupted")
    return {
        page.runs: gr.update(choices=choices, value=status.id),
        page.report: report_html(services, status, owner, language),
        page.stop: gr.update(visible=not ended),
        page.resume: gr.update(visible=status.state in ("stopped", "failed", "interrupted")),
        page.delete: gr.update(visible=ended),
    }


def _title(services: Services, status: JobStatus, owner: str, language: str) -> str:
    name = services.supervisor.spec(status.id, owner).get("name", status.id)
    return f"{name} · {say(f'job.{status.state}', language)}"


def report_html(services: Services, status: JobStatus, owner: str, language: str) -> str:
    """Progress while it trains; the report card when it is done; what to do when it is not."""
    if status.state == "done":
        return _card(services.supervisor.report(status.id, owner), language)
    if status.problem:
        sentence = status.problem.text(language)
        return notice(sentence, "bad") + notice(say("finetune.kept", language))
    if status.state in ("stopped", "interrupted"):
        return notice(say(f"finetune.{status.state}", language, step=status.step, steps=status.steps))
    phase = say(f"job.phase_{status.phase}", language) if status.phase else say(f"job.{status.state}", language)
    share = round(100 * status.step / status.steps) if status.steps else 0
    left = say("job.left", language, minutes=max(1, round((status.eta_s or 0) / 60))) if status.eta_s else ""
    bar = f'<div class="progress" role="progressbar" aria-valuenow="{share}"><i style="width:{share}%"></i></div>'
    return notice(f"{phase} {left}") + bar + f'<p class="quiet">{escape(say("finetune.may_close", language))}</p>'


def _card(report: Mapping[str, Any], language: str) -> str:
    after, before = report["after"], report["before"]
    right = round(after["accuracy"] * report["test_rows"])
    guessed = round(before["accuracy"] * report["test_rows"])
    verdict = say("finetune.verdict", language, rows=report["test_rows"], right=right, guessed=guessed, p=report["p"])
    scores = say("finetune.scores", language, accuracy=after["accuracy"], macro_f1=after["macro_f1"])
    return (
        notice(verdict, "good")
        + f"<p>{escape(scores)}</p>"
        + _matrix(report, language)
        + notice(say("finetune.use", language))
    )


def _matrix(report: Mapping[str, Any], language: str) -> str:
    labels = [escape(str(label)) for label in report["labels"]]
    head = f"<th>{escape(say('finetune.matrix', language))}</th>" + "".join(f"<th>{label}</th>" for label in labels)
    rows = "".join(
        f"<tr><th>{label}</th>" + "".join(f"<td>{count}</td>" for count in counts) + "</tr>"
        for label, counts in zip(labels, report["confusion"], strict=True)
    )
    table = f'<table class="matrix"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="scroll">{table}</div>'
