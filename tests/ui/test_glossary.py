"""The glossary on the page: kept by its owner, seen by nobody else, brought in and taken out; and from scripts."""

from __future__ import annotations

import pytest

from llmapp.errors import BadInput
from llmapp.ui.glossary import rows_of

from .conftest import PublicApp
from .visitor import Visitor, event_of

ROWS = [["file", "Datei", "German"], ["Nautilus", "", ""], ["", "", ""]]


def table(rows: list[list[str]]) -> dict[str, object]:
    return {"headers": ["term", "translation", "language"], "data": rows, "metadata": None}


def press(visitor: Visitor, widget: str, kind: str, *values: object) -> list[object]:
    """What an event of the glossary gives back: the table first, then what is said."""
    index, _ = event_of(visitor.config(), widget, kind)
    outcome = visitor.run(index, list(values))
    assert outcome.ok, outcome.said
    return list(outcome.data)


def cells(shown: object) -> list[list[str]]:
    assert isinstance(shown, dict)
    return [row for row in shown["data"] if row[0]]


def test_a_glossary_is_kept_for_its_owner_alone(public_app: PublicApp) -> None:
    anna, ben = public_app.stranger(), public_app.stranger()
    kept, said = press(anna, "glossary-save", "click", table(ROWS))
    assert cells(kept) == [["file", "Datei", "German"], ["Nautilus", "", ""]]
    assert "Terms kept: 2" in str(said)
    bens, _ = press(ben, "glossary-save", "click", table([["tool", "", ""]]))
    assert cells(bens) == [["tool", "", ""]]
    file = anna.uploaded("more.csv", b"term,translation\nfile,Akte\n=1+1,eins\n")
    merged, _ = press(anna, "glossary-import", "upload", file, table(ROWS))
    assert cells(merged) == [
        ["file", "Datei", "German"],
        ["Nautilus", "", ""],
        ["file", "Akte", ""],
        ["=1+1", "eins", ""],
    ]


def test_what_can_not_be_kept_is_said(public_app: PublicApp) -> None:
    anna = public_app.stranger()
    index, _ = event_of(anna.config(), "glossary-save", "click")
    assert "“file” stands twice" in anna.run(index, [table([["file", "a", ""], ["file", "b", ""]])]).said
    assert "`Elvish` is not a language" in anna.run(index, [table([["file", "a", "Elvish"]])]).said


def test_a_scripts_glossary_is_an_object_of_texts() -> None:
    assert rows_of({"file": "Datei", "Nautilus": None}) == [("file", "Datei", ""), ("Nautilus", "", "")]
    assert rows_of(None) == []
    with pytest.raises(BadInput, match=r"`glossary` holds .*5"):
        rows_of({"file": 5})
