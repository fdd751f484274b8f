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

from ..finetune.dataset import guess_columns, read_table, validate
from ..finetune.settings import EFFORTS
from ..messages import say
from .events import QUIET, bind
from .job_panel import Kind, Panel, build_panel, look, wire_panel
from .notice import notice
from .owners import owner_of
from .services import Services
from .words import language_of, tell, w

PREVIEW_ROWS = 5
TABLES = [".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods"]
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
    panel: Panel


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it."""
    gr.Markdown(w("finetune.intro"), elem_classes="quiet")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            file = gr.File(label=w("finetune.file"), file_types=TABLES, elem_id="finetune-file", height=150)
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
            panel = build_panel(KIND)
    del sample
    page = Page(file, text, label, preview, found, name, effort, start, panel)
    _wire(services, (demo.load, tab.select), page)


SAMPLE = Path(__file__).parent / "samples" / "classify.csv"


def _wire(services: Services, opens: Sequence[Callable[..., Any]], page: Page) -> None:
    chosen = [page.file, page.text, page.label]
    data = [page.text, page.label, page.preview, page.found, page.start]
    refused = {"said": page.found, "settled": {page.start: gr.update(interactive=False)}}
    page.file.change(bind(_opened, page, **refused), [page.file], data, **QUIET)
    for column in (page.text, page.label):
        column.input(bind(_checked, page, **refused), chosen, data, **QUIET)
    page.start.click(
        bind(_start, services, page, said=page.found),
        [*chosen, page.name, page.effort],
        [page.found, *page.panel.outputs()],
        **QUIET,
    )
    wire_panel(services, opens, page.panel)


def _opened(page: Page, path: str | None, request: gr.Request) -> dict[Any, Any]:
    """A file was chosen: guess its columns and check it."""
    if not path:
        return {
            page.found: "",
            page.start: gr.update(interactive=False),
            page.preview: gr.update(visible=False),
        }
    table = read_table(Path(path))
    text, label = guess_columns(table)
    columns = {
        page.text: gr.update(choices=list(table.columns), value=text),
        page.label: gr.update(choices=list(table.columns), value=label),
    }
    return columns | _checked(page, path, text, label, request)


def _checked(page: Page, path: str, text: str | None, label: str | None, request: gr.Request) -> dict[Any, Any]:
    rows = validate(read_table(Path(path)), text or "", label or "")
    notes = "".join(notice(note.text(language_of(request))) for note in rows.notes)
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
    services.guard.job(request, "finetune")
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
    return look(services, page.panel, start_job(services, request, Path(path), text, label, name, effort), request)


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


KIND = Kind("finetune", (), _card)
