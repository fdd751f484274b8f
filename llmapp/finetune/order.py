"""What a training is asked for: made by the page or the command line, kept in the job's spec, read by the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import BadInput
from .dataset import Columns, Rows, Table, guess_columns, joined, read_table, validate
from .edits import Edits, edited
from .goals import AUTO, MANY_LANGUAGES, SORTER, WRITER, Goal, check_goal, settings_for
from .pairs import Pairs, guess_pair, pair_up
from .records import ALPACA
from .settings import check_effort

KIND, ROWS = "finetune", "rows.csv"
"""The kind of job, and what its copy of the table is called, whatever format it has."""
TESTED = "tested.json"
"""In the job's result: every tested row, its label or answer, and what was said to it."""
MOST_PROMPTS = 5


@dataclass(frozen=True)
class LessonOrder:
    """Teach `base` what stands in one column of a table (`label`) to the texts in another: labels to sort them into,
    or, where the goal is to answer or to rewrite, the words to say.

    `settings` are those of `LoraSettings` that are not as usual; `name` is what the adapter is called; `edits` are made
    to the table before it is used; `prompts` are asked while it learns to write. `second` is the column that is put
    below each text, `system` the one of what the system says; empty for none. A second input that is not said (None) is
    what it is in Alpaca's records.
    """

    base: str = AUTO
    text: str = ""
    label: str = ""
    effort: str = "quick"
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    edits: Edits = field(default_factory=Edits)
    goal: Goal = "sort"
    prompts: tuple[str, ...] = ()
    second: str | None = None
    system: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.edits, Mapping):
            object.__setattr__(self, "edits", Edits(**self.edits))
        object.__setattr__(self, "prompts", tuple(self.prompts)[:MOST_PROMPTS])

    def rows(self, path: Path) -> Rows:
        """The texts and labels of a table. Raises BadInput."""
        return self.rows_of(read_table(path))

    def pairs(self, path: Path) -> Pairs:
        """The inputs and answers of a table. Raises BadInput."""
        return self.pairs_of(read_table(path))

    def material(self, table: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Texts of a table that was read, and their answers; none where they have labels. Raises BadInput."""
        if self.goal == "sort":
            return tuple(self.rows_of(table).texts), ()
        pairs = self.pairs_of(table)
        return pairs.inputs, pairs.answers

    def rows_of(self, table: Table) -> Rows:
        """As `rows`, of a table that was read."""
        return validate(self.teaching(table), self.text, self.label)

    def pairs_of(self, table: Table) -> Pairs:
        """As `pairs`, of a table that was read."""
        return pair_up(self.teaching(table), self.text, self.label, self.system)

    def teaching(self, table: Table) -> Table:
        """The table as it teaches: two inputs made one text, then edited. Raises BadInput."""
        second = self.below(table)
        taken = [name for name in (self.text, self.label, second, self.system) if name]
        twice = next((name for name in taken if taken.count(name) > 1), "")
        if twice:
            raise BadInput("table_same_column", column=twice)
        return edited(joined(table, self.text, second), self.text, self.label, self.edits)

    def below(self, table: Table) -> str:
        """The column of the second input, empty for none; by its form where it was not said, as by earlier versions."""
        if self.second is not None:
            return self.second
        first, second, _ = ALPACA
        return second if table.alpaca and self.text == first and self.label != second else ""


def order_for(
    path: Path, wish: LessonOrder, check_auto: Callable[[LessonOrder, Table], None] | None = None
) -> LessonOrder:
    """What is wished, for a table: empty columns are guessed, an "auto" base is one that fits, a name is given.

    A second input and what the system says are guessed only where the texts are.

    Raises BadInput for data that can not teach, and for wishes that there are not; what `check_auto` raises for a base
    that nobody chose.
    """
    check_effort(wish.effort)
    goal = check_goal(wish.goal)
    settings_for(goal, wish.settings)
    table = read_table(path)
    order = replace(with_columns(wish, table), name=wish.name.strip() or path.stem)
    picked = pick(order, table)
    if order.base != AUTO:
        return order
    order = replace(order, base=picked)
    if check_auto:
        check_auto(order, table)
    return order


def with_columns(wish: LessonOrder, table: Table) -> LessonOrder:
    """The wish with the columns of a table that it does not name; each is taken once. Raises BadInput."""
    if wish.goal == "sort" and wish.system:
        raise BadInput("training_system", column=wish.system)
    guessed = guess_for(wish.goal, table)
    order = replace(wish, text=wish.text or guessed.text, label=wish.label or guessed.label)
    if wish.text:
        return replace(order, second=order.below(table))
    taken = {order.text, order.label, order.second, order.system}
    second = guessed.second if order.second is None and guessed.second not in taken else order.second
    system = guessed.system if guessed.system not in taken else ""
    return replace(order, second=second or "", system=order.system or system)


def pick(order: LessonOrder, table: Table) -> str:
    """The base that "auto" means for a table. Raises BadInput for data that can not teach."""
    if order.goal == "sort":
        order.rows_of(table)
        return SORTER
    return WRITER if order.pairs_of(table).english else MANY_LANGUAGES


def guess_for(goal: Goal, table: Table) -> Columns:
    """The columns that look most like what this goal takes."""
    return guess_columns(table) if goal == "sort" else guess_pair(table)
