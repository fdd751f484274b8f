"""A glossary belongs to its owner, comes back as it was given, and goes with everything else of theirs."""

from pathlib import Path

import pytest

from llmapp.errors import BadInput
from llmapp.glossaries import LONGEST_TERM, MOST_TERMS, Glossaries
from llmapp.schema import MIGRATIONS
from llmapp.store import Store

ROWS = [("file", "Datei", "de"), ("file", "fichier", "fr"), ("Nautilus", "", "")]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "llmapp.db")


def test_terms_come_back_in_order_to_their_owner_only(store: Store) -> None:
    glossaries = Glossaries(store)
    assert glossaries.save("anna", ROWS) == ROWS
    glossaries.save("ben", [["tool"]])
    assert glossaries.get("anna") == ROWS
    assert glossaries.get("ben") == [("tool", "", "")]
    assert glossaries.get("carl") == []


def test_saving_replaces_and_tidies(store: Store) -> None:
    glossaries = Glossaries(store)
    glossaries.save("anna", ROWS)
    assert glossaries.save("anna", [[" a\n b ", "c ", ""], ["", "lost", ""]]) == [("a b", "c", "")]
    assert glossaries.get("anna") == [("a b", "c", "")]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([["file", "a", "de"], ["file ", "b", "de"]], "glossary_twice"),
        ([["x" * (LONGEST_TERM + 1), "a", ""]], "glossary_long"),
        ([[f"t{number}", "", ""] for number in range(MOST_TERMS + 1)], "glossary_many"),
    ],
)
def test_what_can_not_be_kept_leaves_all_as_it_was(store: Store, rows: list[list[str]], code: str) -> None:
    glossaries = Glossaries(store)
    glossaries.save("anna", ROWS)
    with pytest.raises(BadInput) as refused:
        glossaries.save("anna", rows)
    assert refused.value.code == code
    assert glossaries.get("anna") == ROWS


def test_deleted_terms_are_gone_from_backups_too(tmp_path: Path) -> None:
    path = tmp_path / "llmapp.db"
    Store(path, MIGRATIONS[:1]).close()
    store = Store(path)
    Glossaries(store).save("anna", [("SWORDFISH", "", "")])
    store.close()
    newer = Store(path, (*MIGRATIONS, "CREATE TABLE later (x)"))
    glossaries = Glossaries(newer)
    glossaries.save("ben", [("kept", "", "")])
    assert len(newer.backups) == 2
    glossaries.delete_all("anna")
    newer.forget(thoroughly=True)
    newer.close()
    assert glossaries.get("ben") == [("kept", "", "")]
    assert not any(b"SWORDFISH" in file.read_bytes() for file in tmp_path.iterdir())
