"""A whole table in the sentiment tab: pick its column of texts, and a job judges row after row.

Starts jobs and draws their reports; what judges is a process of its own and does not know this page.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..bulk.judging import TABLE
from ..bulk.orders import TableOrder
from ..bulk.truth import true_labels
from ..errors import BadInput
from ..tasks.columns import guess_date, guess_group, guess_truth
from ..tasks.tables import Sheet, guess_text, read_sheet
from . import truth_view
from .events import QUIET, bind
from .job_panel import Kind, Panel, build_panel, look, wire_panel
from .judge_card import card
from .model_choice import offered_models, wanted
from .notice import notice
from .owners import owner_of
from .services import Services
from .table_input import Given, TableInput, build_table, wire_table
from .text_tab import build_model
from .words import language_of, tell, w

JUDGE = "judge_table"


@dataclass(frozen=True)
class Page:
    """The widgets."""

    table: TableInput
    labels: gr.Textbox
    several: gr.Checkbox
    model: gr.Dropdown
    start: gr.Button
    panel: Panel


def build(services: Services, tab: gr.Tab) -> None:
    """Lay it out and wire it."""
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            table = build_table("judge_table", ("column",), ("truth", "date", "group"))
            labels = gr.Textbox("", label=w("sentiment.labels"), info=w("sentiment.labels_info"))
            several = gr.Checkbox(False, label=w("sentiment.several"), info=w("sentiment.several_info"))
            with gr.Accordion(w("work.more"), open=False):
                model = build_model(services, "sentiment", "judge_table-model")
            start = gr.Button(w("judge_table.start"), variant="primary", interactive=False, elem_id="judge_table-start")
        with gr.Column(min_width=320):
            panel = build_panel(KIND)
            view = truth_view.build()
    _wire(services, tab.select, Page(table, labels, several, model, start, panel))
    truth_view.wire(services, tab.select, panel, view)


def _wire(services: Services, opened: Callable[..., Any], page: Page) -> None:
    wire_table(page.table, page.start, _read, _guess, _checked)
    found = page.table.found
    page.start.click(
        bind(_start, services, page, said=found),
        [*page.table.inputs(), page.labels, page.several, page.model],
        [found, *page.panel.outputs()],
        **QUIET,
    )
    opened(bind(offered_models, services, "sentiment"), [page.model], [page.model], **QUIET)
    wire_panel(services, opened, page.panel)


def _read(path: Path) -> Sheet:
    return read_sheet(path, ragged=True)


def _guess(sheet: Sheet, _given: Given) -> tuple[str, ...]:
    text = guess_text(sheet)
    truth = guess_truth(sheet, text)
    date = guess_date(sheet, (text, truth))
    return text, truth, date, guess_group(sheet, (text, truth, date))


def _checked(sheet: Sheet, chosen: Sequence[str], _given: Given, request: gr.Request) -> str:
    """How many rows there are to judge, and how many have nothing in them."""
    column, truth, *_ = chosen
    texts = sheet.column(column)
    blank = sum(not text.strip() for text in texts)
    sentence = tell(request, "judge_table.found", rows=len(texts), column=column)
    said = notice(sentence, "good") + (notice(tell(request, "judge_table.blank", blank=blank)) if blank else "")
    if truth:
        values = Counter(filter(None, true_labels(sheet, column, truth)))
        labels = ", ".join(f"{value} ({count:,})" for value, count in values.most_common())
        said += notice(tell(request, "truth.found", column=truth, labels=labels))
    return said


def start_job(
    services: Services,
    request: gr.Request | None,
    path: Path,
    column: str,
    labels: Sequence[str],
    model: str,
    more: Mapping[str, str] | None = None,
    several: bool = False,
) -> str:
    """Start judging a table and return its job id at once; an empty column is guessed. Raises BadInput, Refused.

    `more`: columns for "truth", "date" and "group", where the table has such. `several`: more than one label may fit.
    """
    if several and not labels:
        raise BadInput("labels_none")
    services.guard.job(request, JUDGE)
    services.guard.size(request, path.stat().st_size)
    sheet = _read(path)
    column = column or guess_text(sheet)
    more = {name: found for name, found in (more or {}).items() if found}
    for name in more.values():
        sheet.column(name)
    if "truth" in more:
        true_labels(sheet, column, more["truth"])
    texts = "\n".join(sheet.column(column))
    services.guard.document(request, texts)
    judge = wanted(services, "sentiment", model, request, bool(labels), texts)
    order = TableOrder(
        column,
        judge,
        tuple(labels),
        language_of(request),
        several,
        truth=more.get("truth", ""),
        date=more.get("date", ""),
        group=more.get("group", ""),
        name=path.name,
    )
    return services.supervisor.start(JUDGE, owner_of(services.settings, request), asdict(order), {TABLE: path})


def own_labels(written: str) -> tuple[str, ...]:
    """Labels as a person writes them, each once, between commas of either width, the list comma or line breaks."""
    return tuple(dict.fromkeys(part.strip() for part in re.split("[,，、\n]", written) if part.strip()))


def _start(
    services: Services,
    page: Page,
    path: str,
    column: str,
    truth: str,
    date: str,
    group: str,
    labels: str,
    several: bool,
    model: str,
    request: gr.Request,
) -> dict[Any, Any]:
    more = {"truth": truth or "", "date": date or "", "group": group or ""}
    job = start_job(services, request, Path(path), column, own_labels(labels), model, more, several)
    return look(services, page.panel, job, request)


KIND = Kind(JUDGE, ("csv", "xlsx"), card)
