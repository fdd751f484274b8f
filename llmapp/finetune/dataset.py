"""A person's table to rows that can teach: read it, guess its columns, check it, split it. Errors carry row numbers.

Knows text, tables and labels. Does not know models, tokens or the page. A row's number is the one a spreadsheet shows:
the header is row 1.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import BadInput
from ..messages import Message, message
from ..tasks.columns import LABEL_NAMES, repeats
from ..tasks.tables import FEW_VALUES, called, guess_text, read_sheet
from .alike import nearly_same, text_key
from .conversations import MARK
from .records import Records, read_records

LEAST_PER_LABEL = 5
"""Different texts a label needs: one to choose the best with, one to test on, a few to learn from."""
INPUT_PAIRS = (
    (("instruction", "指令"), ("input", "context", "输入", "上下文")),
    (
        ("title", "headline", "subject", "标题"),
        ("body", "text", "content", "description", "message", "review", "正文", "内容", "文本", "描述", "评论"),
    ),
    (("question", "prompt", "query", "问题", "提问", "提示"), ("context", "passage", "上下文", "背景", "材料")),
    (("question", "问题"), ("answer", "回答", "答案")),
    (
        ("premise", "sentence1", "text1", "text_a", "question1", "文本1", "句子1"),
        ("hypothesis", "sentence2", "text2", "text_b", "question2", "文本2", "句子2"),
    ),
)
"""Names of columns that are two inputs of one row, the first above the second."""
LEAST_TESTED = 20
"""Rows to test on that a small table should reach, by giving up to a quarter of its rows."""


@dataclass(frozen=True)
class Table(Records):
    """What there is to learn from: two columns at least, no blank rows, no blanks around a cell."""


@dataclass(frozen=True)
class Columns:
    """What is taken of a table: texts, labels or answers, and, where they are not empty, what is put below each text
    and what the system says to each.
    """

    text: str
    label: str
    second: str = ""
    system: str = ""


@dataclass(frozen=True)
class Rows:
    """What can be learned from: a text and a label each, the number of each row, and what a person should know."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    numbers: tuple[int, ...]
    classes: tuple[str, ...]
    notes: tuple[Message, ...]

    @property
    def truth(self) -> list[int]:
        """Each row's label as a position in `classes`."""
        place = {name: i for i, name in enumerate(self.classes)}
        return [place[label] for label in self.labels]


@dataclass(frozen=True)
class Split:
    """Positions in `Rows`: to learn from, to choose the best state with, to test on at the very end."""

    train: tuple[int, ...]
    valid: tuple[int, ...]
    test: tuple[int, ...]


def read_table(path: Path) -> Table:
    """The table in a file, or what records it holds, its cells without blanks around them.

    Raises BadInput naming the row that is wrong.
    """
    records = read_records(path)
    sheet = records or read_sheet(path)
    if len(sheet.columns) < 2:
        raise BadInput("table_one_column", file=path.name)
    stripped = [tuple(cell.strip() for cell in row) for row in sheet.rows]
    whole = [i for i, row in enumerate(stripped) if any(row)]
    return Table(
        sheet.columns,
        tuple(stripped[i] for i in whole),
        tuple(sheet.numbers[i] for i in whole),
        sheet.encoding,
        sheet.delimiter,
        untaken=records.untaken if records else 0,
        whole=records.whole if records else False,
        alpaca=records.alpaca if records else False,
    )


def guess_columns(table: Table) -> Columns:
    """The columns that look most like texts and like labels, by their names and by what is in them."""
    if table.whole:
        return Columns("question", "answer")
    text = guess_text(table)
    others = [i for i, column in enumerate(table.columns) if column != text]
    label = max(others, key=lambda i: (repeats(table, i), called(table.columns[i], LABEL_NAMES), -i))
    first, second = guess_inputs(table, text, table.columns[label])
    return Columns(first, table.columns[label], second)


def guess_inputs(table: Table, text: str, label: str) -> tuple[str, str]:
    """The first and the second input: `text` and the column whose name goes with its name; empty where none does."""
    names = {column.casefold(): column for column in reversed(table.columns) if column != label}
    for firsts, seconds in INPUT_PAIRS:
        first, second = (next((names[n] for n in side if n in names), "") for side in (firsts, seconds))
        if first and second and text in (first, second):
            return first, second
    return text, ""


def one_text(first: str, second: str) -> str:
    """Two inputs as the one text that a model reads: the first, a blank line, the second."""
    return "\n\n".join(filter(None, (first, second)))


def joined(table: Table, text: str, second: str) -> Table:
    """The table whose texts have the second input below them, where there is one. Raises BadInput."""
    if not second:
        return table
    texts = list(map(one_text, table.column(text), table.column(second)))
    place = table.columns.index(text)
    rows = [(*row[:place], whole, *row[place + 1 :]) for row, whole in zip(table.rows, texts, strict=True)]
    return replace(table, rows=tuple(rows))


def validate(table: Table, text: str, label: str) -> Rows:
    """The rows that can teach. Rows without a text or a label are left out, and that is said in the notes.

    Raises BadInput for a missing column, one label only, a label with too few texts, labels that look like texts.
    """
    check_columns(table, text, label)
    t, y = table.columns.index(text), table.columns.index(label)
    cells = [
        (row[t].replace(MARK, ""), " ".join(row[y].split()), n)
        for row, n in zip(table.rows, table.numbers, strict=True)
    ]
    whole = [entry for entry in cells if entry[0] and entry[1]]
    if not whole:
        raise BadInput("table_no_rows", text=text, label=label)
    texts, labels, numbers = zip(*whole, strict=True)
    _check_labels(texts, labels, label)
    left_out = [n for content, name, n in cells if not (content and name)]
    notes = (*_blank_note(left_out), *_repeat_notes(texts, labels))
    return Rows(texts, labels, numbers, tuple(sorted(set(labels))), notes)


def check_columns(table: Table, text: str, label: str) -> None:
    """Raises BadInput unless these are two columns of the table."""
    table.column(text), table.column(label)
    if text == label:
        raise BadInput("table_same_column", column=text)


def tenths(keys: Sequence[str], seed: int, rows: int) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """Keys to learn from, to choose with and to test on, drawn by a hash of seed and key; a table of few `rows` gives
    more than a tenth to test on.
    """
    ordered = sorted(keys, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).digest())
    each = max(1, round(min(max(0.1, LEAST_TESTED / rows), 0.25) * len(ordered)))
    return ordered[2 * each :], ordered[each : 2 * each], ordered[:each]


def split(rows: Rows, seed: int) -> Split:
    """Tenths: eight to learn, one to choose, one to test; every label in each; small tables test on more.

    The same text, whatever its case and punctuation or with a word changed, is always on one side. Rows are drawn by a
    hash of seed and text, so that the order in the file does not matter.
    """
    groups = _groups(rows)
    by_label = _by_label(rows, groups)
    sides: tuple[list[int], list[int], list[int]] = ([], [], [])
    for keys in by_label.values():
        for side, chosen in zip(sides, tenths(keys, seed, len(rows.texts)), strict=True):
            side.extend(i for key in chosen for i in groups[key])
    train, valid, test = (tuple(sorted(side)) for side in sides)
    return Split(train, valid, test)


def _groups(rows: Rows) -> dict[str, list[int]]:
    """Positions by what must be on one side; by equal texts alone for a label that has too few groups otherwise."""
    names, keys = nearly_same(rows.texts), [text_key(text) for text in rows.texts]
    few = {label for label, found in _by_label(rows, _gathered(names)).items() if len(found) < LEAST_PER_LABEL}
    alone = {names[i] for i, label in enumerate(rows.labels) if label in few}
    return _gathered([key if name in alone else name for name, key in zip(names, keys, strict=True)])


def _gathered(names: Sequence[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        groups[name].append(i)
    return groups


def _by_label(rows: Rows, groups: Mapping[str, Sequence[int]]) -> dict[str, list[str]]:
    """The groups of each label: a group goes by its first text's."""
    found: dict[str, list[str]] = {label: [] for label in rows.classes}
    for name, members in groups.items():
        found[rows.labels[members[0]]].append(name)
    return found


def _check_labels(texts: Sequence[str], labels: Sequence[str], column: str) -> None:
    first_said = {text_key(t): y for t, y in zip(reversed(texts), reversed(labels), strict=True)}
    counts = dict.fromkeys(labels, 0) | Counter(first_said.values())
    if len(counts) == 1:
        raise BadInput("table_one_label", label=labels[0], column=column)
    if len(counts) > FEW_VALUES or len(counts) > len(texts) / LEAST_PER_LABEL:
        raise BadInput("table_many_labels", column=column, labels=len(counts), rows=len(texts), most=FEW_VALUES)
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
