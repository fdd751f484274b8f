"""Rows that are no table yet: JSON, JSON lines, Parquet, conversations, Alpaca's form, zipped folders of text files.

Becomes a `Sheet` like any table. Knows neither goals nor the page. A row's number is its line or its place in the list.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import BadInput
from ..tasks.encodings import Decoded, decoded
from ..tasks.tables import MOST_UNPACKED, Sheet
from .conversations import CONVERSATION, FORMS, REPLY, answers_of, cells_of, later

JSONS, PARQUET = (".json", ".jsonl", ".ndjson"), ".parquet"
ENDINGS = (*JSONS, PARQUET, ".zip")
PARQUET_MARK = b"PAR1"
WORKBOOK_PARTS = ("[Content_Types].xml", "mimetype", "content.xml")
"""What is in a zip that is a workbook of Excel or OpenDocument."""
ALPACA = ("instruction", "input", "output")
"""What Stanford Alpaca's records hold: `input` belongs below `instruction`, and is often empty."""
TEXTS = (".txt", ".md", ".text", "")


@dataclass(frozen=True)
class Records(Sheet):
    """A sheet of records. Of conversations `untaken` counts the exchanges after their first, and `whole` says that
    these are in it, in columns of their own. `alpaca`: it has the columns of ALPACA.
    """

    untaken: int = 0
    whole: bool = False
    alpaca: bool = False


def read_records(path: Path) -> Records | None:
    """The records in a file; None where it is a table. Raises BadInput naming the row that is wrong."""
    if zipfile.is_zipfile(path):
        return _folders(path)
    with path.open("rb") as file:
        mark = file.read(64)
    if mark.startswith(PARQUET_MARK):
        return _recorded(_columnar(path), Decoded("", "UTF-8"), path)
    head = mark.decode("utf-8", "ignore").lstrip("\ufeff \t\r\n")
    if path.suffix.lower() not in JSONS and not head.startswith(("{", "[{", "[\n", "[ ")):
        return None
    text = decoded(path.read_bytes(), path.name)
    return _recorded(list(_parsed(text, path)), text, path)


Numbered = tuple[int, Mapping[str, Any]]


def _recorded(found: Sequence[Numbered], text: Decoded, path: Path) -> Records:
    if not found:
        raise BadInput("table_empty", file=path.name)
    return _of_conversations(found, text) or _flat(found, text)


def _columnar(path: Path) -> list[Numbered]:
    """The rows of a Parquet file, numbered from 1. What it holds unpacked is known before it is read."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            groups = (file.metadata.row_group(i) for i in range(file.metadata.num_row_groups))
            if sum(group.total_byte_size for group in groups) > MOST_UNPACKED:
                raise BadInput("document_bomb", file=path.name)
            return list(enumerate(file.read().to_pylist(), 1))
    except (pyarrow.ArrowException, OSError) as problem:
        raise BadInput("document_damaged", file=path.name) from problem


def _parsed(text: Decoded, path: Path) -> Iterator[Numbered]:
    """Records with their numbers: a list, an object that holds one, or an object on each line."""
    try:
        whole = json.loads(text.text)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, Mapping):
        lists = [value for value in whole.values() if isinstance(value, list)]
        whole = lists[0] if lists else [whole]
    if isinstance(whole, list):
        yield from (_record(number, value) for number, value in enumerate(whole, 1))
        return
    for number, line in enumerate(text.text.splitlines(), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as problem:
                raise BadInput("table_json", file=path.name, row=number, problem=str(problem)) from None
            yield _record(number, value)


def _record(number: int, value: Any) -> Numbered:
    if not isinstance(value, Mapping):
        raise BadInput("table_record", row=number, value=f"{value!r:.60}")
    return number, value


def _flat(records: Sequence[Numbered], text: Decoded) -> Records:
    """A column for each name."""
    columns = list(dict.fromkeys(str(name) for _, record in records for name in record))
    rows = [(n, {str(name): _cell(n, str(name), value) for name, value in record.items()}) for n, record in records]
    return replace(_sheet(columns, rows, text), alpaca=set(ALPACA) <= set(columns))


def _cell(number: int, column: str, value: Any) -> str:
    if value is None or value != value:  # no number is none
        return ""
    if isinstance(value, (list, Mapping)):
        raise BadInput("table_nested", row=number, column=column)
    return json.dumps(value) if isinstance(value, (bool, int, float)) else str(value)


def _of_conversations(records: Sequence[Numbered], text: Decoded) -> Records | None:
    """Conversations whole, and the first question and answer of each; None where the records are none."""
    name = next((name for name in FORMS if name in records[0][1]), None)
    if name is None:
        return None
    rows = [(number, cells_of(number, name, record)) for number, record in records]
    answers = [answers_of(record[name]) for _, record in records]
    whole = any(later(cells, count) for (_, cells), count in zip(rows, answers, strict=True))
    columns = ["question", "answer", *([CONVERSATION, REPLY] if whole else [])]
    columns += ["system"] if any(cells["system"] for _, cells in rows) else []
    return replace(_sheet(columns, rows, text), untaken=sum(max(0, count - 1) for count in answers), whole=whole)


def _sheet(columns: Sequence[str], rows: Sequence[tuple[int, Mapping[str, str]]], text: Decoded) -> Records:
    return Records(
        tuple(columns),
        tuple(tuple(cells.get(column, "") for column in columns) for _, cells in rows),
        tuple(number for number, _ in rows),
        encoding=text.encoding,
    )


def _folders(path: Path) -> Records | None:
    """A row for each text file, labelled by the folder it lies in; None for a workbook."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = [entry for entry in archive.infolist() if not entry.is_dir()]
            if any(entry.filename in WORKBOOK_PARTS for entry in files):
                return None
            if sum(entry.file_size for entry in files) > MOST_UNPACKED:
                raise BadInput("document_bomb", file=path.name)
            rows = [row for entry in files if (row := _labelled(archive, entry, path.name))]
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, OSError) as problem:  # locked, torn
        raise BadInput("document_damaged", file=path.name) from problem
    if not rows:
        raise BadInput("table_empty", file=path.name)
    return Records(("text", "label"), tuple(rows), tuple(range(1, len(rows) + 1)))


def _labelled(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, file: str) -> tuple[str, str] | None:
    """The text of one entry and its folder; None for what a system puts beside a person's files."""
    place = PurePosixPath(entry.filename.replace("\\", "/"))
    if "__MACOSX" in place.parts or place.name.startswith("."):
        return None
    if place.suffix.lower() not in TEXTS or not place.parent.name:
        raise BadInput("zip_folders", file=file, entry=entry.filename)
    return decoded(archive.read(entry), place.name).text, place.parent.name
