"""Judge one column of a table, row by row: a label and a score beside each, as CSV and as a workbook.

Every row is kept; one that can not be judged carries the reason. Does not know jobs, processes or the page.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from ..backend.engine import Engine
from ..backend.pool import Pool
from ..errors import BadInput
from ..messages import message
from ..tasks.sentiment import Judgement, classify_each, labels_of
from ..tasks.tables import Sheet, read_sheet, write_csv, write_xlsx
from ..tasks.watch import Ordered, read_order
from .charts import by_group, over_time
from .lent import save_report, with_model
from .orders import TableOrder
from .rows import DoneRows
from .truth import CUT, Compared, keep_compared, true_labels

TABLE = "table"
FIRST_ROWS, MOST_ROWS = 16, 2048
SAVE_EVERY_S = 4.0
"""About how long rows are judged together before they are kept and progress is told."""
FITS = 0.5
SHOWN = 10
"""Rows in the report of those it is most certain and most doubtful of."""


def run(work: Ordered, pool: Pool) -> Literal["done", "stopped"]:
    """Judge a table as a `TableOrder` says. Raises LlmappError."""
    work.phase("preflight")
    order = read_order(TableOrder, work.todo)
    sheet = read_sheet(work.file(TABLE), work.file_name(TABLE), ragged=True)
    texts = sheet.column(order.column)
    _truths(order, sheet)
    for column in filter(None, (order.date, order.group)):
        sheet.column(column)
    done = DoneRows(work.folder("checkpoints") / "rows.jsonl")

    def use(engine: Engine) -> None:
        work.phase("judging")
        _labels_file(work).write_text(json.dumps(labels_of(engine, order.labels)), encoding="utf-8")
        _judge(work, order, engine, texts, done)

    with_model(work, pool, order.model, use)
    work.phase("saving")
    _write(work, order, sheet, done.rows)
    return "done" if len(done.rows) == len(texts) else "stopped"


def _truths(order: TableOrder, sheet: Sheet) -> tuple[str, ...]:
    """The true labels, if the table has some. Raises BadInput for a column that can not hold them."""
    return true_labels(sheet, order.column, order.truth) if order.truth else ()


def _labels_file(work: Ordered) -> Path:
    return work.folder("checkpoints") / "labels.json"


def _judge(work: Ordered, order: TableOrder, engine: Engine, texts: Sequence[str], done: DoneRows) -> None:
    """Judge the rows that are not done yet, some seconds' worth at a time, until all are or it shall stop."""
    rows = FIRST_ROWS
    while len(done.rows) < len(texts) and not work.stop_asked():
        work.progress(len(done.rows), len(texts))
        began = time.monotonic()
        now = texts[len(done.rows) : len(done.rows) + rows]
        done.add(judged(engine, now, order.labels, order.language, order.multi_label))
        seconds = time.monotonic() - began
        rows = max(FIRST_ROWS, min(MOST_ROWS, round(rows * SAVE_EVERY_S / max(seconds, SAVE_EVERY_S / 4))))
    work.progress(len(done.rows), len(texts))


def judged(
    engine: Engine, texts: Sequence[str], labels: Sequence[str] = (), language: str = "en", several: bool = False
) -> list[dict[str, Any]]:
    """{"label", "score"} for each text, or {"error": sentence in that language}. Equal texts are judged once.

    With `several` labels that may fit, "scores" has the probability of each.
    """
    different = [text for text in dict.fromkeys(texts) if text.strip()]
    found: dict[str, dict[str, Any]] = {}
    try:
        answers = zip(different, classify_each(engine, different, labels, several, MOST_ROWS, warn=False), strict=True)
        found = {text: _row(judgement, several) for text, judgement in answers}
    except BadInput:  # one of them can not be judged
        found = {text: _alone(engine, text, labels, language, several) for text in different}
    blank = {"error": message("error.row_blank").text(language)}
    return [found.get(text, blank) for text in texts]


def _alone(engine: Engine, text: str, labels: Sequence[str], language: str, several: bool) -> dict[str, Any]:
    try:
        return _row(next(iter(classify_each(engine, [text], labels, several, warn=False))), several)
    except BadInput as error:
        return {"error": error.text(language)}


def _row(judgement: Judgement, several: bool) -> dict[str, Any]:
    scores = {label: round(score, 6) for label, score in judgement.scores.items()}
    row: dict[str, Any] = {"label": judgement.label, "score": scores[judgement.label]}
    return row | {"scores": scores} if several else row


def _write(work: Ordered, order: TableOrder, sheet: Sheet, rows: Sequence[dict[str, Any]]) -> None:
    """The table with columns more, and what there is to say about it."""
    folder = work.folder("result")
    each = order.labels if order.multi_label else ()
    columns = _named(sheet.columns, ("label", "score", *each, "error"))
    stem = Path(work.file_name(TABLE)).stem
    files = {"csv": f"{stem} judged.csv", "xlsx": f"{stem} judged.xlsx"}
    write_csv(folder / files["csv"], columns, _cells(sheet, rows, each))
    cut = write_xlsx(folder / files["xlsx"], columns, _cells(sheet, rows, each))
    report = _report(sheet.column(order.column), sheet.numbers, rows) | _truth(work, order, sheet, rows)
    report |= _spread(order, sheet, [row.get("label", "") for row in rows])
    settings = {"column": order.column, "labels": list(order.labels)}
    save_report(work, report | {"files": files, "cut_cells": cut}, settings)


def _truth(work: Ordered, order: TableOrder, sheet: Sheet, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How the judged rows agree with the labels that stood beside them; nothing without such labels."""
    truths = _truths(order, sheet)
    if not truths or not rows:
        return {}
    cells = zip(sheet.numbers, sheet.column(order.column), truths, rows, strict=False)
    both = [Compared(n, text[:CUT], t, row["label"], row["score"]) for n, text, t, row in cells if t and "label" in row]
    labels = json.loads(_labels_file(work).read_text(encoding="utf-8"))
    return {"truth": keep_compared(work.folder("result"), order.truth, both, labels)}


def _spread(order: TableOrder, sheet: Sheet, labels: Sequence[str]) -> dict[str, Any]:
    """The labels over the columns that were asked for."""
    over = {"date": (order.date, over_time), "group": (order.group, by_group)}
    return {name: spread(column, sheet.column(column), labels) for name, (column, spread) in over.items() if column}


def _cells(sheet: Sheet, rows: Sequence[dict[str, Any]], each: Sequence[str]) -> Iterator[tuple[str | float, ...]]:
    for i, cells in enumerate(sheet.rows):
        row = rows[i] if i < len(rows) else {}
        yield (
            *cells,
            row.get("label", ""),
            row.get("score", ""),
            *(row.get("scores", {}).get(name, "") for name in each),
            row.get("error", ""),
        )


def _named(columns: Sequence[str], more: Sequence[str]) -> list[str]:
    """The columns and more of them, each new one under a name that none has."""
    names = list(columns)
    for name in more:
        while name in names:
            name = f"{name} (judged)"
        names.append(name)
    return names


def _report(texts: Sequence[str], numbers: Sequence[int], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many rows of each label, and the rows it is most certain and most doubtful of."""
    scored = [
        {"row": number, "text": text[:300], **row}
        for text, number, row in zip(texts, numbers, rows, strict=False)
        if "score" in row
    ]
    scored.sort(key=lambda row: -row["score"])
    return {
        "rows": len(texts),
        "judged": len(scored),
        "failed": len(rows) - len(scored),
        "labels": dict(Counter(row["label"] for row in scored).most_common()),
        "certain": scored[:SHOWN],
        **({"fits": _fits(scored)} if scored and "scores" in scored[0] else {}),
        "doubtful": scored[::-1][:SHOWN],
    }


def _fits(scored: Sequence[dict[str, Any]]) -> dict[str, int]:
    """In how many rows each label is likelier than not."""
    return {label: sum(row["scores"][label] >= FITS for row in scored) for label in scored[0]["scores"]}
