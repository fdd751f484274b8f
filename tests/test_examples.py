"""Kept examples: by owner and task, the last answer counts, and what is deleted is gone from backups too."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from llmapp.errors import BadInput, NotFound
from llmapp.examples import Examples
from llmapp.schema import MIGRATIONS
from llmapp.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "llmapp.db")


@pytest.fixture
def examples(store: Store) -> Examples:
    return Examples(store)


def test_the_newest_comes_first_and_the_last_answer_counts(examples: Examples) -> None:
    assert examples.keep("anna", "sentiment", "Good soup. ", "negative") == 1
    assert examples.keep("anna", "sentiment", "冷汤", "negative") == 2
    assert examples.keep("anna", "sentiment", " Good soup.", "positive\ud800") == 2
    assert [(each.input, each.output) for each in examples.list("anna", "sentiment")] == [
        ("Good soup.", "positive\ufffd"),
        ("冷汤", "negative"),
    ]


def test_tasks_and_owners_are_apart(examples: Examples) -> None:
    examples.keep("anna", "sentiment", "Good soup.", "positive")
    examples.keep("anna", "translate", "Good soup.", "Gute Suppe.")
    examples.keep("bert", "sentiment", "Good soup.", "negative")
    (annas,) = examples.list("anna", "sentiment")
    with pytest.raises(NotFound):
        examples.delete("bert", annas.id)
    assert examples.delete_all("bert") == 1
    assert (examples.count("anna", "sentiment"), examples.count("anna", "translate")) == (1, 1)
    assert examples.delete_all("anna", "sentiment") == 1
    assert [each.output for each in examples.list("anna", "translate")] == ["Gute Suppe."]


@pytest.mark.parametrize(("given", "right"), [("", "positive"), ("Good soup.", " \n")])
def test_half_an_example_is_none(examples: Examples, given: str, right: str) -> None:
    with pytest.raises(BadInput):
        examples.keep("anna", "sentiment", given, right)
    assert examples.count("anna", "sentiment") == 0


def test_what_is_deleted_is_gone_from_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "llmapp.db"
    secret = "SWORDFISH soup"
    store = Store(path)
    Examples(store).keep("anna", "sentiment", secret, "positive")
    store.close()
    newer = Store(path, (*MIGRATIONS, "CREATE TABLE extra (x)"))
    (backup,) = newer.backups
    assert secret.encode() in backup.read_bytes()
    examples = Examples(newer)
    (kept,) = examples.list("anna", "sentiment")
    examples.delete("anna", kept.id)
    newer.close()
    assert not any(secret.encode() in file.read_bytes() for file in tmp_path.iterdir())


def test_a_file_of_before_gets_its_table_and_a_backup_without_one_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "llmapp.db"
    Store(path, MIGRATIONS[:2]).close()
    store = Store(path)
    examples = Examples(store)
    examples.keep("anna", "sentiment", "Good soup.", "positive")
    assert examples.delete_all("anna") == 1
    with closing(sqlite3.connect(store.backups[0])) as backup:
        assert backup.execute("PRAGMA user_version").fetchone() == (2,)
