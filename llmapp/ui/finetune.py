"""The fine-tune tab: a table of texts and labels in, a trained classifier out, proven on rows it never saw.

Starts jobs and reads their folders; what trains is a process of its own and does not know this page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import BadInput
from ..finetune.dataset import Table, guess_columns, read_table, validate
from ..finetune.doctor import Finding, Row, examine
from ..finetune.edits import Edits, edited, together
from ..finetune.lengths import lengths_by
from ..finetune.order import BASE, ROWS, order_for
from ..finetune.order import KIND as JOB
from ..finetune.settings import EFFORTS, LoraSettings
from . import lesson_view
from .doctor_view import Doctor, Patient, Steps, build_doctor, wire_doctor
from .events import QUIET, bind
from .job_panel import Kind, Panel, build_panel, look, wire_panel
from .keeping import kept_table
from .notice import notice
from .owners import owner_of
from .services import Services
from .table_input import TableInput, build_table, wire_table
from .training_view import curves, story
from .words import language_of, tell, w


@dataclass(frozen=True)
class Page:
    """The tab's widgets."""

    table: TableInput
    doctor: Doctor
    mine: gr.Button
    name: gr.Textbox
    effort: gr.Radio
    start: gr.Button
    panel: Panel


def build(services: Services, _demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it."""
    gr.Markdown(w("finetune.intro"), elem_classes="quiet")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            gr.DownloadButton(w("finetune.sample"), value=str(SAMPLE), size="sm", elem_id="finetune-sample")
            mine = gr.Button(w("keep.shelf"), visible=False, size="sm", elem_id="finetune-mine")
            table = build_table("finetune", ("text", "label"))
            doctor = build_doctor()
            name = gr.Textbox("", label=w("finetune.name"), placeholder=w("finetune.name_info"), max_length=60)
            effort = gr.Radio(
                [(w(f"finetune.{effort}"), effort) for effort in EFFORTS],
                value=EFFORTS[0],
                label=w("finetune.effort"),
            )
            start = gr.Button(w("finetune.start"), variant="primary", interactive=False, elem_id="finetune-start")
        with gr.Column(min_width=320):
            panel = build_panel(KIND)
            view = lesson_view.build()
    _wire(services, tab.select, Page(table, doctor, mine, name, effort, start, panel))
    lesson_view.wire(services, tab.select, panel, view)


SAMPLE = Path(__file__).parent / "samples" / "classify.csv"


def _wire(services: Services, opened: Callable[..., Any], page: Page) -> None:
    wire_table(page.table, page.start, read_table, guess_columns, _checked)
    found = page.table.found
    fresh = (page.table.file.change, *(column.input for column in page.table.columns))
    patient = Patient(partial(_rows, page), partial(_examined, services), partial(_settled, page))
    wire_doctor(page.doctor, page.table.inputs(), fresh, patient, [found, page.start], found)
    page.mine.click(bind(_mine, services, page, said=found), None, [page.table.file, found], **QUIET)
    opened(bind(_offered, services, page), None, [page.mine], **QUIET)
    page.start.click(
        bind(_start, services, page, said=found),
        [*page.table.inputs(), page.name, page.effort, page.doctor.steps],
        [found, *page.panel.outputs()],
        **QUIET,
    )
    wire_panel(services, opened, page.panel)


def _offered(services: Services, page: Page, request: gr.Request) -> dict[Any, Any]:
    """The button that takes what was kept in the Sentiment tab, and how much that is."""
    count = services.examples.count(owner_of(services.settings, request), "sentiment")
    return {page.mine: gr.update(value=tell(request, "keep.shelf_of", count=count), visible=count > 0)}


def _mine(services: Services, page: Page, request: gr.Request) -> dict[Any, Any]:
    """Kept examples become the table, as if they had been uploaded."""
    return {page.table.file: kept_table(services, request, "sentiment"), page.table.found: ""}


def _checked(table: Table, chosen: Sequence[str], request: gr.Request) -> str:
    """How much can be learned from, and what a person should know about the rest."""
    rows = validate(table, *chosen)
    sentence = tell(request, "finetune.found", rows=len(rows.texts), labels=", ".join(rows.classes))
    return notice(sentence, "good")


def _rows(page: Page, given: Mapping[Any, Any], edits: Edits) -> list[Row]:
    """The rows of the table on the page, with these edits; none before there is one, or while its columns are none."""
    path, (text, label) = given[page.table.file], (given[column] for column in page.table.columns)
    if not path:
        return []
    table = read_table(Path(path))
    if not {text, label} <= set(table.columns):
        text, label = guess_columns(table)
    table = edited(table, text, label, edits)
    cells = zip(table.numbers, table.column(text), table.column(label), strict=True)
    return [Row(number, cell, " ".join(name.split())) for number, cell, name in cells]


def _examined(services: Services, rows: Sequence[Row]) -> list[Finding]:
    """What is wrong with them; how long they are is told by the base's own tokenizer, where it is here."""
    local = services.sources.where(services.catalog.model(BASE))
    return examine(rows, lengths_by(local.folder if local else None), LoraSettings().max_tokens)


def _settled(page: Page, given: Mapping[Any, Any], edits: Edits, request: gr.Request) -> dict[Any, Any]:
    """What can be learned from the table as it is now."""
    text, label = (given[column] for column in page.table.columns)
    table = edited(read_table(Path(given[page.table.file])), text, label, edits)
    try:
        said = _checked(table, (text, label), request)
    except BadInput as problem:
        return {
            page.table.found: notice(problem.text(language_of(request)), "bad"),
            page.start: gr.update(interactive=False),
        }
    return {page.table.found: said, page.start: gr.update(interactive=True)}


def start_job(
    services: Services,
    request: gr.Request | None,
    path: Path,
    text: str,
    label: str,
    name: str,
    effort: str,
    edits: Edits | None = None,
) -> str:
    """Start a training and return its job id at once; empty columns are guessed. Raises BadInput, Refused."""
    services.guard.job(request, JOB)
    services.guard.size(request, path.stat().st_size)
    order = order_for(path, text, label, effort=effort, name=name, edits=edits)
    return services.supervisor.start(JOB, owner_of(services.settings, request), asdict(order), {ROWS: path})


def _start(
    services: Services,
    page: Page,
    path: str,
    text: str,
    label: str,
    name: str,
    effort: str,
    steps: Steps,
    request: gr.Request,
) -> dict[Any, Any]:
    job = start_job(services, request, Path(path), text, label, name, effort, together(steps))
    return look(services, page.panel, job, request)


def _told(events: Sequence[Mapping[str, Any]], ended: bool, language: str) -> str:
    """What happened so far; once it has ended the curves alone."""
    return curves(events, language) if ended else story(events, language) + curves(events, language)


KIND = Kind(JOB, ("adapter",), lesson_view.card, _told)
