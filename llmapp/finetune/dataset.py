"""A person's table to rows that can teach: read it, guess its columns, check it, split it. Errors carry row numbers.

Knows text, tables and labels. Does not know models, tokens or the page. A row's number is the one a spreadsheet shows:
the header is row 1.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import BadInput
from ..messages import Message, message
from ..tasks.encodings import decoded

DELIMITERS = (",", "\t", ";", "|")
SNIFFED_ROWS = 200
LEAST_PER_LABEL = 5
"""Different texts a label needs: one to choose the best with, one to test on, a few to learn from."""
MOST_LABELS = 100
LEAST_TESTED = 20
"""Rows to test on that a small table should reach, by giving up to a quarter of its rows."""
TEXT_NAMES = (
    *("text", "message", "sentence", "review", "comment", "content", "tweet", "body", "title", "question"),
    *("文本", "内容", "评论", "句子", "消息", "标题", "问题"),
)
LABEL_NAMES = (
    *("label", "class", "category", "sentiment", "target", "type", "tag", "rating", "topic", "intent"),
    *("标签", "类别", "情感", "分类", "类型", "评分", "主题", "意图"),
)


@dataclass(frozen=True)
class Table:
    """A file's cells, blank rows left out; `numbers` are the rows' own in the file."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]
    encoding: str
    delimiter: str


@dataclass(frozen=True)
class Rows:
    """What can be learned from: a text and a label each, the number of each row, and what a person should know."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    numbers: tuple[int, ...]
    classes: tuple[str, ...]
    notes: tuple[Message, ...]


@dataclass(frozen=True)
class Split:
    """Positions in `Rows`: to learn from, to choose the best state with, to test on at the very end."""

    train: tuple[int, ...]
    valid: tuple[int, ...]
    test: tuple[int, ...]


def read_table(path: Path) -> Table:
    """A CSV or TSV file; encoding and delimiter are found. Raises BadInput naming the row that is wrong."""
    file = decoded(path.read_bytes(), path.name)
    delimiter = _delimiter(file.text)
    records = [(number, cells) for number, cells in _records(file.text, delimiter, path.name) if any(cells)]
    if not records:
        raise BadInput("table_empty", file=path.name)
    columns = _columns(records)
    body = records if _headless(records) else records[1:]
    if not body:
        raise BadInput("table_empty", file=path.name)
    rows = tuple(_fitted(cells, columns, number) for number, cells in body)
    kept = [i for i, name in enumerate(columns) if name or any(row[i] for row in rows)]
    if len(kept) < 2:
        raise BadInput("table_one_column", file=path.name)
    return Table(
        columns=_named([columns[i] for i in kept]),
        rows=tuple(tuple(row[i] for i in kept) for row in rows),
        numbers=tuple(number for number, _ in body),
        encoding=file.encoding,
        delimiter=delimiter,
    )


def guess_columns(table: Table) -> tuple[str, str]:
    """The columns that look most like texts and like labels, by their names and by what is in them."""
    positions = range(len(table.columns))
    text = max(positions, key=lambda i: (_called(table.columns[i], TEXT_NAMES), _mean_length(table, i)))
    if _mean_length(table, text) * 3 < max(_mean_length(table, i) for i in positions):
        text = max(positions, key=lambda i: _mean_length(table, i))
    others = [i for i in positions if i != text]
    label = max(others, key=lambda i: (_repeats(table, i), _called(table.columns[i], LABEL_NAMES), -i))
    return table.columns[text], table.columns[label]


def validate(table: Table, text: str, label: str) -> Rows:
    """The rows that can teach. Rows without a text or a label are left out, and that is said in the notes.

    Raises BadInput for a missing column, one label only, a label with too few texts, labels that look like texts.
    """
    for column in (text, label):
        if column not in table.columns:
            raise BadInput("table_no_column", column=column, columns=", ".join(table.columns))
    if text == label:
        raise BadInput("table_same_column", column=text)
    t, y = table.columns.index(text), table.columns.index(label)
    cells = [(row[t], " ".join(row[y].split()), n) for row, n in zip(table.rows, table.numbers, strict=True)]
    whole = [entry for entry in cells if entry[0] and entry[1]]
    if not whole:
        raise BadInput("table_no_rows", text=text, label=label)
    texts, labels, numbers = zip(*whole, strict=True)
    _check_labels(texts, labels, label)
    left_out = [n for content, name, n in cells if not (content and name)]
    notes = (*_blank_note(left_out), *_repeat_notes(texts, labels))
    return Rows(texts, labels, numbers, tuple(sorted(set(labels))), notes)


def split(rows: Rows, seed: int) -> Split:
    """Tenths: eight to learn, one to choose, one to test; every label in each; small tables test on more.

    The same text, whatever its case and punctuation, is always on one side. Rows are drawn by a hash of seed and
    text, so that the order in the file does not matter.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for i, content in enumerate(rows.texts):
        groups[text_key(content)].append(i)
    by_label: dict[str, list[str]] = defaultdict(list)
    for key, members in groups.items():
        by_label[rows.labels[members[0]]].append(key)
    share = min(max(0.1, LEAST_TESTED / len(rows.texts)), 0.25)
    sides: tuple[list[int], list[int], list[int]] = ([], [], [])
    for keys in by_label.values():
        keys.sort(key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).digest())
        each = max(1, round(share * len(keys)))
        for side, chosen in zip(sides, (keys[2 * each :], keys[each : 2 * each], keys[:each]), strict=True):
            side.extend(i for key in chosen for i in groups[key])
    train, valid, test = (tuple(sorted(side)) for side in sides)
    return Split(train, valid, test)


def text_key(text: str) -> str:
    """What two texts share that differ in case, punctuation, width of characters or blanks only."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(words) or text.strip()


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


def _records(text: str, delimiter: str, file: str) -> list[tuple[int, tuple[str, ...]]]:
    """Numbered records, each cell stripped. Quotes are cell marks, or, where that can not be, ordinary characters."""
    try:
        return _parsed(text, delimiter, csv.QUOTE_MINIMAL, file)
    except BadInput:
        plain = _parsed(text, delimiter, csv.QUOTE_NONE, file)
        if len({len(cells) for _, cells in plain if any(cells)}) == 1:
            return plain
        raise


def _parsed(text: str, delimiter: str, quoting: Literal[0, 3], file: str) -> list[tuple[int, tuple[str, ...]]]:
    records: list[tuple[int, tuple[str, ...]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    try:
        for cells in reader:
            records.append((len(records) + 1, tuple(cell.strip() for cell in cells)))
    except csv.Error as problem:
        raise BadInput("table_quotes", file=file, row=len(records) + 1, problem=str(problem)) from None
    return records


def _columns(records: Sequence[tuple[int, tuple[str, ...]]]) -> tuple[str, ...]:
    """The header's names, blanks within made single; none where there is no header."""
    _, first = records[0]
    if not _headless(records):
        return tuple(" ".join(name.split()) for name in first)
    width, _ = Counter(len(cells) for _, cells in records).most_common(1)[0]
    return ("",) * width


def _headless(records: Sequence[tuple[int, tuple[str, ...]]]) -> bool:
    """True when the first row is data: one of its cells stands again below, in a column of few different values."""
    (_, first), *rest = records
    for i, name in enumerate(first):
        below = Counter(cells[i] for _, cells in rest if len(cells) > i)
        if name and below[name] > 0 and len(below) <= min(MOST_LABELS, len(rest) / 2):
            return True
    return False


def _named(columns: Sequence[str]) -> tuple[str, ...]:
    """Every column with a name of its own."""
    names: list[str] = []
    for i, name in enumerate(columns, 1):
        wanted = name or f"#{i}"
        names.append(wanted if wanted not in names else f"{wanted} ({i})")
    return tuple(names)


def _fitted(cells: tuple[str, ...], columns: Sequence[str], number: int) -> tuple[str, ...]:
    width = len(columns)
    if any(cells[width:]):
        raise BadInput("table_long_row", row=number, cells=len(cells), columns=width)
    return (*cells[:width], *("",) * (width - len(cells)))


def _called(name: str, names: Sequence[str]) -> int:
    """2 for a usual name, 1 for a name that holds one, else 0."""
    lower = name.casefold()
    return 2 if lower in names else int(any(usual in lower for usual in names))


def _mean_length(table: Table, i: int) -> float:
    return sum(len(row[i]) for row in table.rows) / len(table.rows)


def _repeats(table: Table, i: int) -> bool:
    """True for a column whose values stand again and again, as labels do."""
    values = {row[i] for row in table.rows if row[i]}
    return 2 <= len(values) <= min(MOST_LABELS, max(2, len(table.rows) // 3))


def _check_labels(texts: Sequence[str], labels: Sequence[str], column: str) -> None:
    first_said = {text_key(t): y for t, y in zip(reversed(texts), reversed(labels), strict=True)}
    counts = dict.fromkeys(labels, 0) | Counter(first_said.values())
    if len(counts) == 1:
        raise BadInput("table_one_label", label=labels[0], column=column)
    if len(counts) > MOST_LABELS or len(counts) > len(texts) / LEAST_PER_LABEL:
        raise BadInput("table_many_labels", column=column, labels=len(counts), rows=len(texts), most=MOST_LABELS)
    fewest, count = min(counts.items(), key=lambda item: (item[1], item[0]))
    if count < LEAST_PER_LABEL:
        few = sum(n < LEAST_PER_LABEL for n in counts.values())
        raise BadInput("table_few", label=fewest, count=count, least=LEAST_PER_LABEL, labels=few)


def _blank_note(numbers: Sequence[int]) -> tuple[Message, ...]:
    return (message("training.blank_rows", rows=len(numbers), first=numbers[0]),) if numbers else ()


def _repeat_notes(texts: Sequence[str], labels: Sequence[str]) -> tuple[Message, ...]:
    found: dict[str, set[str]] = defaultdict(set)
    for content, name in zip(texts, labels, strict=True):
        found[text_key(content)].add(name)
    notes = []
    if len(found) < len(texts):
        notes.append(message("training.repeated_rows", rows=len(texts) - len(found)))
    torn = sum(len(names) > 1 for names in found.values())
    if torn:
        notes.append(message("training.contradictions", texts=torn))
    return tuple(notes)
