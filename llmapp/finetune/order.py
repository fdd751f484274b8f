"""What a training is asked for: made by the page or the command line, kept in the job's spec, read by the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .dataset import Rows, guess_columns, read_table, validate
from .edits import Edits, edited
from .settings import check_effort

KIND, ROWS = "finetune", "rows.csv"
"""The kind of job, and what its copy of the table is called, whatever format it has."""
TESTED = "tested.json"
"""In the job's result: every tested row, its label, the answer and how sure that is."""
AUTO, BASE = "auto", "all-minilm-l6-v2"
"""The base that "auto" means: it comes with the app and learns on a processor in minutes."""


@dataclass(frozen=True)
class LessonOrder:
    """Teach `base` to tell the labels in one column of a table from the texts in another.

    `settings` are those of `LoraSettings` that are not as usual; `name` is what the adapter is called; `edits` are made
    to the table before it is used.
    """

    base: str
    text: str
    label: str
    effort: str = "quick"
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    edits: Edits = field(default_factory=Edits)

    def __post_init__(self) -> None:
        if isinstance(self.edits, Mapping):
            object.__setattr__(self, "edits", Edits(**self.edits))

    def rows(self, path: Path) -> Rows:
        """What there is to learn from in a table. Raises BadInput."""
        table = read_table(path)
        return validate(edited(table, self.text, self.label, self.edits), self.text, self.label)


def order_for(
    path: Path,
    text: str = "",
    label: str = "",
    base: str = AUTO,
    effort: str = "quick",
    name: str = "",
    edits: Edits | None = None,
) -> LessonOrder:
    """The order for a table; empty columns are guessed. Raises BadInput for data that can not teach."""
    check_effort(effort)
    table = read_table(path)
    guessed = guess_columns(table)
    text, label = text or guessed[0], label or guessed[1]
    called = name.strip() or path.stem
    order = LessonOrder(BASE if base == AUTO else base, text, label, effort, called, edits=edits or Edits())
    order.rows(path)
    return order
