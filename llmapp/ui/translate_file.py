"""A whole document in the translate tab: it comes back in its own format, from a job that outlives the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..bulk.orders import TranslationOrder
from ..glossaries import Row
from ..messages import say
from ..tasks.documents import kind_of
from ..tasks.formats.columns import TABLES, chosen_columns, prose_columns
from ..tasks.language import normalise
from ..tasks.tables import read_sheet
from . import glossary, languages, whole_document
from .events import QUIET, bind
from .job_panel import Kind, look
from .services import Services
from .whole_document import folded, written_card
from .words import language_of, w


@dataclass(frozen=True)
class Wish:
    """How to translate a document. An empty language is found out; no `columns` of a table are those of prose."""

    model: str
    target: str = ""
    source: str = ""
    terms: Sequence[Row] = ()
    columns: Sequence[str] = ()


def build(services: Services, tab: gr.Tab) -> None:
    """Lay it out and wire it."""
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
        sides.extend(
            languages.side(services, i, f"translate_file-{name}") for i, name in enumerate(("source", "target"))
        )
        return [*sides, columns]

    page = whole_document.build(services, tab, DEED, widgets, _start)
    page.model.change(bind(languages.offered, services), [page.model, *sides], sides, **QUIET)
    refused = {"said": page.found, "settled": {columns: gr.update(value=[], visible=False)}}
    page.file.change(bind(_columns, columns, **refused), [page.file], [columns, page.found], **QUIET)


def start_job(services: Services, request: gr.Request | None, path: Path, wish: Wish) -> str:
    """Start it and return the job's id at once. Raises BadInput for an unknown language or column."""
    options: dict[str, Any] = {
        side: normalise(tag) if tag else "" for side, tag in (("target", wish.target), ("source", wish.source))
    }
    if kind_of(path.name) in TABLES:
        options["columns"] = list(chosen_columns(read_sheet(path, ragged=True), wish.columns))
    options["glossary"] = list(wish.terms)

    def order(text: str) -> TranslationOrder:
        pair = (options["source"], options["target"])
        first, second = languages.route(services, request, wish.model, text, pair)
        return TranslationOrder(first, options, language_of(request), second, path.name)

    return whole_document.start_job(services, request, path, DEED, order)


def _columns(columns: gr.Dropdown, path: str | None) -> dict[Any, Any]:
    """Of a table, its columns to choose from, those with prose chosen."""
    if not path or kind_of(path) not in TABLES:
        return {columns: gr.update(choices=[], value=[], visible=False)}
    sheet = read_sheet(Path(path), ragged=True)
    return {columns: gr.update(choices=list(sheet.columns), value=list(prose_columns(sheet)), visible=True)}


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
    terms = glossary.terms_of(services, request)
    wish = Wish(model, languages.chosen(target), languages.chosen(source), terms, columns or ())
    return look(services, page.panel, start_job(services, request, Path(path), wish), request)


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
