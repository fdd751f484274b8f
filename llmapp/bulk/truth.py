"""A judged table beside the labels that stood in it: how often they agree, and the rows behind each number.

What a label of the table means is guessed and can be changed afterwards, without judging again. Knows the result
folder of a job. Does not know models or the page.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..errors import BadInput
from ..tasks.columns import guess_means
from ..tasks.metrics import score
from ..tasks.tables import FEW_VALUES, Sheet

ROWS, REPORT = "rows.jsonl", "report.json"
CUT = 1000
"""Characters of a text that are kept to be shown."""


@dataclass(frozen=True)
class Compared:
    """A judged row: its number in the table, its text, the label that stood there, and the answer with its score."""

    row: int
    text: str
    truth: str
    label: str
    score: float


def true_labels(sheet: Sheet, text: str, column: str) -> tuple[str, ...]:
    """The cells of a column of true labels. Raises BadInput for the texts' own, and for one of too many values."""
    cells = tuple(" ".join(cell.split()) for cell in sheet.column(column))
    values = len(set(cells) - {""})
    if column == text:
        raise BadInput("table_same_column", column=column)
    if values > FEW_VALUES:
        raise BadInput("table_many_labels", column=column, labels=values, rows=len(cells), most=FEW_VALUES)
    return cells


def keep_compared(folder: Path, column: str, rows: Sequence[Compared], labels: Sequence[str]) -> dict[str, Any]:
    """Keep the rows for `cell_rows`; returns what the report says about them. `labels`: what the model answers with."""
    with (folder / ROWS).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    pairs = Counter((row.truth, row.label) for row in rows)
    means = guess_means(tuple(dict.fromkeys(row.truth for row in rows)), labels)
    return _agreement(column, [(*pair, count) for pair, count in sorted(pairs.items())], labels, means)


def remap(folder: Path, value: str, label: str) -> None:
    """From now on this value of the table means that label, or none. Raises BadInput for what is not there.

    Two that come at once are done one after the other.
    """
    with FileLock(folder / f"{REPORT}.lock"):
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        found = report["truth"]
        if value not in found["means"] or label not in ("", *found["labels"]):
            raise BadInput("truth_unknown", value=value, label=label)
        means = found["means"] | {value: label}
        report["truth"] = _agreement(found["column"], found["pairs"], found["labels"], means)
        part = folder / f"{REPORT}.part"
        part.write_text(json.dumps(report, ensure_ascii=False), encoding="utf-8")
        part.replace(folder / REPORT)


def cell_rows(folder: Path, means: Mapping[str, str], truth: str, answer: str) -> Iterator[Compared]:
    """The rows of one number of the matrix, in the order of the table."""
    with (folder / ROWS).open(encoding="utf-8") as file:
        for row in (Compared(**json.loads(line)) for line in file):
            if row.label == answer and (means.get(row.truth) or row.truth) == truth:
                yield row


def _agreement(
    column: str, pairs: Iterable[tuple[str, str, int]], labels: Sequence[str], means: Mapping[str, str]
) -> dict[str, Any]:
    """Figures over the rows whose label means one of the model's; the others stand in the matrix below these."""
    counts: Counter[tuple[str, str]] = Counter()
    for value, answer, count in pairs:
        counts[means[value] or value, answer] += count
    seen = {name for pair in counts for name in pair}
    known = [label for label in labels if label in seen]
    others = [value for value, label in means.items() if not label]
    places = {label: i for i, label in enumerate(known)}
    both = [(places[t], places[a]) for (t, a), count in counts.items() if t in places for _ in range(count)]
    found = {
        "column": column,
        "pairs": [list(pair) for pair in pairs],
        "means": dict(means),
        "labels": list(labels),
        "answers": known,
        "others": others,
        "confusion": [[counts[truth, answer] for answer in known] for truth in (*known, *others)],
        "rows": len(both),
    }
    if not both:
        return found
    scores = score([t for t, _ in both], [a for _, a in both], known)
    by_label = {label: asdict(each) for label, each in scores.labels.items()}
    return found | {"accuracy": scores.accuracy, "macro_f1": scores.macro_f1, "by_label": by_label}
