"""Tables as text files (CSV, TSV): cells of the chosen columns; quotes, separators, line ends and other cells stay."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..encodings import Decoded
from ..tables import Sheet, guess_text, harmless, read_sheet
from .layout import Block, Layout, Run, encoded, line_spans

TABLES = ("csv", "tsv")
PROSE = 0.5
"""Share of a column's cells that must be more than a word or two, for its texts to be prose."""
_WORDY = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*(?:[\s,;:]+[^\W\d_]\S*){2}|[\u3040-\u30ff\u3400-\u9fff]{6}")
_NOT_PROSE = re.compile(r"\S+@\S+|https?://\S+")


@dataclass(frozen=True)
class _Cell:
    """[start, end) of what it holds, in the source; without the quotes if it has them."""

    row: int
    column: int
    start: int
    end: int
    quoted: bool


def prose_columns(sheet: Sheet) -> tuple[str, ...]:
    """The columns that hold prose; where none does, the one that is most like it."""
    found = [column for column in sheet.columns if _is_prose(sheet.column(column))]
    return tuple(found or [guess_text(sheet)])


def chosen_columns(sheet: Sheet, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns to translate; without any named, those with prose. Raises BadInput for one that is not there."""
    for column in columns:
        sheet.column(column)
    return tuple(columns) or prose_columns(sheet)


def _is_prose(cells: Sequence[str]) -> bool:
    given = [cell for cell in cells if cell.strip()]
    wordy = sum(1 for cell in given if _WORDY.search(cell) and not _NOT_PROSE.fullmatch(cell.strip()))
    return wordy > PROSE * len(given)


def column_layout(found: Decoded, path: Path, name: str, columns: Sequence[str] = ()) -> Layout:
    """A table taken apart; without `columns`, those with prose. Raises BadInput for a column that is not there."""
    sheet = read_sheet(path, name, ragged=True)
    chosen = chosen_columns(sheet, columns)
    places = {place for place, column in zip(sheet.places, sheet.columns, strict=True) if column in chosen}
    blocks: list[Block] = []
    for cell in _cells(found.text, sheet.delimiter):
        if cell.column in places and cell.row >= sheet.numbers[0]:
            blocks += _blocks(found.text, cell, sheet.delimiter)
    return Layout(tuple(blocks), partial(encoded, found, name))


def _cells(source: str, delimiter: str) -> list[_Cell]:
    """Where each cell stands, read as `read_sheet` does: quotes are marks, or where that can not be, characters."""
    try:
        cells = list(_scanned(source, delimiter, quotes=True))
        rows = list(_reader(source, delimiter))
    except csv.Error:
        return list(_scanned(source, delimiter, quotes=False))
    found = [(cell.row, cell.column, _held(source, cell)) for cell in cells if cell.column or cell.end > cell.start]
    known = [(i, j, text) for i, row in enumerate(rows, 1) for j, text in enumerate(row)]
    agreed = found == [each for each in known if each[1] or each[2]]
    return cells if agreed else list(_scanned(source, delimiter, quotes=False))


def _reader(source: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(source, newline=""), delimiter=delimiter, strict=True)


def _scanned(source: str, delimiter: str, quotes: bool) -> Iterator[_Cell]:
    mark = re.escape(delimiter)
    quoted = rf'"(?P<held>[^"]*(?:""[^"]*)*)"(?={mark}|\r|\n|\Z)|' if quotes else ""
    pattern = re.compile(rf"(?:{quoted}(?P<bare>[^{mark}\r\n]*))(?P<end>{mark}|\r\n|\r|\n|\Z)")
    row, column, place = 1, 0, 0
    while place < len(source) or column:
        found = pattern.match(source, place)
        if found is None:
            raise csv.Error("a quotation mark")
        bare = found["bare"] is not None
        yield _Cell(row, column, *found.span("bare" if bare else "held"), quoted=not bare)
        place = found.end()
        row, column = (row, column + 1) if found["end"] == delimiter else (row + 1, 0)


def _held(source: str, cell: _Cell) -> str:
    text = source[cell.start : cell.end]
    return text.replace('""', '"') if cell.quoted else text


def _blocks(source: str, cell: _Cell, delimiter: str) -> Iterator[Block]:
    """Each line of a cell by itself."""
    held = source[cell.start : cell.end]
    for start, end in line_spans(held) if cell.quoted else [(0, len(held))]:
        text = held[start:end].replace('""', '"') if cell.quoted else held[start:end]
        if text.strip():
            write = partial(_written, cell.quoted, delimiter, harmless(text) != text)
            yield Block((Run(text, ((cell.start + start, cell.start + end),)),), "\n", write)


def _written(quoted: bool, delimiter: str, formula: bool, texts: Sequence[str]) -> list[str]:
    """Quoted where it must be; what would be run as a formula, and was none before, is made harmless."""
    made = [text if formula else str(harmless(text)) for text in texts]
    if quoted:
        return [text.replace('"', '""') for text in made]
    return [_in_quotes(text) if delimiter in text or text.startswith('"') else text for text in made]


def _in_quotes(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
