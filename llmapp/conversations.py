"""People's conversations: kept, found, changed and deleted, each by its owner only.

Knows the tables of `store` and the files of `transcripts`. Does not know what answers or how it is shown.
"""

from __future__ import annotations

import builtins
import json
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .errors import BadInput, NotFound, Stale, StoreError
from .presence import Presence
from .store import Store
from .transcripts import (
    Conversation,
    Entry,
    Speaker,
    State,
    clean,
    one_line,
    read_transcript,
    title_from,
    to_json,
    to_markdown,
)

__all__ = ["Conversation", "Conversations", "Entry", "Heading", "Speaker", "State", "title_from"]

TRIGRAM = 3
"""Characters a search term needs before the index can find it."""
MAX_TERMS = 8
"""Words of a query that are looked for: each is a search of its own, and a whole page may be pasted."""

_READ_HEADINGS = (
    "SELECT id, title, updated,"
    " (SELECT coalesce(max(position) + 1, 0) FROM entries WHERE conversation = id)"
    " FROM conversations WHERE owner = ? ORDER BY updated DESC, rowid DESC"
)
_READ_ROWS = "SELECT role, text, state, meta FROM entries WHERE conversation = ? ORDER BY position"
_Row = tuple[str, str, str, str]


@dataclass(frozen=True)
class Heading:
    """One line of the list of conversations."""

    id: str
    title: str
    updated: float
    entries: int


class Conversations:
    """What the page, the API and tests do with conversations.

    Each method takes the owner and sees nothing of another's: NotFound has the same words for what is not
    there and for what is not yours.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._presence = Presence(store.path.parent, f"{store.path.stem}.writer")

    def list(self, owner: str, query: str = "") -> list[Heading]:
        """Headings, newest first; with a query those whose title or texts hold each of its first words."""
        with self._store.connect() as db:
            db.execute("BEGIN")
            headings = [Heading(*row) for row in db.execute(_READ_HEADINGS, (owner,))]
            for term in clean(query).replace("\0", " ").split()[:MAX_TERMS]:
                holding = _holding(db, owner, term)
                folded = term.casefold()
                headings = [h for h in headings if h.id in holding or folded in h.title.casefold()]
        return headings

    def create(self, owner: str, title: str = "", settings: Mapping[str, Any] | None = None) -> Conversation:
        """A new, empty conversation at version 1. Without a title it gets one from its first message."""
        now = time.time()
        new = Conversation(_new_id(), one_line(title), 1, now, now, dict(settings or {}), ())
        with self._store.transaction() as db:
            self._insert(db, owner, new)
        return new

    def get(self, owner: str, id: str) -> Conversation:
        """The whole conversation, with what is written so far where one is being written. Raises NotFound."""
        with self._store.connect() as db:
            db.execute("BEGIN")
            return _read(db, owner, id)

    def save(
        self,
        owner: str,
        id: str,
        entries: Sequence[Entry],
        version: int,
        title: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> int:
        """Replace what changed; returns the new version.

        Raises NotFound, and Stale when the stored version is not `version`: then nothing is overwritten.
        """
        rows = [_row(entry) for entry in entries]
        with self._store.transaction() as db:
            old_title, old_settings = _expect(db, owner, id, version)
            self._write_changed(db, id, rows)
            named = old_title if title is None else one_line(title)
            kept = old_settings if settings is None else _json(settings)
            db.execute(
                "UPDATE conversations SET title = ?, settings = ?, updated = ?, version = version + 1 WHERE id = ?",
                (named or _title_of(entries), kept, time.time(), id),
            )
        return version + 1

    def writing(self, owner: str, id: str, version: int, text: str, meta: Mapping[str, Any]) -> None:
        """Keep what the last entry, saved in state `writing`, has so far; the version stays.

        Raises NotFound when the conversation is gone, Stale when it was saved by somebody else meanwhile.
        """
        with self._store.connect() as db:
            done = db.execute(
                "UPDATE entries SET text = ?, meta = ? WHERE conversation = (SELECT id FROM conversations"
                " WHERE id = ? AND owner = ? AND version = ?) AND state = 'writing'"
                " AND position = (SELECT max(position) FROM entries WHERE conversation = ?)",
                (clean(text), _json(meta), id, owner, version, id),
            )
            if not done.rowcount:
                _expect(db, owner, id, version)
                raise Stale("conversation_stale")

    def rename(self, owner: str, id: str, title: str) -> None:
        """Give a title; neither the version nor the place in the list changes. Raises NotFound, BadInput."""
        named = one_line(title)
        if not named:
            raise BadInput("title_empty")
        with self._store.transaction() as db:
            changed = db.execute("UPDATE conversations SET title = ? WHERE id = ? AND owner = ?", (named, id, owner))
            if not changed.rowcount:
                raise NotFound("no_conversation")

    def delete(self, owner: str, id: str) -> None:
        """Delete one conversation, in backups too. Raises NotFound."""
        if not self._delete(owner, id):
            raise NotFound("no_conversation")
        self._store.erase_copies("DELETE FROM conversations WHERE owner = ? AND id = ?", (owner, id))
        self._store.forget()

    def delete_all(self, owner: str, alone: bool = False) -> int:
        """Delete everything of this owner, in backups and files set aside too; returns how many went.

        A copy that can not be read is deleted where the owner is `alone` in using this app. Elsewhere it may
        hold other people's: it stays, and StoreError names it after all else is deleted.
        """
        # One by one: a single large DELETE would keep all others from writing.
        erased = sum(self._delete(owner, heading.id) for heading in self.list(owner))
        unreadable = self._store.erase_copies("DELETE FROM conversations WHERE owner = ?", (owner,))
        self._store.forget(thoroughly=True)
        for copy in unreadable:
            if not alone:
                raise StoreError("kept_undeletable", file=copy.name, folder=str(copy.parent))
            for part in copy.parent.glob(f"{copy.name}*"):
                part.unlink()
        return erased

    def recover(self) -> int:
        """Mark `unfinished` what a process that is gone was writing; returns how many. Called at start."""
        with self._store.connect() as db:
            rows = db.execute("SELECT DISTINCT writer FROM entries WHERE state = 'writing'").fetchall()
        gone = [writer for (writer,) in rows if not self._presence.alive(writer)]
        with self._store.transaction() as db:
            done = db.executemany(
                "UPDATE entries SET state = 'unfinished', writer = NULL WHERE state = 'writing' AND writer IS ?",
                [(writer,) for writer in gone],
            )
        self._presence.sweep()
        return max(done.rowcount, 0)

    def export_json(self, owner: str, ids: Sequence[str] | None = None) -> str:
        """These conversations, or all, as one JSON text that `import_text` brings back. Raises NotFound."""
        with self._store.connect() as db:
            db.execute("BEGIN")
            return to_json([_read(db, owner, id) for id in (_ids(db, owner) if ids is None else ids)])

    def export_markdown(self, owner: str, id: str, language: str = "en") -> str:
        """One conversation for reading, which `import_text` brings back. Raises NotFound."""
        return to_markdown(self.get(owner, id), language)

    def export_kept(self, owner: str, copy: Path) -> tuple[str, int]:
        """What can be read of this owner's in one of `Store.kept`, as JSON, and how many could not be.

        Raises StoreError when nothing can be read.
        """
        found, lost = [], 0
        with self._store.reading(copy) as db:
            for id in _ids(db, owner):
                try:
                    found.append(_read(db, owner, id))
                except (sqlite3.DatabaseError, ValueError):
                    lost += 1
        return to_json(found), lost

    def import_text(self, owner: str, text: str, name: str) -> builtins.list[Conversation]:
        """Add the conversations of a file, under new ids; `name` is the file's, for what is said about it.

        Takes what `export_json` and `export_markdown` write, and messages JSON or JSONL as OpenAI and
        ShareGPT have it. Raises BadInput naming the line or field, TooLong; then nothing is added.
        """
        now = time.time()
        found = [
            replace(
                item,
                id=_new_id(),
                title=item.title or _title_of(item.entries),
                version=1,
                created=item.created or now,
                updated=item.updated or now,
            )
            for item in read_transcript(text, name)
        ]
        with self._store.transaction() as db:
            for item in found:
                self._insert(db, owner, item)
        return found

    def _delete(self, owner: str, id: str) -> int:
        with self._store.connect() as db:
            return db.execute("DELETE FROM conversations WHERE owner = ? AND id = ?", (owner, id)).rowcount

    def _insert(self, db: sqlite3.Connection, owner: str, new: Conversation) -> None:
        db.execute(
            "INSERT INTO conversations (id, owner, title, version, created, updated, settings)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (new.id, owner, new.title, new.version, new.created, new.updated, _json(new.settings)),
        )
        self._write_changed(db, new.id, [_row(entry) for entry in new.entries])

    def _write_changed(self, db: sqlite3.Connection, id: str, rows: Sequence[_Row]) -> None:
        """Write what differs: a long conversation is saved after each answer, and most of it stays."""
        old = db.execute(_READ_ROWS, (id,)).fetchall()
        pairs = enumerate(zip(old, rows, strict=False))
        same = next((n for n, (before, now) in pairs if before != now), min(len(old), len(rows)))
        db.execute("DELETE FROM entries WHERE conversation = ? AND position >= ?", (id, same))
        mark = self._presence.mark
        db.executemany(
            "INSERT INTO entries (conversation, position, role, text, state, meta, writer)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (id, position, *row, mark if row[2] == "writing" else None)
                for position, row in enumerate(rows[same:], start=same)
            ),
        )


def _title_of(entries: Sequence[Entry]) -> str:
    return title_from(next((entry.text for entry in entries if entry.role == "user"), ""))


def _new_id() -> str:
    return secrets.token_urlsafe(12)


def _json(value: Mapping[str, Any]) -> str:
    return clean(json.dumps(dict(value), ensure_ascii=False, allow_nan=False))


def _row(entry: Entry) -> _Row:
    return entry.role, clean(entry.text), entry.state, _json(entry.meta)


def _expect(db: sqlite3.Connection, owner: str, id: str, version: int) -> tuple[str, str]:
    """Title and settings as stored. Raises NotFound, and Stale when the version is another."""
    row = db.execute(
        "SELECT title, settings, version FROM conversations WHERE id = ? AND owner = ?", (id, owner)
    ).fetchone()
    if row is None:
        raise NotFound("no_conversation")
    if row[2] != version:
        raise Stale("conversation_stale")
    return row[0], row[1]


def _ids(db: sqlite3.Connection, owner: str) -> list[str]:
    return [row[0] for row in db.execute(_READ_HEADINGS, (owner,))]


def _read(db: sqlite3.Connection, owner: str, id: str) -> Conversation:
    head = db.execute(
        "SELECT id, title, version, created, updated, settings FROM conversations WHERE id = ? AND owner = ?",
        (id, owner),
    ).fetchone()
    if head is None:
        raise NotFound("no_conversation")
    rows = db.execute(_READ_ROWS, (id,))
    entries = tuple(Entry(role, text, state, json.loads(meta)) for role, text, state, meta in rows)
    id, title, version, created, updated, settings = head
    return Conversation(id, title, version, created, updated, json.loads(settings), entries)


def _holding(db: sqlite3.Connection, owner: str, term: str) -> set[str]:
    """Ids of the conversations in whose texts a term stands."""
    if len(term) >= TRIGRAM:
        quoted = '"' + term.replace('"', '""') + '"'
        found = db.execute(
            "SELECT DISTINCT e.conversation FROM search JOIN entries e ON e.key = search.rowid"
            " JOIN conversations c ON c.id = e.conversation WHERE c.owner = ? AND search MATCH ?",
            (owner, quoted),
        )
    else:
        pattern = "%" + term.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
        found = db.execute(
            "SELECT DISTINCT e.conversation FROM conversations c JOIN entries e ON e.conversation = c.id"
            " WHERE c.owner = ? AND e.text LIKE ? ESCAPE '\\'",
            (owner, pattern),
        )
    return {row[0] for row in found}
