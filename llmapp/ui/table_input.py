"""A table to give: the file, which columns to take, how it begins, and whether work can start with it.

Shared by the tabs that take a table; what a table must have, the tab says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.events import Dependency

from ..errors import BadInput
from ..tasks.tables import Sheet
from .events import QUIET, bind
from .notice import notice
from .words import language_of, tell, w

FILE_TYPES = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods")
ROWS, CELL = 5, 200
"""Rows of a preview, and characters shown of a cell."""

S = TypeVar("S", bound=Sheet)
Given = Mapping[Any, Any]
"""What the tab's widgets hold."""
Guess = Callable[[S, Given], Sequence[str]]
Check = Callable[[S, Sequence[str], Given, gr.Request], str]
"""What to say of a table with the columns that were picked, as HTML. Raises BadInput for one that will not do."""


@dataclass(frozen=True)
class TableInput:
    """The widgets; `columns` is a choice for each column that is taken, of which the last `optional` may be none."""

    file: gr.File
    columns: Sequence[gr.Dropdown]
    optional: int
    found: gr.HTML
    preview: gr.Dataframe

    def inputs(self) -> list[Any]:
        """The file, then its columns."""
        return [self.file, *self.columns]


def build_table(
    name: str, columns: Sequence[str], optional: Sequence[str] = (), file_types: Sequence[str] = FILE_TYPES
) -> TableInput:
    """Lay it out: `name` is the section of its words, which has one for each of the columns."""
    columns = (*columns, *optional)
    file = gr.File(label=w(f"{name}.file"), file_types=list(file_types), elem_id=f"{name}-file", height=150)
    with gr.Row():
        picks = [gr.Dropdown([], label=w(f"{name}.{column}"), elem_id=f"{name}-{column}") for column in columns]
    found = gr.HTML(elem_id=f"{name}-found", padding=False)
    preview = gr.Dataframe(
        interactive=False, visible=False, wrap=True, label=w("table.preview"), elem_id=f"{name}-preview"
    )
    return TableInput(file, picks, len(optional), found, preview)


def wire_table(
    table: TableInput,
    start: gr.Button,
    read: Callable[[Path], S],
    guess: Guess[S],
    check: Check[S],
    purpose: gr.Radio | None = None,
    *known: gr.State,
) -> list[Dependency]:
    """Read and check it when it is given and when another column is picked; `start` can be pressed when it will do.

    With a `purpose` what is looked for depends on that too, and on what is `known`. Returns the events after which
    other columns are chosen.
    """
    outputs = [*table.columns, table.found, table.preview, start]
    refused = {"said": table.found, "settled": {start: gr.update(interactive=False)}}
    given = {table.file, *([purpose] if purpose else []), *known}
    opened = bind(_opened, table, start, read, guess, check, **refused)
    fresh = [table.file.change, *([purpose.input] if purpose else [])]
    guessed = [event(opened, given, outputs, **QUIET) for event in fresh]
    for column in table.columns:
        picked = bind(_picked, table, start, read, check, **refused)
        column.input(picked, {*given, *table.columns}, outputs, **QUIET)
    return guessed


def _opened(
    table: TableInput,
    start: gr.Button,
    read: Callable[[Path], S],
    guess: Guess[S],
    check: Check[S],
    given: Given,
    request: gr.Request,
) -> dict[Any, Any]:
    path = given[table.file]
    if not path:
        return {table.found: "", start: gr.update(interactive=False), table.preview: gr.update(visible=False)}
    sheet = read(Path(path))
    chosen = guess(sheet, given)
    needed, none = len(table.columns) - table.optional, (tell(request, "table.none"), "")
    choices = [[*([none] if i >= needed else []), *sheet.columns] for i in range(len(table.columns))]
    picks = {
        column: gr.update(choices=each, value=value)
        for column, each, value in zip(table.columns, choices, chosen, strict=True)
    }
    return picks | _seen(table, start, sheet, chosen, check, given, request)


def _picked(
    table: TableInput,
    start: gr.Button,
    read: Callable[[Path], S],
    check: Check[S],
    given: Given,
    request: gr.Request,
) -> dict[Any, Any]:
    chosen = [given[column] or "" for column in table.columns]
    return _seen(table, start, read(Path(given[table.file])), chosen, check, given, request)


def _seen(
    table: TableInput,
    start: gr.Button,
    sheet: S,
    chosen: Sequence[str],
    check: Check[S],
    given: Given,
    request: gr.Request,
) -> dict[Any, Any]:
    """What the table is with these columns; where they will not do, others can still be picked."""
    try:
        said, good = check(sheet, chosen, given, request), True
    except BadInput as problem:
        said, good = notice(problem.text(language_of(request)), "bad"), False
    shown = [name for name in dict.fromkeys(chosen) if name in sheet.columns]
    taken = (sheet.column(name)[:ROWS] for name in shown)
    rows = [[cell[:CELL] for cell in row] for row in zip(*taken, strict=True)]
    return {
        table.found: said,
        table.preview: gr.update(value={"headers": shown, "data": rows}, visible=True),
        start: gr.update(interactive=good),
    }
