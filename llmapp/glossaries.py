"""People's glossaries: terms with a fixed translation, or to be left alone; each seen and changed by its owner only.

Knows the tables of `store`. Does not know how a glossary is applied (`tasks.glossary`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .errors import BadInput
from .store import Store
from .transcripts import one_line

MOST_TERMS = 2000
LONGEST_TERM = 200
"""Characters; a term is a word or a few."""

Row = tuple[str, str, str]
"""Term, translation (empty: leave it alone), target language as BCP-47 (empty: every one)."""


class Glossaries:
    """What the page does with glossaries: they are read and written whole."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, owner: str) -> list[Row]:
        """An owner's terms, in the order they gave."""
        with self._store.connect() as db:
            found = db.execute(
                "SELECT term, translation, target FROM glossary WHERE owner = ? ORDER BY position", (owner,)
            )
            return [(term, translation, target) for term, translation, target in found]

    def save(self, owner: str, rows: Iterable[Sequence[str]]) -> list[Row]:
        """Replace an owner's terms by these and return them, tidied. Raises BadInput as `tidied`."""
        kept = tidied(rows)
        with self._store.transaction() as db:
            db.execute("DELETE FROM glossary WHERE owner = ?", (owner,))
            db.executemany(
                "INSERT INTO glossary (owner, position, term, translation, target) VALUES (?, ?, ?, ?, ?)",
                [(owner, place, *row) for place, row in enumerate(kept)],
            )
        return kept

    def delete_all(self, owner: str) -> None:
        """Delete an owner's terms, in backups and files set aside too, as far as these can be read."""
        statement = "DELETE FROM glossary WHERE owner = ?"
        with self._store.transaction() as db:
            db.execute(statement, (owner,))
        self._store.erase_copies(statement, (owner,), table="glossary")


def tidied(rows: Iterable[Sequence[str]]) -> list[Row]:
    """Rows on one line each, without those that have no term.

    Raises BadInput for a term that stands there twice for one language, one that is too long, or too many.
    """
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        term, translation, target = (one_line(cell) for cell in (*row, "", "")[:3])
        if not term:
            continue
        for text in (term, translation):
            if len(text) > LONGEST_TERM:
                raise BadInput("glossary_long", term=text[:60], limit=LONGEST_TERM)
        if (term, target) in found:
            raise BadInput("glossary_twice", term=term)
        found[term, target] = (term, translation, target)
    if len(found) > MOST_TERMS:
        raise BadInput("glossary_many", count=len(found), limit=MOST_TERMS)
    return list(found.values())
