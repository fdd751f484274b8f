"""The translate tab: a text in, its translation out, line for line; a whole document as a job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..messages import Message, say
from ..tasks.documents import kind_of
from ..tasks.formats.columns import TABLES, chosen_columns, prose_columns
from ..tasks.language import normalise
from ..tasks.tables import read_sheet
from ..tasks.translate import TranslationUpdate, sides, translate
from . import whole_document
from .events import QUIET, bind
from .job_panel import Kind, look
from .line import Work
from .notice import notice, quiet
from .owners import owner_of
from .services import Services
from .text_tab import (
    Given,
    build_buttons,
    build_model,
    build_text,
    made_line,
    need_text,
    waiting,
    wire_given,
    with_buttons,
)
from .whole_document import folded, written_card
from .words import language_of, tell, w
from .work import Made, stream

AUTO = "auto"


@dataclass(frozen=True)
class Page:
    """The tab's widgets."""

    given: Given
    source: gr.Dropdown
    target: gr.Dropdown
    swap: gr.Button
    status: gr.HTML
    translation: gr.Textbox
    made: gr.HTML

    def inputs(self) -> list[Any]:
        """In the order of `run`'s parameters."""
        return [self.given.text, self.source, self.target, self.given.model]

    def outputs(self) -> list[Any]:
        """What a run may change."""
        return [self.translation, self.status, self.made, self.given.run, self.given.stop]


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it: one text, or a whole document."""
    with gr.Tabs(elem_id="translate-tabs"):
        with gr.Tab(w("text.one"), id="text"):
            _build_text(services, demo, tab)
        with gr.Tab(w("text.document"), id="document"):
            _build_document(services, demo, tab)


def _build_text(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    with gr.Row():
        source = _side(services, 0, "source")
        swap = gr.Button("⇄", size="sm", min_width=60, scale=0, elem_id="swap")
        target = _side(services, 1, "target")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            text, upload = build_text("translate")
            with gr.Accordion(w("work.more"), open=False):
                model = build_model(services, "translate")
            run_button, stop = build_buttons("translate")
        with gr.Column(min_width=320):
            translation = gr.Textbox(
                label=w("translate.result"),
                placeholder=w("translate.nothing_yet"),
                lines=12,
                max_lines=24,
                buttons=["copy"],
                elem_id="translation",
            )
            status = gr.HTML(elem_id="translate-status", padding=False)
            made = gr.HTML(padding=False)
    page = Page(Given(text, upload, model, run_button, stop), source, target, swap, status, translation, made)
    work = Work([(run_button.click, run)], page, page.inputs(), page.outputs())
    sides = [source, target, text, translation]
    swap.click(bind(_swap), sides, sides, **QUIET)
    model.change(bind(_offer, services), [model, source, target], [source, target], **QUIET)
    wire_given(services, demo, tab, "translate", page.given, status, work)


def _build_document(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    sides: list[gr.Dropdown] = []
    columns = gr.Dropdown(
        [],
        multiselect=True,
        visible=False,
        label=w("translate_file.columns"),
        elem_id="translate_file-columns",
        render=False,
    )

    def widgets() -> list[gr.Dropdown]:
        columns.render()
        sides.extend(_side(services, i, f"translate_file-{name}") for i, name in enumerate(("source", "target")))
        return [*sides, columns]

    page = whole_document.build(services, demo, tab, DEED, widgets, _start)
    page.model.change(bind(_offer, services), [page.model, *sides], sides, **QUIET)
    refused = {"said": page.found, "settled": {columns: gr.update(value=[], visible=False)}}
    opened = bind(_columns, columns, **refused)
    page.file.change(opened, [page.file], [columns, page.found], **QUIET)


def _columns(columns: gr.Dropdown, path: str | None) -> dict[Any, Any]:
    """Of a table, its columns to choose from, those with prose chosen."""
    if not path or kind_of(path) not in TABLES:
        return {columns: gr.update(choices=[], value=[], visible=False)}
    sheet = read_sheet(Path(path), ragged=True)
    return {columns: gr.update(choices=list(sheet.columns), value=list(prose_columns(sheet)), visible=True)}


def _side(services: Services, side: int, elem_id: str) -> gr.Dropdown:
    """The language to translate from (0) or to (1)."""
    label = w("translate.target" if side else "translate.source")
    return gr.Dropdown(_languages(services, "")[side], value=AUTO, label=label, elem_id=elem_id)


def _languages(services: Services, model_id: str) -> tuple[list[Any], list[Any]]:
    """Choices for both sides: what a model offers; for Auto, what any model that is here or packaged does."""
    models = [services.catalog.model(model_id)] if model_id else services.catalog.models("translate")
    here = [m for m in models if model_id or m.packaged or services.sources.where(m)]
    sources, targets = (dict.fromkeys(code for m in here for code in sides(m)[side]) for side in (0, 1))
    return [(w("translate.auto"), AUTO), *_named(sources)], [(w("translate.auto_target"), AUTO), *_named(targets)]


def _named(codes: Iterable[str]) -> list[Any]:
    return [(w(f"language.{code}"), code) for code in codes]


def _offer(services: Services, model: str, source: str, target: str, request: gr.Request) -> tuple[Any, Any]:
    found = None if model == AUTO else services.catalog.resolve(model, owner_of(services.settings, request))[0]
    both = zip(_languages(services, found.id if found else ""), (source, target), strict=True)
    return tuple(
        gr.update(choices=choices, value=chosen if chosen in {code for _, code in choices} else AUTO)
        for choices, chosen in both
    )


def run(
    services: Services, page: Page, text: str, source: str, target: str, model: str, request: gr.Request
) -> Iterator[dict[Any, Any]]:
    """Translate what was given; lines appear as they are done."""
    text = need_text(services, text)
    source, target = map(_chosen, (source, target))
    moments = stream(services, request, "translate", model, lambda engine: translate(engine, text, target, source))
    language = language_of(request)
    yield from with_buttons(page.given, (_moment(page, moment, language, request) for moment in moments))


def _moment(
    page: Page, moment: Message | Made[TranslationUpdate], language: str, request: gr.Request
) -> dict[Any, Any]:
    if isinstance(moment, Message):
        return {page.status: waiting(moment, language)}
    update = moment.value
    done = tell(request, "translate.sentences", done=update.done, total=update.total)
    notes = [notice(note.text(language)) for note in (*update.warnings, *update.notes)]
    found = tell(
        request,
        "translate.direction",
        source=tell(request, f"language.{update.source}"),
        target=tell(request, f"language.{update.target}"),
    )
    status = quiet(done) + "".join(notes)
    return {page.translation: update.text, page.status: status, page.made: made_line(moment, language, found)}


def _swap(source: str, target: str, text: str, translation: str) -> tuple[str, str, str, str]:
    return target, source, translation or text, text if translation else ""


def _chosen(side: str) -> str:
    return "" if side == AUTO else side


def start_job(
    services: Services,
    request: gr.Request | None,
    path: Path,
    model: str,
    target: str,
    source: str,
    columns: Sequence[str] = (),
) -> str:
    """Start translating a document and return the job's id at once; `columns` of a table, none for those with prose.

    Raises BadInput for an unknown language or column.
    """
    options: dict[str, Any] = {
        side: normalise(tag) if tag else "" for side, tag in (("target", target), ("source", source))
    }
    if kind_of(path.name) in TABLES:
        options["columns"] = list(chosen_columns(read_sheet(path, ragged=True), columns))
    return whole_document.start_job(services, request, path, DEED, model, options)


def _start(
    services: Services,
    page: whole_document.Page,
    path: str,
    model: str,
    source: str,
    target: str,
    columns: list[str] | None,
    request: gr.Request,
) -> dict[Any, Any]:
    job = start_job(services, request, Path(path), model, _chosen(target), _chosen(source), columns or ())
    return look(services, page.panel, job, request)


def _card(report: Mapping[str, Any], language: str) -> str:
    """How the translation begins, and what went wrong where."""
    sides = {side: say(f"language.{report[side]}", language) for side in ("source", "target")}
    done = say("translate.sentences", language, done=report["sentences"], total=report["total"])
    title = say("translate_file.warnings", language, count=len(report["warnings"]))
    text = report["beginning"] + ("" if report["whole"] else " …")
    facts = (say("translate.direction", language, **sides), done)
    warnings = folded("ul", title, report["warnings"])
    return written_card(report, language, say("translate_file.done", language), text, warnings, *facts)


KIND = Kind("translate_file", ("text",), _card)
DEED = whole_document.Deed("translate", KIND)
