"""Examples that people keep: what they gave, and the answer as they corrected it, ready to teach a model with.

Knows its table of `store`. Does not know tasks, models or the page. Each method takes the owner and sees nothing of
another's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from .errors import BadInput, NotFound
from .store import Store
from .transcripts import clean


@dataclass(frozen=True)
class Example:
    """What was given to a task, and the right answer."""

    id: int
    input: str
    output: str


class Examples:
    """Kept by owner and task; of one input the last answer counts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, owner: str, task: str, input: str, output: str) -> int:
        """Keep one; returns how many there are now. Raises BadInput where one of the two is blank."""
        given, right = clean(input).strip(), clean(output).strip()
        if not given or not right:
            raise BadInput("example_blank")
        with self._store.transaction() as db:
            db.execute("DELETE FROM examples WHERE owner = ? AND task = ? AND input = ?", (owner, task, given))
            db.execute(
                "INSERT INTO examples (owner, task, input, output, kept) VALUES (?, ?, ?, ?, ?)",
                (owner, task, given, right, time.time()),
            )
        return self.count(owner, task)

    def list(self, owner: str, task: str) -> list[Example]:
        """All of a task, newest first."""
        with self._store.connect() as db:
            rows = db.execute(
                "SELECT id, input, output FROM examples WHERE owner = ? AND task = ? ORDER BY id DESC", (owner, task)
            )
            return [Example(*row) for row in rows]

    def count(self, owner: str, task: str) -> int:
        """How many there are of a task."""
        with self._store.connect() as db:
            row = db.execute("SELECT count(*) FROM examples WHERE owner = ? AND task = ?", (owner, task)).fetchone()
        return int(row[0])

    def delete(self, owner: str, id: int) -> None:
        """Delete one, in backups too. Raises NotFound."""
        if not self._erase("DELETE FROM examples WHERE owner = ? AND id = ?", (owner, id)):
            raise NotFound("no_example")

    def delete_all(self, owner: str, task: str = "") -> int:
        """Delete all of a task, or of every task, in backups too; returns how many went."""
        return self._erase("DELETE FROM examples WHERE owner = ? AND (? = '' OR task = ?)", (owner, task, task))

    def _erase(self, statement: str, values: tuple[object, ...]) -> int:
        with self._store.connect() as db:
            erased = db.execute(statement, values).rowcount
        if erased:
            # A backup from before there were examples has no such table, and so nothing to erase.
            self._store.erase_copies(statement, values)
            self._store.forget()
        return erased
