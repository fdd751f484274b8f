"""The fine-tune tab, first form: a table of texts and labels in, a trained classifier out, proven on unseen rows.

Starts jobs and reads their folders; what trains is a process of its own and does not know this page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ..finetune.dataset import Table, guess_columns, read_table, validate
from ..finetune.order import KIND as JOB
from ..finetune.order import ROWS, order_for
from ..finetune.settings import EFFORTS
from ..messages import say
from .events import QUIET, bind
from .facts import facts_line
from .job_panel import Kind, Panel, build_panel, look, wire_panel
from .keeping import kept_table
from .matrix import matrix
from .notice import notice, quiet
from .owners import owner_of
from .services import Services
from .table_input import TableInput, build_table, wire_table
from .words import language_of, tell, w


@dataclass(frozen=True)
class Page:
    """The tab's widgets."""

    table: TableInput
    mine: gr.Button
    name: gr.Textbox
    effort: gr.Radio
    start: gr.Button
    panel: Panel


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it."""
    gr.Markdown(w("finetune.intro"), elem_classes="quiet")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            gr.DownloadButton(w("finetune.sample"), value=str(SAMPLE), size="sm", elem_id="finetune-sample")
            mine = gr.Button(w("keep.shelf"), visible=False, size="sm", elem_id="finetune-mine")
            table = build_table("finetune", ("text", "label"))
            name = gr.Textbox("", label=w("finetune.name"), placeholder=w("finetune.name_info"), max_length=60)
            effort = gr.Radio(
                [(w(f"finetune.{effort}"), effort) for effort in EFFORTS],
                value=EFFORTS[0],
                label=w("finetune.effort"),
            )
            start = gr.Button(w("finetune.start"), variant="primary", interactive=False, elem_id="finetune-start")
        with gr.Column(min_width=320):
            panel = build_panel(KIND)
    _wire(services, (demo.load, tab.select), Page(table, mine, name, effort, start, panel))


SAMPLE = Path(__file__).parent / "samples" / "classify.csv"


def _wire(services: Services, opens: Sequence[Callable[..., Any]], page: Page) -> None:
    wire_table(page.table, page.start, read_table, guess_columns, _checked)
    found = page.table.found
    page.mine.click(bind(_mine, services, page, said=found), None, [page.table.file, found], **QUIET)
    for event in opens:
        event(bind(_offered, services, page), None, [page.mine], **QUIET)
    page.start.click(
        bind(_start, services, page, said=found),
        [*page.table.inputs(), page.name, page.effort],
        [found, *page.panel.outputs()],
        **QUIET,
    )
    wire_panel(services, opens, page.panel)


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
    notes = "".join(notice(note.text(language_of(request))) for note in rows.notes)
    sentence = tell(request, "finetune.found", rows=len(rows.texts), labels=", ".join(rows.classes))
    return notice(sentence, "good") + notes


def start_job(
    services: Services, request: gr.Request | None, path: Path, text: str, label: str, name: str, effort: str
) -> str:
    """Start a training and return its job id at once; empty columns are guessed. Raises BadInput, Refused."""
    services.guard.job(request, JOB)
    services.guard.size(request, path.stat().st_size)
    order = order_for(path, text, label, effort=effort, name=name)
    return services.supervisor.start(JOB, owner_of(services.settings, request), asdict(order), {ROWS: path})


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
        + matrix(report["labels"], report["labels"], report["confusion"], language)
        + notice(say("finetune.use", language))
        + quiet(facts_line({**report, "model_name": report["base"], "weights": ""}, language))
    )


KIND = Kind(JOB, (), _card)
