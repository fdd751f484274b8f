"""What a training is asked for: made by the page or the command line, kept in the job's spec, read by the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .dataset import guess_columns, read_table, validate
from .settings import check_effort

KIND, ROWS = "finetune", "rows.csv"
"""The kind of job, and what its copy of the table is called, whatever format it has."""
AUTO, BASE = "auto", "all-minilm-l6-v2"
"""The base that "auto" means: it comes with the app and learns on a processor in minutes."""


@dataclass(frozen=True)
class LessonOrder:
    """Teach `base` to tell the labels in one column of a table from the texts in another.

    `settings` are those of `LoraSettings` that are not as usual; `name` is what the adapter is called.
    """

    base: str
    text: str
    label: str
    effort: str = "quick"
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def order_for(
    path: Path, text: str = "", label: str = "", base: str = AUTO, effort: str = "quick", name: str = ""
) -> LessonOrder:
    """The order for a table; empty columns are guessed. Raises BadInput for data that can not teach."""
    check_effort(effort)
    table = read_table(path)
    guessed = guess_columns(table)
    text, label = text or guessed[0], label or guessed[1]
    validate(table, text, label)
    return LessonOrder(BASE if base == AUTO else base, text, label, effort, name.strip() or path.stem)
