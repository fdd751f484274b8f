"""The app's own data: one SQLite file, upgraded at start, set aside when it can not be read.

Knows versions, backups, and what to do with a newer or damaged file. Does not know what the rows mean
(`conversations`, limits), or who an owner is.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from filelock import FileLock, Timeout

from .errors import Busy, StoreError
from .messages import Message, message
from .schema import MIGRATIONS, REBUILD_SEARCH

BACKUPS = 3
IDLE_CONNECTIONS = 8
BUSY_S = 30.0
MERGE_PAGES = 500
OPENING_S = 120.0
"""How long a start waits for another process that is migrating the same file."""

_SAID = {
    sqlite3.SQLITE_BUSY: (Busy, "store_busy"),
    sqlite3.SQLITE_LOCKED: (Busy, "store_busy"),
    sqlite3.SQLITE_FULL: (StoreError, "store_full"),
    sqlite3.SQLITE_READONLY: (StoreError, "store_readonly"),
    sqlite3.SQLITE_CANTOPEN: (StoreError, "store_readonly"),
    sqlite3.SQLITE_PERM: (StoreError, "store_readonly"),
    sqlite3.SQLITE_IOERR: (StoreError, "store_disk"),
    sqlite3.SQLITE_CORRUPT: (StoreError, "store_damaged"),
    sqlite3.SQLITE_NOTADB: (StoreError, "store_damaged"),
}
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Store:
    """One database file, usable from any thread; opening it brings it to the newest version.

    `notice` tells what a person must know about the start: that a file was set aside, and its name.
    Raises StoreError when the file can not be opened, and Busy while another process holds it for too long.
    """

    def __init__(self, path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
        self.path = path
        self.notice: Message | None = None
        self._migrations = tuple(migrations)
        self._idle: deque[sqlite3.Connection] = deque()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock", timeout=OPENING_S):
                self._open()
            # One connection stays open: that tells an older program that this file is at work.
            self._idle.append(self._connected())
        except Timeout:
            raise Busy("store_busy", file=path.name) from None
        except OSError as problem:
            raise StoreError("store_readonly", file=path.name, folder=str(path.parent)) from problem

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A connection that commits each statement; a transaction begun on it and left open is undone.

        Raises Busy and StoreError in the person's words for what SQLite reports about the file.
        """
        try:
            db = self._idle.pop()
        except IndexError:
            db = self._connected()
        try:
            yield db
        except sqlite3.DatabaseError as problem:
            self._raise_said(problem, db)
        finally:
            if db.in_transaction:
                db.rollback()
            self._put_back(db)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection on which everything is written, or nothing."""
        with self.connect() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    @contextmanager
    def reading(self, copy: Path) -> Iterator[sqlite3.Connection]:
        """A connection that only reads one of `backups` or `kept`. Raises StoreError where it can not."""
        try:
            with closing(_connection(copy, "ro")) as db:
                yield db
        except sqlite3.DatabaseError as problem:
            raise StoreError("kept_unreadable", file=copy.name, folder=str(copy.parent)) from problem

    @property
    def backups(self) -> list[Path]:
        """Copies made before an upgrade of the file, newest first."""
        return sorted(self._beside("backup"), reverse=True)

    @property
    def kept(self) -> list[Path]:
        """Files set aside because they were newer than this program or damaged, newest first."""
        return sorted([*self._beside("newer"), *self._beside("damaged")], key=_stamp_of, reverse=True)

    def erase_copies(self, statement: str, values: Sequence[object], table: str = "") -> list[Path]:
        """Run a DELETE in every backup and kept file too; returns those that could not be read.

        With `table`, copies that are older than that table are passed by.
        """
        unreadable = []
        for copy in (*self.backups, *self.kept):
            try:
                with closing(_connection(copy)) as db:
                    if table and not _has(db, table):
                        continue
                    # Of a damaged file a DELETE may reach only a part; VACUUM, which reads all, tells.
                    if db.execute(statement, values).rowcount or copy in self.kept:
                        _forget_words(db)
                        db.execute("VACUUM")
            except sqlite3.DatabaseError:
                unreadable.append(copy)
        return unreadable

    def forget(self, thoroughly: bool = False) -> None:
        """Rid the disk of what deleted rows leave behind in the `-wal`.

        Thoroughly: their words in the search index too, and the file shrinks; takes a second for 20 MB.
        """
        with self.connect() as db:
            if thoroughly:
                _forget_words(db)
                db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the idle connections; the file is then whole without its `-wal`."""
        while self._idle:
            self._idle.pop().close()

    def _put_back(self, db: sqlite3.Connection) -> None:
        if len(self._idle) < IDLE_CONNECTIONS:
            self._idle.append(db)
        else:
            db.close()

    def _connected(self) -> sqlite3.Connection:
        try:
            return _connection(self.path)
        except sqlite3.DatabaseError as problem:
            self._raise_worded(problem)

    def _raise_said(self, problem: sqlite3.DatabaseError, db: sqlite3.Connection) -> NoReturn:
        if getattr(problem, "sqlite_errorcode", 0) != sqlite3.SQLITE_CORRUPT_VTAB:
            self._raise_worded(problem)
        # The index holds nothing of its own: better made again than failing each write from now on.
        if db.in_transaction:
            db.rollback()
        try:
            db.executescript(REBUILD_SEARCH)
        except sqlite3.DatabaseError as worse:
            self._raise_worded(worse)
        raise Busy("store_index_rebuilt") from problem

    def _raise_worded(self, problem: sqlite3.DatabaseError) -> NoReturn:
        if _primary(problem) not in _SAID:
            raise problem
        kind, code = _SAID[_primary(problem)]
        raise kind(code, file=self.path.name, folder=str(self.path.parent)) from problem

    def _open(self) -> None:
        for part in self.path.parent.glob(f"{self.path.stem}.backup-*.part*"):
            part.unlink()
        self._finish_setting_aside()
        try:
            trouble = self._trouble()
            if trouble == "newer":
                self._be_alone()
            if trouble:
                kept = self._set_aside(trouble)
                self.notice = message(f"store.{trouble}", file=kept.name, folder=str(kept.parent))
            self._bring_up_to_date()
        except sqlite3.DatabaseError as problem:
            self._raise_worded(problem)

    def _trouble(self) -> str:
        """`newer`, `damaged`, `foreign` or nothing; looks without changing the file."""
        if not self.path.exists():
            return ""
        if self.path.stat().st_size == 0:
            # SQLite throws the -wal of an empty file away, with all that was committed to it.
            return "damaged" if _size(_companion(self.path, "-wal")) else ""
        mode = "rw" if _companion(self.path, "-journal").exists() else "ro"
        try:
            with closing(_connection(self.path, mode)) as db:
                version = _version(db)
                if version > len(self._migrations):
                    return "newer"
                if version == 0 and db.execute("SELECT 1 FROM sqlite_master").fetchone():
                    return "foreign"
                whole = db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
                return "" if whole else "damaged"
        except sqlite3.DatabaseError as problem:
            if _primary(problem) in _DAMAGE:
                return "damaged"
            raise

    def _be_alone(self) -> None:
        """Raise Busy while a newer program works on this file: moved away, its data would split in two."""
        with closing(_connection(self.path, "rw", wait_s=0.2)) as db:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            try:
                db.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as problem:
                raise Busy("store_in_use", file=self.path.name) from problem
            db.rollback()

    def _set_aside(self, trouble: str) -> Path:
        kept = self._named(trouble)
        self.path.rename(kept)
        self._finish_setting_aside(kept)
        return kept

    def _finish_setting_aside(self, kept: Path | None = None) -> None:
        """Move companions to where their file went: SQLite would play them into the fresh one."""
        if self.path.exists():
            return
        for ending in ("-wal", "-journal"):
            left = _companion(self.path, ending)
            if left.exists():
                without = (file for file in self.kept if not _companion(file, ending).exists())
                kept = kept or next(without, None) or self._named("damaged")
                left.rename(_companion(kept, ending))
        _companion(self.path, "-shm").unlink(missing_ok=True)

    def _bring_up_to_date(self) -> None:
        # Others on this machine have no business in what somebody writes here.
        self.path.touch(mode=0o600, exist_ok=True)
        with closing(_connection(self.path)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            version = _version(db)
            if 0 < version < len(self._migrations):
                self._back_up(db, version)
            for number, script in enumerate(self._migrations[version:], start=version + 1):
                try:
                    db.executescript(f"BEGIN IMMEDIATE;\n{script};\nPRAGMA user_version = {number};\nCOMMIT;")
                except sqlite3.DatabaseError as problem:
                    if db.in_transaction:
                        db.rollback()
                    if _primary(problem) in _SAID:
                        raise
                    values = {"file": self.path.name, "version": number, "problem": str(problem)}
                    raise StoreError("store_migration", **values) from problem

    def _back_up(self, db: sqlite3.Connection, version: int) -> None:
        target = self._named("backup", f"-v{version}")
        part = target.with_name(f"{target.name}.part")
        part.touch(mode=0o600)
        with closing(sqlite3.connect(part)) as copy:
            db.backup(copy)
        part.rename(target)
        for old in self.backups[BACKUPS:]:
            old.unlink()

    def _named(self, what: str, more: str = "") -> Path:
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S-%f")
        return self.path.with_name(f"{self.path.stem}.{what}-{stamp}{more}{self.path.suffix}")

    def _beside(self, what: str) -> Iterator[Path]:
        return self.path.parent.glob(f"{self.path.stem}.{what}-*{self.path.suffix}")


def _connection(path: Path, mode: str = "rwc", wait_s: float = BUSY_S) -> sqlite3.Connection:
    # Threads take turns on a connection through `connect`, so SQLite's own check would only be in the way.
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    db = sqlite3.connect(uri, uri=True, timeout=wait_s, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA foreign_keys = ON")
        # Saves are rare, and an answer lost to a power cut can not be had again: FULL, not NORMAL.
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _forget_words(db: sqlite3.Connection) -> None:
    """Merge the index until no deleted text's trigrams are left: in steps, so that others can write meanwhile."""
    if not _has(db, "search"):
        return
    pages, before = -MERGE_PAGES, -2
    while db.total_changes - before >= 2:
        before = db.total_changes
        db.execute("INSERT INTO search (search, rank) VALUES ('merge', ?)", (pages,))
        pages = MERGE_PAGES


def _has(db: sqlite3.Connection, table: str) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _primary(problem: sqlite3.DatabaseError) -> int:
    return int(getattr(problem, "sqlite_errorcode", 0)) & 0xFF


def _companion(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _stamp_of(path: Path) -> str:
    return path.name.partition("-")[2]
