"""Summarize or translate a whole document: what was written is kept as it comes, and a file made of it.

Does not know jobs, processes or the page.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from ..backend.engine import Engine
from ..backend.pool import Pool
from ..errors import LlmappError
from ..tasks.documents import Document, read_document
from ..tasks.encodings import Decoded
from ..tasks.extract import extract
from ..tasks.formats.layout import Layout
from ..tasks.formats.lines import plain_layout
from ..tasks.formats.opening import FORMATS, open_layout
from ..tasks.formats.translating import FileUpdate, translate_layout
from ..tasks.receipts import Receipt, receipts
from ..tasks.summarize import SummaryOptions, SummaryUpdate, summarize
from ..tasks.translate import TranslationUpdate
from ..tasks.watch import Ordered, read_order
from .lent import save_report, with_model
from .memo import Memo
from .orders import SummaryOrder, TranslationOrder

DOCUMENT = "document"
SHOWN = 2000
"""Characters of a translation in the report; all of it is in the file."""

Outcome = Literal["done", "stopped"]
T = TypeVar("T")


def summarize_document(work: Ordered, pool: Pool) -> Outcome:
    """Summarize as a `SummaryOrder` says. Raises LlmappError."""
    document, order = _read(work), read_order(SummaryOrder, work.todo)
    text, options = document.plain, SummaryOptions(**order.options)
    if order.taken and not order.model:
        work.phase("summarizing")
        update = _followed(work, extract(text, options), _parts_done)
    else:
        begin = partial(_summary, text=text, options=options, taken=order.taken)
        update = _last(work, pool, order.model, "summarizing", begin, _parts_done)
    made = update or SummaryUpdate("", 0, 0, 0, 0)
    work.phase("saving")
    checked = _receipts(work, pool, order.encoder, made, text) if made.finish else ()
    written = "\n\n".join(filter(None, (made.text, *_numbered(made.outline))))
    report = {
        "summary": made.text,
        "outline": list(made.outline),
        "words_read": made.words_read,
        "words_total": made.words_total,
        "notes": [
            *filter(None, [order.why]),
            *(note.text(order.language) for note in (*document.notes, *made.notes)),
        ],
        "receipts": [asdict(each) for each in checked],
        "files": _written(work, f"{Path(document.name).stem} summary.txt", written),
    }
    save_report(work, report, order.options)
    return "done" if made.finish else "stopped"


def _summary(engine: Engine, text: str, options: SummaryOptions, taken: bool) -> Iterator[SummaryUpdate]:
    return extract(text, options, engine) if taken else summarize(engine, text, options)


def _receipts(work: Ordered, pool: Pool, encoder: str, made: SummaryUpdate, text: str) -> tuple[Receipt, ...]:
    """By words where there is no encoder, or no room for it."""
    if encoder:
        with suppress(LlmappError), pool.lease(encoder, work.owner) as engine:
            return receipts(made, text, engine)
    return receipts(made, text)


def translate_document(work: Ordered, pool: Pool) -> Outcome:
    """Translate as a `TranslationOrder` says. Raises LlmappError.

    What is made has the format of what was given; of a PDF or a workbook, its text.
    """
    document, order = _read(work), read_order(TranslationOrder, work.todo)
    layout = _layout(work, document, order.options.get("columns", ()))
    begin = partial(_translation, work=work, pool=pool, layout=layout, order=order)
    update = _last(work, pool, order.model, "translating", begin, _sentences_done)
    work.phase("saving")
    save_report(work, _translated(work, order.language, document, layout, update), order.options)
    return "done" if update and update.finished else "stopped"


def _translation(
    engine: Engine, work: Ordered, pool: Pool, layout: Layout, order: TranslationOrder
) -> Iterator[FileUpdate]:
    options = {name: value for name, value in order.options.items() if name != "columns"}
    with pool.lease(order.onward, work.owner) if order.onward else nullcontext() as lent:
        onward = _remembering(work, lent, "onward") if lent else None
        yield from translate_layout(engine, layout, onward=onward, **options)


def _layout(work: Ordered, document: Document, columns: Sequence[str]) -> Layout:
    if document.kind in FORMATS:
        return open_layout(work.file(DOCUMENT), document.kind, document.name, columns)
    return plain_layout(Decoded(document.text, "UTF-8"), document.name)


def _translated(
    work: Ordered, language: str, document: Document, layout: Layout, update: FileUpdate | None
) -> dict[str, Any]:
    """The report, and the file beside it; none where nothing is translated yet."""
    texts, kept = update.texts() if update else ([block.texts for block in layout.blocks], ())
    said = update.said if update else TranslationUpdate("", 0, 0, "", "", None)
    filled, text = layout.filled(texts), layout.text(texts)
    suffix = Path(document.name).suffix if document.kind in FORMATS else ".txt"
    name = f"{Path(document.name).stem} ({said.target}){suffix}"
    if said.done:
        (work.folder("result") / name).write_bytes(filled.data)
    return {
        "beginning": text[:SHOWN],
        "whole": len(text) <= SHOWN,
        "sentences": update.done if update else 0,
        "total": update.total if update else 0,
        "source": said.source,
        "target": said.target,
        "notes": [note.text(language) for note in (*document.notes, *filled.notes, *said.notes)],
        "warnings": [warning.text(language) for warning in (*said.warnings, *kept)],
        "files": {"text": name} if said.done else {},
    }


def _read(work: Ordered) -> Document:
    work.phase("preflight")
    path = work.file(DOCUMENT)
    return read_document(path, path.stat().st_size / 1e6, work.file_name(DOCUMENT))


def _last(
    work: Ordered,
    pool: Pool,
    model: str,
    phase: str,
    begin: Callable[[Engine], Iterator[T]],
    count: Callable[[T], tuple[int, int]],
) -> T | None:
    """The last update that there was until the end, or until the work was told to stop; None before the first."""

    def use(engine: Engine) -> T | None:
        work.phase(phase)
        return _followed(work, begin(_remembering(work, engine, "answers")), count)

    return with_model(work, pool, model, use)


def _remembering(work: Ordered, engine: Engine, name: str) -> Memo:
    return Memo(engine, work.folder("checkpoints") / f"{name}.jsonl")


def _followed(work: Ordered, updates: Iterator[T], count: Callable[[T], tuple[int, int]]) -> T | None:
    last = None
    # Tasks are generators, whose close() Iterator does not name.
    with closing(cast("Generator[T, None, None]", updates)) as made:
        for update in made:
            last = update
            work.progress(*count(update))
            if work.stop_asked():
                break
    return last


def _parts_done(update: SummaryUpdate) -> tuple[int, int]:
    return update.done_parts, update.parts


def _sentences_done(update: FileUpdate) -> tuple[int, int]:
    return update.done, update.total


def _numbered(outline: tuple[str, ...]) -> Iterator[str]:
    """The parts of a long text in their order; a text that was read in one go has none."""
    return (f"{number}. {part}" for number, part in enumerate(outline, start=1))


def _written(work: Ordered, name: str, text: str) -> dict[str, Any]:
    """The file that was made, by what it is for; none where there is nothing to write."""
    if not text.strip():
        return {}
    (work.folder("result") / name).write_text(text, encoding="utf-8", newline="\n")
    return {"text": name}
