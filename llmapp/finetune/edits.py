"""What a person changed of their table: rows left out, other labels, other texts, by the row's number.

The file they gave stays as it was. Edits follow each other, so that the last can be taken back; a job carries their
sum. Does not know why something was changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from .dataset import Table


@dataclass(frozen=True)
class Edits:
    """`dropped` rows, `labels` and `texts` that are others now: (row number, value). JSON's lists are taken too."""

    dropped: tuple[int, ...] = ()
    labels: tuple[tuple[int, str], ...] = field(default=())
    texts: tuple[tuple[int, str], ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "dropped", tuple(self.dropped))
        for name in ("labels", "texts"):
            object.__setattr__(self, name, tuple((int(n), str(value)) for n, value in getattr(self, name)))

    def __bool__(self) -> bool:
        return bool(self.dropped or self.labels or self.texts)

    def then(self, later: Edits) -> Edits:
        """These, and then others: of one row the later value counts."""
        return Edits(
            tuple(sorted({*self.dropped, *later.dropped})),
            tuple(sorted((dict(self.labels) | dict(later.labels)).items())),
            tuple(sorted((dict(self.texts) | dict(later.texts)).items())),
        )


def together(steps: Sequence[Edits]) -> Edits:
    """One after the other."""
    return reduce(Edits.then, steps, Edits())


def edited(table: Table, text: str, label: str, edits: Edits) -> Table:
    """The table with these edits of two of its columns. Raises BadInput for a column that it has not."""
    table.column(text), table.column(label)
    t, y = table.columns.index(text), table.columns.index(label)
    dropped, labels, texts = set(edits.dropped), dict(edits.labels), dict(edits.texts)

    def row(cells: tuple[str, ...], number: int) -> tuple[str, ...]:
        new = {t: texts.get(number, cells[t]), y: labels.get(number, cells[y])}
        return tuple(new.get(i, cell) for i, cell in enumerate(cells))

    kept = [(row(cells, n), n) for cells, n in zip(table.rows, table.numbers, strict=True) if n not in dropped]
    return replace(table, rows=tuple(cells for cells, _ in kept), numbers=tuple(n for _, n in kept))
