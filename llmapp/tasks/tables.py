"""Tables a person gives, as rows of text: CSV, TSV, Excel and OpenDocument; and tables given back.

Encodings, delimiters and headers are found, errors carry row numbers. Knows neither models nor the page. A row's number
is the one a spreadsheet shows: the header is row 1.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from ..errors import BadInput
from .encodings import decoded

DELIMITERS = (",", "\t", ";", "|")
SNIFFED_ROWS = 200
FEW_VALUES = 100
"""A column with no more different values than this may hold labels."""
TEXT_NAMES = (
    *("text", "message", "sentence", "review", "comment", "content", "tweet", "body", "title", "question"),
    *("文本", "内容", "评论", "句子", "消息", "标题", "问题"),
)
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How files of Excel and OpenDocument begin: a zip archive, or the older compound file."""
MOST_UNPACKED = 1_000_000_000
LONGEST_CELL = 32_767
"""Characters that Excel takes in one cell (Excel specifications and limits, support.microsoft.com)."""
NUMBER = re.compile(r"[+-]?\d[\d.,\s]*%?")

Cells = tuple[str, ...]
Record = tuple[int, Cells]


@dataclass(frozen=True)
class Sheet:
    """A table as it was given; every row has as many cells as there are columns. `numbers` are the rows' own.

    `encoding` and `delimiter` are empty for a workbook. Blank rows are kept, but for those at the end. `places` are the
    columns' own, counted from 0 in the file: a column with nothing in it is none.
    """

    columns: Cells
    rows: tuple[Cells, ...]
    numbers: tuple[int, ...]
    encoding: str = ""
    delimiter: str = ""
    places: tuple[int, ...] = ()

    def column(self, name: str) -> Cells:
        """The cells of one column. Raises BadInput naming those there are."""
        if name not in self.columns:
            raise BadInput("table_no_column", column=name, columns=", ".join(self.columns))
        place = self.columns.index(name)
        return tuple(row[place] for row in self.rows)


def read_sheet(path: Path, name: str = "", ragged: bool = False) -> Sheet:
    """The table in a file that the person calls `name`; of a workbook the first sheet with cells in it.

    Raises BadInput naming the row that is wrong; with `ragged` a row longer than the header makes columns instead.
    """
    name = name or path.name
    with path.open("rb") as file:
        head = file.read(4)
    encoding = delimiter = ""
    if head.startswith(WORKBOOKS):
        records = next((rows for _, rows in _sheets(path, name)), [])
    else:
        text = decoded(path.read_bytes(), name)
        encoding, delimiter = text.encoding, _delimiter(text.text)
        records = _of_text(text.text, delimiter, name)
    while records and not any(cell.strip() for cell in records[-1][1]):
        records.pop()
    return _sheet(records, name, ragged, encoding, delimiter)


def guess_text(sheet: Sheet) -> str:
    """The column that looks most like texts, by its name and by how long its cells are."""
    positions = range(len(sheet.columns))
    lengths = [sum(len(row[i]) for row in sheet.rows) for i in positions]
    text = max(positions, key=lambda i: (called(sheet.columns[i], TEXT_NAMES), lengths[i]))
    if lengths[text] * 3 < max(lengths):
        text = max(positions, key=lengths.__getitem__)
    return sheet.columns[text]


def called(name: str, names: Sequence[str]) -> int:
    """2 for a usual name, 1 for a name that holds one, else 0."""
    lower = name.casefold()
    return 2 if lower in names else int(any(usual in lower for usual in names))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str | float]]) -> None:
    """A CSV that Excel opens rightly: UTF-8 with its mark, and no cell that it would take for a formula."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(harmless, columns))
        writer.writerows(map(harmless, row) for row in rows)


def write_xlsx(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str | float]]) -> int:
    """A workbook of one sheet, text as text and numbers as numbers. Returns how many cells were too long and cut."""
    import xlsxwriter

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    cut = 0
    with xlsxwriter.Workbook(str(path), options) as book:
        sheet = book.add_worksheet()
        for i, row in enumerate(chain([columns], rows)):
            for j, cell in enumerate(row):
                if isinstance(cell, float):
                    sheet.write_number(i, j, cell)
                else:
                    text = str(cell)
                    cut += len(text) > LONGEST_CELL
                    sheet.write_string(i, j, text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…")
    return cut


def harmless(cell: str | float) -> str | float:
    """Programs run what begins like a formula (CWE-1236); a quote before it makes it text. Numbers stay."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def _sheet(records: list[Record], name: str, ragged: bool, encoding: str, delimiter: str) -> Sheet:
    first = next((i for i, (_, cells) in enumerate(records) if any(map(str.strip, cells))), None)
    if first is None:
        raise BadInput("table_empty", file=name)
    headless = _headless(records[first:])
    body = records[first:] if headless else records[first + 1 :]
    if not body:
        raise BadInput("table_empty", file=name)
    header = () if headless else tuple(" ".join(cell.split()) for cell in records[first][1])
    width = _width(header, body, ragged)
    columns = (*header, *("",) * (width - len(header)))
    rows = [(*cells[:width], *("",) * (width - len(cells))) for _, cells in body]
    kept = [i for i, column in enumerate(columns) if column or any(row[i].strip() for row in rows)]
    return Sheet(
        columns=_named([(i, columns[i]) for i in kept]),
        rows=tuple(tuple(row[i] for i in kept) for row in rows),
        numbers=tuple(number for number, _ in body),
        encoding=encoding,
        delimiter=delimiter,
        places=tuple(kept),
    )


def _width(header: Cells, body: list[Record], ragged: bool) -> int:
    """How many columns there are. Raises BadInput for a row with more, unless such rows make columns."""
    widths = Counter(len(cells) for _, cells in body)
    if ragged:
        return max(len(header), *widths)
    width = len(header) or widths.most_common(1)[0][0]
    for number, cells in body:
        if any(cell.strip() for cell in cells[width:]):
            raise BadInput("table_long_row", row=number, cells=len(cells), columns=width)
    return width


def _headless(records: Sequence[Record]) -> bool:
    """True when the first row is data: one of its cells stands again below, in a column of few different values."""
    (_, first), *rest = records
    for i, name in enumerate(map(str.strip, first)):
        below = Counter(cells[i].strip() for _, cells in rest if len(cells) > i)
        if name and below[name] > 0 and len(below) <= min(FEW_VALUES, len(rest) / 2):
            return True
    return False


def _named(columns: Sequence[tuple[int, str]]) -> Cells:
    """Every column with a name of its own; one without is called by its place in the file."""
    names: list[str] = []
    for i, name in columns:
        wanted = name or f"#{i + 1}"
        names.append(wanted if wanted not in names else f"{wanted} ({i + 1})")
    return tuple(names)


def _delimiter(text: str) -> str:
    """The one that cuts most rows into the same number of cells, two or more."""

    def agreement(delimiter: str) -> float:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            widths = Counter(len(cells) for cells, _ in zip(reader, range(SNIFFED_ROWS), strict=False) if cells)
        except csv.Error:
            return 0.0
        width, rows = widths.most_common(1)[0] if widths else (0, 0)
        return rows / widths.total() if width > 1 else 0.0

    return max(DELIMITERS, key=agreement)


def _of_text(text: str, delimiter: str, file: str) -> list[Record]:
    """Numbered records. Quotes are cell marks, or, where that can not be, ordinary characters."""
    try:
        return _parsed(text, delimiter, csv.QUOTE_MINIMAL, file)
    except BadInput:
        plain = _parsed(text, delimiter, csv.QUOTE_NONE, file)
        if len({len(cells) for _, cells in plain if any(map(str.strip, cells))}) == 1:
            return plain
        raise


def _parsed(text: str, delimiter: str, quoting: Literal[0, 3], file: str) -> list[Record]:
    records: list[Record] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    try:
        for cells in reader:
            records.append((len(records) + 1, tuple(cells)))
    except csv.Error as problem:
        raise BadInput("table_quotes", file=file, row=len(records) + 1, problem=str(problem)) from None
    return records


def workbook_text(path: Path, name: str) -> str:
    """All sheets of a workbook that have cells, rows as lines, cells apart by tabs; several of them by name."""
    sheets = list(_sheets(path, name))
    titled = len(sheets) > 1
    return "\n\n".join(
        (f"{title}\n" if titled else "") + "\n".join("\t".join(map(_one_line, cells)).rstrip() for _, cells in rows)
        for title, rows in sheets
    )


def _one_line(cell: str) -> str:
    return " ".join(cell.split())


def _sheets(path: Path, name: str) -> Iterator[tuple[str, list[Record]]]:
    """Sheets with cells in them, by name. Raises BadInput."""
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > MOST_UNPACKED:
                    raise BadInput("document_bomb", file=name)
        with CalamineWorkbook.from_path(str(path)) as book:
            for title in book.sheet_names:
                cells = book.get_sheet_by_name(title).to_python(skip_empty_area=False)
                if any(any(row) for row in cells):
                    yield title, [(i, tuple(map(_written, row))) for i, row in enumerate(cells, 1)]
    except (CalamineError, zipfile.BadZipFile, OSError) as problem:
        raise BadInput("table_workbook", file=name) from problem


def _written(value: object) -> str:
    """A cell of a workbook as a person would write it: 3 and not 3.0, a date as 2026-11-22."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
