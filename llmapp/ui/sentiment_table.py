"""A whole table in the sentiment tab: pick its column of texts, and a job judges row after row.

Starts jobs and draws their reports; what judges is a process of its own and does not know this page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ..bulk.judging import TABLE
from ..messages import say
from ..tasks.tables import Sheet, guess_text, read_sheet
from .events import QUIET, bind
from .finetune import PREVIEW_ROWS, TABLES
from .job_panel import Kind, Panel, build_panel, look, wire_panel
from .model_choice import offered_models, wanted
from .notice import notice
from .owners import owner_of
from .services import Services
from .text_tab import build_model
from .words import language_of, tell, w

JUDGE = "judge_table"


@dataclass(frozen=True)
class Page:
    """The widgets."""

    file: gr.File
    column: gr.Dropdown
    found: gr.HTML
    preview: gr.Dataframe
    labels: gr.Textbox
    model: gr.Dropdown
    start: gr.Button
    panel: Panel


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay it out and wire it."""
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            file = gr.File(label=w("judge_table.file"), file_types=TABLES, elem_id="judge_table-file", height=150)
            column = gr.Dropdown([], label=w("judge_table.column"), elem_id="judge_table-column")
            found = gr.HTML(elem_id="judge_table-found", padding=False)
            preview = gr.Dataframe(
                interactive=False, visible=False, wrap=True, label=w("finetune.preview"), elem_id="judge_table-preview"
            )
            labels = gr.Textbox("", label=w("sentiment.labels"), info=w("sentiment.labels_info"))
            with gr.Accordion(w("work.more"), open=False):
                model = build_model(services, "sentiment", "judge_table-model")
            start = gr.Button(w("judge_table.start"), variant="primary", interactive=False, elem_id="judge_table-start")
        with gr.Column(min_width=320):
            panel = build_panel(KIND)
    _wire(services, (demo.load, tab.select), Page(file, column, found, preview, labels, model, start, panel))


def _wire(services: Services, opens: Sequence[Callable[..., Any]], page: Page) -> None:
    refused = {"said": page.found, "settled": {page.start: gr.update(interactive=False)}}
    data = [page.column, page.found, page.preview, page.start]
    page.file.change(bind(_opened, page, **refused), [page.file], data, **QUIET)
    page.column.input(bind(_picked, page, **refused), [page.file, page.column], data, **QUIET)
    page.start.click(
        bind(_start, services, page, said=page.found),
        [page.file, page.column, page.labels, page.model],
        [page.found, *page.panel.outputs()],
        **QUIET,
    )
    for event in opens:
        event(bind(offered_models, services, "sentiment"), [page.model], [page.model], **QUIET)
    wire_panel(services, opens, page.panel)


def _opened(page: Page, path: str | None, request: gr.Request) -> dict[Any, Any]:
    """A file was chosen: show it, with the column that looks like texts."""
    if not path:
        return {
            page.found: "",
            page.start: gr.update(interactive=False),
            page.preview: gr.update(visible=False),
        }
    sheet = read_sheet(Path(path), ragged=True)
    column = guess_text(sheet)
    choices = gr.update(choices=list(sheet.columns), value=column)
    return _shown(page, sheet, column, request) | {page.column: choices}


def _picked(page: Page, path: str, column: str, request: gr.Request) -> dict[Any, Any]:
    return _shown(page, read_sheet(Path(path), ragged=True), column, request)


def _shown(page: Page, sheet: Sheet, column: str, request: gr.Request) -> dict[Any, Any]:
    texts = sheet.column(column)
    blank = sum(not text.strip() for text in texts)
    sentence = tell(request, "judge_table.found", rows=len(texts), column=column)
    notes = notice(tell(request, "judge_table.blank", blank=blank)) if blank else ""
    rows = [[text[:300]] for text in texts[:PREVIEW_ROWS]]
    return {
        page.found: notice(sentence, "good") + notes,
        page.preview: gr.update(value={"headers": [column], "data": rows}, visible=True),
        page.start: gr.update(interactive=True),
    }


def start_job(
    services: Services, request: gr.Request | None, path: Path, column: str, labels: Sequence[str], model: str
) -> str:
    """Start judging a table and return its job id at once; an empty column is guessed. Raises BadInput, Refused."""
    services.guard.job(request, JUDGE)
    services.guard.size(request, path.stat().st_size)
    sheet = read_sheet(path, ragged=True)
    column = column or guess_text(sheet)
    sheet.column(column)
    spec = {
        "name": path.name,
        "column": column,
        "labels": list(labels),
        "model": wanted(services, "sentiment", model, request, bool(labels)),
        "language": language_of(request),
    }
    return services.supervisor.start(JUDGE, owner_of(services.settings, request), spec, {TABLE: path})


def own_labels(written: str) -> tuple[str, ...]:
    """Labels as a person writes them, between commas of either width."""
    return tuple(part.strip() for part in written.replace("，", ",").split(",") if part.strip())


def _start(
    services: Services, page: Page, path: str, column: str, labels: str, model: str, request: gr.Request
) -> dict[Any, Any]:
    job = start_job(services, request, Path(path), column, own_labels(labels), model)
    return look(services, page.panel, job, request)


def _card(report: Mapping[str, Any], language: str) -> str:
    """Shares of the labels, and the rows it is most certain and most doubtful of."""
    total = max(1, report["judged"])
    said = notice(say("judge_table.done", language, judged=report["judged"], rows=report["rows"]), "good")
    if report["failed"]:
        said += notice(say("judge_table.failed", language, failed=report["failed"]))
    if report["cut_cells"]:
        said += notice(say("judge_table.cut", language, cells=report["cut_cells"]))
    bars = "".join(_share(label, count, count / total) for label, count in report["labels"].items())
    lists = "".join(_rows(report[which], say(f"judge_table.{which}", language)) for which in ("certain", "doubtful"))
    return f"{said}<dl class='shares'>{bars}</dl>{lists}"


def _share(label: str, count: int, share: float) -> str:
    width = f"{100 * share:.1f}%"
    return (
        f"<dt>{escape(label)} <span class='quiet'>{count:,} · {width}</span></dt>"
        f'<dd class="progress"><i style="width:{width}"></i></dd>'
    )


def _rows(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    cells = "".join(
        f"<tr><td class='quiet'>{row['row']}</td><td>{escape(row['text'])}</td>"
        f"<td>{escape(row['label'])}</td><td>{row['score']:.2f}</td></tr>"
        for row in rows
    )
    body = f"<div class='scroll'><table class='matrix'><tbody>{cells}</tbody></table></div>"
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


KIND = Kind(JUDGE, ("csv", "xlsx"), _card)
