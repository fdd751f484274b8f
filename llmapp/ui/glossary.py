"""A person's glossary in the translate tab: a table of terms to edit, keep, bring in and take out.

What is kept counts for their next translation. Knows nothing of how a term is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from ..errors import BadInput
from ..glossaries import Row, tidied
from ..messages import LANGUAGES, say
from ..tasks.language import NAMES, normalise
from ..tasks.tables import read_sheet, write_csv
from .downloads import hidden_button, offer, wire_download
from .events import QUIET, bind
from .notice import notice
from .owners import owner_of
from .services import Services
from .words import language_of, tell, w

COLUMNS = ("term", "translation", "language")
FILE_TYPES = [".csv", ".tsv", ".xlsx", ".xls", ".ods"]
EMPTY_ROWS = 3
"""Rows to write into below what is kept."""


@dataclass(frozen=True)
class Page:
    """The tab's widgets."""

    table: gr.Dataframe
    save: gr.Button
    bring_in: gr.UploadButton
    take_out: gr.Button
    download: gr.DownloadButton
    status: gr.HTML


def build(services: Services, demo: gr.Blocks) -> None:
    """Lay it out and wire it."""
    gr.Markdown(w("glossary.intro"))
    table = gr.Dataframe(
        headers=list(COLUMNS),
        column_count=len(COLUMNS),
        type="array",
        interactive=True,
        wrap=True,
        label=w("glossary.table"),
        elem_id="glossary-table",
    )
    status = gr.HTML(elem_id="glossary-status", padding=False)
    with gr.Row():
        save = gr.Button(w("glossary.save"), variant="primary", elem_id="glossary-save", scale=2)
        bring_in = gr.UploadButton(w("glossary.import"), file_types=FILE_TYPES, elem_id="glossary-import")
        take_out = gr.Button(w("glossary.export"), elem_id="glossary-export")
    page = Page(table, save, bring_in, take_out, hidden_button("glossary-download"), status)
    demo.load(bind(_shown, services, page, said=status), None, [table], **QUIET)
    save.click(bind(_save, services, page, said=status), [table], [table, status], **QUIET)
    bring_in.upload(bind(_bring_in, services, page, said=status), [bring_in, table], [table, status], **QUIET)
    wire_download(take_out, page.download, _take_out, (services, page), [], [status], status)


def terms_of(services: Services, request: gr.Request | None) -> list[Row]:
    """What the asker keeps, as rows for `translate`."""
    return services.glossaries.get(owner_of(services.settings, request))


def argument_of(rows: Iterable[Row], target: str) -> dict[str, str]:
    """Rows that hold for a target language as a script gives them."""
    return {term: translation for term, translation, only in rows if only in ("", target)}


def rows_of(glossary: Mapping[str, Any] | None) -> list[Row]:
    """A script's glossary, {term: translation}, as rows for `translate`. Raises BadInput."""
    for term, translation in (glossary or {}).items():
        if not isinstance(translation, str | None):
            raise BadInput("glossary_rows", value=f"{ {term: translation}!r:.80}")
    return tidied((term, translation or "", "") for term, translation in (glossary or {}).items())


def _shown(services: Services, page: Page, request: gr.Request) -> dict[Any, Any]:
    return {page.table: _table(terms_of(services, request), language_of(request))}


def _save(services: Services, page: Page, cells: Sequence[Sequence[Any]], request: gr.Request) -> dict[Any, Any]:
    return _kept(services, page, _rows(cells), request)


def _bring_in(
    services: Services, page: Page, path: str, cells: Sequence[Sequence[Any]], request: gr.Request
) -> dict[Any, Any]:
    """What the file has replaces the same terms and joins the others."""
    sheet = read_sheet(Path(path))
    titled = any(say(f"glossary.{COLUMNS[0]}", each).casefold() == sheet.columns[0].casefold() for each in LANGUAGES)
    came = _rows(sheet.rows if titled else [sheet.columns, *sheet.rows])
    new = {(term, target) for term, _, target in came}
    old = [row for row in _rows(cells) if (row[0], row[2]) not in new]
    return _kept(services, page, [*old, *came], request)


def _kept(services: Services, page: Page, rows: Iterable[Row], request: gr.Request) -> dict[Any, Any]:
    services.guard.request(request)
    kept = services.glossaries.save(owner_of(services.settings, request), rows)
    said = notice(tell(request, "glossary.kept", count=len(kept)), "good")
    return {page.table: _table(kept, language_of(request)), page.status: said}


def _take_out(services: Services, page: Page, request: gr.Request) -> dict[Any, Any]:
    kept, language = terms_of(services, request), language_of(request)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "glossary.csv"
        write_csv(path, _headers(language), kept)
        return {page.download: offer(services, request, path.name, path.read_bytes()), page.status: ""}


def _table(rows: Sequence[Row], language: str) -> dict[str, Any]:
    named = [[term, translation, say(f"language.{tag}", language) if tag else ""] for term, translation, tag in rows]
    return {"headers": _headers(language), "data": [*named, *[[""] * len(COLUMNS)] * EMPTY_ROWS]}


def _headers(language: str) -> list[str]:
    return [say(f"glossary.{column}", language) for column in COLUMNS]


def _rows(cells: Iterable[Sequence[Any]]) -> list[Row]:
    """Rows as they were typed, the language by its tag. Raises BadInput for one that is unknown."""
    texts = [[str(cell or "").strip() for cell in (*row, "", "", "")[:3]] for row in cells]
    return [(term, translation, _tag(language)) for term, translation, language in texts if term]


def _tag(language: str) -> str:
    called = {say(f"language.{tag}", each).casefold(): tag for tag in NAMES for each in LANGUAGES}
    return called.get(language.casefold()) or (normalise(language) if language else "")
