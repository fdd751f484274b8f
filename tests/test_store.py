"""The app's database: upgraded from every version, backed up, set aside and never lost, whole after kill -9."""

from __future__ import annotations

import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from llmapp.errors import Busy, StoreError
from llmapp.messages import LANGUAGES
from llmapp.schema import MIGRATIONS
from llmapp.store import BACKUPS, Store

ROOT = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"
Damage = Callable[[Path], None]
NEWEST = len(MIGRATIONS)
VERSIONS = range(1, NEWEST + 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "llmapp.sqlite3"


def leave_version(path: Path, version: int) -> None:
    """A file as a program of that version left it."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript((DATA / f"store_v{version}.sql").read_text(encoding="utf-8"))


def ask(path: Path, question: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(question).fetchall()


def schema(path: Path) -> set[object]:
    rows = ask(path, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {" ".join(str(row[0]).split()) for row in rows}


@contextmanager
def child(code: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """Another Python that runs `code`; killed at the end."""
    command = [sys.executable, "-c", code, *map(str, args)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout
        process.stdout.close()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_of_each_version_opens_with_all_its_rows(path: Path, version: int) -> None:
    leave_version(path, version)
    conversations, entries = (ask(path, f"SELECT * FROM {table}") for table in ("conversations", "entries"))
    Store(path).close()
    assert ask(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert ask(path, "SELECT * FROM conversations") == conversations
    assert ask(path, "SELECT * FROM entries") == entries
    assert len(conversations) == 2
    assert ask(path, "SELECT rowid FROM search WHERE search MATCH 'Ölpreis'") == [(1,)]


@pytest.mark.parametrize("version", VERSIONS)
def test_migrations_make_what_each_version_left(path: Path, version: int, tmp_path: Path) -> None:
    leave_version(tmp_path / "left", version)
    Store(path, MIGRATIONS[:version]).close()
    assert schema(path) == schema(tmp_path / "left")


def test_an_old_file_is_backed_up_before_it_changes(path: Path) -> None:
    leave_version(path, 1)
    before = ask(path, "SELECT * FROM entries")
    store = Store(path)
    (backup,) = store.backups
    assert ask(backup, "PRAGMA user_version") == [(1,)]
    assert ask(backup, "SELECT * FROM entries") == before
    assert store.notice is None


def test_a_new_or_current_file_needs_no_backup(path: Path) -> None:
    assert Store(path).backups == []
    assert Store(path).backups == []


def test_the_last_three_backups_stay(path: Path) -> None:
    migrations = list(MIGRATIONS)
    Store(path).close()
    for number in range(BACKUPS + 2):
        migrations.append(f"CREATE TABLE extra_{number} (x)")
        Store(path, migrations).close()
    backups = Store(path, migrations).backups
    assert [ask(backup, "PRAGMA user_version")[0][0] for backup in backups] == [NEWEST + 4, NEWEST + 3, NEWEST + 2]


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    leave_version(path, NEWEST)
    before = schema(path)
    broken = (*MIGRATIONS, "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1)")
    with pytest.raises(StoreError) as caught:
        Store(path, broken)
    assert caught.value.code == "store_migration"
    assert "nowhere" in caught.value.text("zh")
    assert schema(path) == before
    assert ask(path, "PRAGMA user_version") == [(NEWEST,)]
    assert len(Store(path).backups) == 1


def test_a_newer_file_is_set_aside_whole_and_said(path: Path) -> None:
    newer = (*MIGRATIONS, "CREATE TABLE from_the_future (x); INSERT INTO from_the_future VALUES (42)")
    Store(path, newer).close()
    store = Store(path)
    (kept,) = store.kept
    assert ask(kept, "SELECT x FROM from_the_future") == [(42,)]
    assert store.notice is not None
    for language in LANGUAGES:
        assert kept.name in store.notice.text(language)
    assert ask(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert Store(path).notice is None


def test_a_newer_file_keeps_what_only_its_wal_holds(path: Path) -> None:
    newer = (*MIGRATIONS, "CREATE TABLE from_the_future (x)")
    code = """if True:
        import sys; from pathlib import Path; from llmapp.store import Store
        store = Store(Path(sys.argv[1]), sys.argv[2:])
        with store.transaction() as db: db.execute("INSERT INTO from_the_future VALUES (42)")
        print("written", flush=True); input()
    """
    with child(code, path, *newer) as process:
        assert said(process) == "written"
    assert path.with_name(f"{path.name}-wal").stat().st_size
    (kept,) = Store(path).kept
    assert ask(kept, "SELECT x FROM from_the_future") == [(42,)]


def test_a_newer_file_at_work_is_not_moved_under_its_program(path: Path) -> None:
    newer = Store(path, (*MIGRATIONS, "CREATE TABLE from_the_future (x)"))
    with pytest.raises(Busy) as caught:
        Store(path)
    assert caught.value.code == "store_in_use"
    with newer.transaction() as db:
        db.execute("INSERT INTO from_the_future VALUES (42)")
    newer.close()
    assert ask(path, "SELECT x FROM from_the_future") == [(42,)]


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(20_000))


def torn_pages(path: Path) -> None:
    leave_version(path, 2)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[4096 : 3 * 4096] = b"\xa5" * (2 * 4096)
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    leave_version(path, 2)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE bookmarks (url)")
        db.commit()


@pytest.mark.parametrize("damage", [garbage, torn_pages, cut_short])
def test_a_damaged_file_is_set_aside_byte_for_byte_and_said(path: Path, damage: Damage) -> None:
    damage(path)
    before = path.read_bytes()
    store = Store(path)
    (kept,) = store.kept
    assert kept.read_bytes() == before
    assert store.notice is not None
    for language in LANGUAGES:
        assert kept.name in store.notice.text(language)
    with store.transaction() as db:
        db.execute("INSERT INTO usage VALUES ('anna', 1, 1, 1)")


def test_a_file_of_another_program_is_set_aside_and_never_touched_again(path: Path) -> None:
    of_another_program(path)
    before = path.read_bytes()
    store = Store(path)
    (foreign,) = path.parent.glob("*.foreign-*")
    assert store.notice is not None
    for language in LANGUAGES:
        assert foreign.name in store.notice.text(language)
    assert store.erase_copies("DELETE FROM conversations WHERE owner = ?", ("anna",)) == []
    assert foreign.read_bytes() == before


def test_an_emptied_file_does_not_take_its_wal_with_it(path: Path) -> None:
    path.touch()
    wal = path.with_name(f"{path.name}-wal")
    wal.write_bytes(b"what was committed")
    (kept,) = Store(path).kept
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == b"what was committed"


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_a_setting_aside_that_was_cut_is_finished(path: Path, ending: str) -> None:
    leave_version(path, 2)
    kept = path.with_name("llmapp.newer-2025-01-01-000000-000000.sqlite3")
    path.rename(kept)
    path.with_name(f"{path.name}{ending}").write_bytes(b"of the kept file")
    store = Store(path)
    assert store.kept == [kept]
    assert kept.with_name(f"{kept.name}{ending}").read_bytes() == b"of the kept file"
    with store.connect() as db:
        assert db.execute("SELECT count(*) FROM conversations").fetchone() == (0,)


def test_only_the_person_may_read_the_files(path: Path) -> None:
    leave_version(path, 1)
    path.unlink()
    Store(path, MIGRATIONS[:1]).close()
    store = Store(path)
    with store.transaction() as db:
        db.execute("INSERT INTO usage VALUES ('anna', 1, 1, 1)")
    files = [path, path.with_name(f"{path.name}-wal"), *store.backups]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3


def test_a_folder_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as caught:
        Store(tmp_path / "file" / "llmapp.sqlite3")
    assert caught.value.code == "store_readonly"


def fail_halfway(store: Store) -> None:
    with store.transaction() as db:
        db.execute("INSERT INTO usage VALUES ('anna', 1, 1, 1)")
        db.execute("INSERT INTO nowhere VALUES (1)")


def test_a_transaction_writes_all_or_nothing(path: Path) -> None:
    store = Store(path)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        fail_halfway(store)
    with store.connect() as db:
        assert db.execute("SELECT count(*) FROM usage").fetchone() == (0,)
        db.execute("BEGIN")
        db.execute("INSERT INTO usage VALUES ('ben', 1, 1, 1)")
    with store.connect() as db:
        assert db.execute("SELECT count(*) FROM usage").fetchone() == (0,)


def test_a_mistake_of_ours_is_not_said_to_be_damage(path: Path) -> None:
    with pytest.raises(sqlite3.IntegrityError), Store(path).transaction() as db:
        db.execute("INSERT INTO usage VALUES (NULL, 1, 1, 1)")


def test_many_threads_write_at_once_and_nothing_is_lost(path: Path) -> None:
    store = Store(path)
    troubles: list[Exception] = []

    def count_up() -> None:
        try:
            for _ in range(25):
                with store.transaction() as db:
                    (n,) = db.execute("SELECT requests FROM usage").fetchone() or (0,)
                    db.execute("REPLACE INTO usage VALUES ('anna', 1, ?, 0)", (n + 1,))
        except Exception as problem:
            troubles.append(problem)

    threads = [threading.Thread(target=count_up) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    with store.connect() as db:
        assert db.execute("SELECT requests FROM usage").fetchone() == (12 * 25,)


@pytest.mark.parametrize("rows", ["id = 10", "id > 10", "id > 0"])
def test_a_broken_search_index_is_made_again(path: Path, rows: str) -> None:
    leave_version(path, 2)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"UPDATE search_data SET block = x'ffffffffffffffffffff' WHERE {rows}")
        db.commit()
    store = Store(path)
    with pytest.raises(Busy) as caught, store.transaction() as db:
        db.execute("SELECT rowid FROM search WHERE search MATCH 'Ölpreis'").fetchall()
    assert caught.value.code == "store_index_rebuilt"
    with store.connect() as db:
        assert db.execute("SELECT rowid FROM search WHERE search MATCH 'Ölpreis'").fetchall() == [(1,)]


def test_what_is_still_written_is_not_in_the_index(path: Path) -> None:
    leave_version(path, 1)
    store = Store(path)
    find = "SELECT rowid FROM search WHERE search MATCH '今天天'"
    with store.connect() as db:
        assert db.execute(find).fetchall() == [(5,)]
        db.execute("UPDATE entries SET text = '今天天气很好' WHERE key = 6")
        assert db.execute(find).fetchall() == [(5,)]
        db.execute("UPDATE entries SET state = 'done' WHERE key = 6")
        assert db.execute(find).fetchall() == [(5,), (6,)]
        db.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")
        db.execute("DELETE FROM conversations WHERE id = 'c-two'")
        assert db.execute(find).fetchall() == []
        db.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")


WRITE_PAIRS = """if True:
    import sys; from pathlib import Path; from llmapp.store import Store
    store = Store(Path(sys.argv[1])); n = int(sys.argv[2])
    while True:
        n += 1
        with store.transaction() as db:
            db.execute("REPLACE INTO usage VALUES ('anna', 1, ?, 0)", (n,))
            db.execute("INSERT INTO conversations VALUES (?, 'anna', '', 1, 0, 0, '{}')", (n,))
            db.execute("INSERT INTO entries VALUES (?, ?, 0, 'user', ?, 'done', '{}', NULL)", (n, n, str(n) * 900))
            db.execute("REPLACE INTO usage VALUES ('ben', 1, ?, 0)", (n,))
        print(n, flush=True)
"""


def test_killed_while_writing_the_next_start_is_whole(path: Path) -> None:
    Store(path).close()
    reached = 0
    for wait in (0.0, 0.013, 0.031, 0.057):
        with child(WRITE_PAIRS, path, reached) as process:
            reached = int(said(process))
            time.sleep(wait)
        store = Store(path)
        assert store.notice is None
        with store.connect() as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            db.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")
            counted = {n for (n,) in db.execute("SELECT requests FROM usage")}
            rows = db.execute("SELECT count(*), max(key) FROM entries").fetchone()
        (kept,) = counted
        assert rows == (kept, kept)
        assert kept >= reached, "what was committed is there"
        reached = kept
        store.close()


MIGRATE = """if True:
    import sys; from pathlib import Path; from llmapp.store import Store
    print("starting", flush=True); Store(Path(sys.argv[1]), sys.argv[2:]); print("done", flush=True); input()
"""


def test_killed_while_it_is_made_the_next_start_is_whole(tmp_path: Path) -> None:
    for number in range(8):
        path = tmp_path / f"{number}.sqlite3"
        with child(MIGRATE, path, *MIGRATIONS) as process:
            said(process)
            time.sleep(number * 0.002)
        store = Store(path)
        assert store.notice is None
        assert ask(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


LONG_MIGRATION = """
CREATE TABLE numbers (n INTEGER, text TEXT);
WITH RECURSIVE up (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 400000)
INSERT INTO numbers SELECT n, hex(randomblob(40)) FROM up;
UPDATE entries SET text = text || ' (moved)';
"""


def test_killed_in_a_migration_the_next_start_does_it_from_the_beginning(path: Path) -> None:
    leave_version(path, NEWEST)
    before = ask(path, "SELECT * FROM entries")
    wal = path.with_name(f"{path.name}-wal")
    migrations = (*MIGRATIONS, LONG_MIGRATION)
    with child(MIGRATE, path, *migrations) as process:
        assert said(process) == "starting"
        deadline = time.monotonic() + 60
        # SQLite spills what does not fit its cache into the -wal: then it is in the middle.
        while not (wal.exists() and wal.stat().st_size > 1_000_000) and time.monotonic() < deadline:
            time.sleep(0.001)
    assert ask(path, "PRAGMA user_version") == [(NEWEST,)]
    assert ask(path, "SELECT * FROM entries") == before
    store = Store(path, migrations)
    assert store.notice is None
    assert ask(path, "SELECT count(*) FROM numbers") == [(400_000,)]
    assert ask(path, "SELECT text FROM entries WHERE key = 1") == [("Warum steigt der Ölpreis? (moved)",)]
    assert len(store.backups) == 2
    assert ask(store.backups[0], "SELECT * FROM entries") == before


def test_killed_in_a_backup_no_half_backup_counts(path: Path) -> None:
    leave_version(path, NEWEST)
    half = path.with_name("llmapp.backup-2025-01-01-000000-000000-v1.sqlite3.part")
    half.write_bytes(b"half")
    half.with_name(f"{half.name}-journal").write_bytes(b"its journal")
    store = Store(path)
    assert store.backups == []
    assert list(path.parent.glob("*.part*")) == []


def test_two_processes_start_at_once_and_migrate_once(path: Path) -> None:
    leave_version(path, 1)
    with child(MIGRATE, path, *MIGRATIONS) as one, child(MIGRATE, path, *MIGRATIONS) as two:
        assert [said(one), said(two)] == ["starting", "starting"]
        assert [said(one), said(two)] == ["done", "done"]
    assert len(Store(path).backups) == 1


def test_erased_text_is_in_no_file_any_more(path: Path) -> None:
    leave_version(path, 1)
    Store(path).close()
    newer = (*MIGRATIONS, "CREATE TABLE from_the_future (x)")
    Store(path, newer).close()
    leave_version(path.with_name("old"), 2)
    store = Store(path)
    with closing(sqlite3.connect(path.with_name("old"))) as old, store.transaction() as db:
        for row in old.execute("SELECT * FROM conversations"):
            db.execute("INSERT INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        for row in old.execute("SELECT * FROM entries"):
            db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    path.with_name("old").unlink()
    secret, other = b"Nachfrage", "天气怎么样".encode()
    files = [f for f in path.parent.iterdir() if f.suffix == ".sqlite3"]
    assert len(files) == 4
    assert sum(secret in f.read_bytes() for f in path.parent.iterdir()) >= 4
    statement = "DELETE FROM conversations WHERE owner = ?"
    with store.transaction() as db:
        db.execute(statement, ("anna",))
    assert store.erase_copies(statement, ("anna",)) == []
    store.forget(thoroughly=True)
    for file in path.parent.iterdir():
        assert secret not in file.read_bytes(), file.name
    for file in files:
        assert ask(file, "SELECT owner FROM conversations") == [("ben",)]
    store.close()
    assert other in path.read_bytes()


def test_erased_words_leave_the_search_index(path: Path) -> None:
    store = Store(path)
    words = random.Random(1)
    with store.transaction() as db:
        for owner in ("anna", "ben"):
            db.execute("INSERT INTO conversations VALUES (?, ?, '', 1, 0, 0, '{}')", (owner, owner))
            for number in range(40):
                text = " ".join(f"{words.randrange(10**9):x}" for _ in range(100))
                row = (owner, number, text)
                db.execute("INSERT INTO entries VALUES (NULL, ?, ?, 'user', ?, 'done', '{}', NULL)", row)

    def index_size() -> int:
        with store.connect() as db:
            return int(db.execute("SELECT sum(length(block)) FROM search_data").fetchone()[0])

    with store.transaction() as db:
        db.execute("DELETE FROM conversations WHERE owner = 'anna'")
    store.forget(thoroughly=True)
    left = index_size()
    with store.connect() as db:
        db.execute("INSERT INTO search (search) VALUES ('rebuild')")
        db.execute("INSERT INTO search (search) VALUES ('optimize')")
    assert abs(left - index_size()) < 100


@pytest.mark.parametrize("damage", [garbage, torn_pages, cut_short])
def test_erasing_names_the_copies_that_can_not_be_read(path: Path, damage: Damage) -> None:
    damage(path)
    store = Store(path)
    assert store.erase_copies("DELETE FROM conversations WHERE owner = ?", ("anna",)) == store.kept


def test_a_copy_that_can_not_be_read_is_said(path: Path) -> None:
    garbage(path)
    store = Store(path)
    with pytest.raises(StoreError, match=store.kept[0].name), store.reading(store.kept[0]) as db:
        db.execute("SELECT 1 FROM conversations")
