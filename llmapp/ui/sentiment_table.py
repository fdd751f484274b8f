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
from .job_panel import Kind, Panel, build_panel, look, wire_panel
from .model_choice import offered_models, wanted
from .notice import notice
from .owners import owner_of
from .services import Services
from .table_input import TableInput, build_table, wire_table
from .text_tab import build_model
from .words import language_of, tell, w

JUDGE = "judge_table"


@dataclass(frozen=True)
class Page:
    """The widgets."""

    table: TableInput
    labels: gr.Textbox
    model: gr.Dropdown
    start: gr.Button
    panel: Panel


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay it out and wire it."""
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            table = build_table("judge_table", ("column",))
            labels = gr.Textbox("", label=w("sentiment.labels"), info=w("sentiment.labels_info"))
            with gr.Accordion(w("work.more"), open=False):
                model = build_model(services, "sentiment", "judge_table-model")
            start = gr.Button(w("judge_table.start"), variant="primary", interactive=False, elem_id="judge_table-start")
        with gr.Column(min_width=320):
            panel = build_panel(KIND)
    _wire(services, (demo.load, tab.select), Page(table, labels, model, start, panel))


def _wire(services: Services, opens: Sequence[Callable[..., Any]], page: Page) -> None:
    wire_table(page.table, page.start, _read, _guess, _checked)
    found = page.table.found
    page.start.click(
        bind(_start, services, page, said=found),
        [*page.table.inputs(), page.labels, page.model],
        [found, *page.panel.outputs()],
        **QUIET,
    )
    for event in opens:
        event(bind(offered_models, services, "sentiment"), [page.model], [page.model], **QUIET)
    wire_panel(services, opens, page.panel)


def _read(path: Path) -> Sheet:
    return read_sheet(path, ragged=True)


def _guess(sheet: Sheet) -> tuple[str]:
    return (guess_text(sheet),)


def _checked(sheet: Sheet, chosen: Sequence[str], request: gr.Request) -> str:
    """How many rows there are to judge, and how many have nothing in them."""
    (column,) = chosen
    texts = sheet.column(column)
    blank = sum(not text.strip() for text in texts)
    sentence = tell(request, "judge_table.found", rows=len(texts), column=column)
    return notice(sentence, "good") + (notice(tell(request, "judge_table.blank", blank=blank)) if blank else "")


def start_job(
    services: Services, request: gr.Request | None, path: Path, column: str, labels: Sequence[str], model: str
) -> str:
    """Start judging a table and return its job id at once; an empty column is guessed. Raises BadInput, Refused."""
    services.guard.job(request, JUDGE)
    services.guard.size(request, path.stat().st_size)
    sheet = _read(path)
    column = column or guess_text(sheet)
    texts = "\n".join(sheet.column(column))
    services.guard.document(request, texts)
    spec = {
        "name": path.name,
        "column": column,
        "labels": list(labels),
        "model": wanted(services, "sentiment", model, request, bool(labels), texts),
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
