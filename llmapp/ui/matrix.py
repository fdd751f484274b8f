"""A confusion matrix as a table: true labels down, answers across. Knows no task."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..messages import say


def matrix(
    truths: Sequence[str], answers: Sequence[str], counts: Sequence[Sequence[int]], language: str, cells: bool = False
) -> str:
    """HTML; with `cells` each number that is not 0 carries its place as `data-cell`, for `job_panel` to make pressable.

    The larger a number's share of its row, the stronger its ground.
    """
    head = "".join(f"<th scope='col'>{escape(answer)}</th>" for answer in answers)
    rows = ""
    for i, (truth, row) in enumerate(zip(truths, counts, strict=True)):
        total = max(1, sum(row))
        numbers = "".join(
            f"<td style='--share:{100 * count / total:.0f}%'>{_number(count, f'{i},{j}' if cells else '')}</td>"
            for j, count in enumerate(row)
        )
        rows += f"<tr><th scope='row'>{escape(truth)}</th>{numbers}</tr>"
    corner = f"<th>{escape(say('finetune.matrix', language))}</th>"
    table = f"<table class='matrix confusion'><thead><tr>{corner}{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div class='scroll'>{table}</div>"


def _number(count: int, cell: str) -> str:
    return f"<span data-cell='{cell}'>{count:,}</span>" if cell and count else f"{count:,}"
