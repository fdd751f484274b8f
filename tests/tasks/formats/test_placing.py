"""A translated sentence over the runs it came from: nothing lost, code kept, words found where they stand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmapp.tasks.formats.layout import Block, Run
from llmapp.tasks.formats.placing import merged, one_by_one, placed, units, unsure


def block(*texts: str, loose: bool = False) -> Block:
    """Runs of a paragraph; what stands in backticks is fixed."""
    runs = [Run(text.strip("`"), ((i, i + 1),), fixed=text.startswith("`")) for i, text in enumerate(texts)]
    return Block(tuple(runs), loose=loose)


def put(source: Sequence[str], text: str, **known: str) -> list[str] | None:
    (unit,) = units(block(*source), "en")
    return placed(unit, text, {key.replace("_", " "): value for key, value in known.items()})


@pytest.mark.parametrize(
    ("source", "text", "known", "expected"),
    [
        (["It is ", "very", " old."], "Es ist sehr alt.", {"very": "sehr"}, ["Es ist ", "sehr", " alt."]),
        (["It is ", "very", " old."], "Es ist sehr alt.", {}, ["Es ist ", "sehr", " alt."]),
        (["Ask ", "Ada Lovelace", " today."], "Heute Ada Lovelace fragen.", {}, ["Heute ", "Ada Lovelace", " fragen."]),
        (["Run ", "`make test`", " now."], "Führe make test jetzt aus.", {}, ["Führe ", "make test", " jetzt aus."]),
        (["See ", "the manual", ", please."], "Siehe das Handbuch, bitte.", {}, ["Siehe ", "das Handbuch", ", bitte."]),
        (["It is ", "very", " old."], "它很旧。", {"very": "很"}, ["它", "很", "旧。"]),
        (["One", " ", "two"], "Eins zwei", {}, ["Eins", " ", "zwei"]),
        (["H", "2", "O is wet."], "H2O ist nass.", {}, ["H", "2", "O ist nass."]),
    ],
)
def test_runs_are_found_again(source: list[str], text: str, known: dict[str, str], expected: list[str]) -> None:
    assert put(source, text, **known) == expected


def test_a_translation_without_its_code_is_put_together_from_stretches() -> None:
    (unit,) = units(block("Run ", "`make test`", " now."), "en")
    assert placed(unit, "Jetzt den Test machen.", {}) is None
    assert unit.stretches == ["Run", "now."]
    known = {"Run": "Führe.", "now.": "jetzt aus."}
    assert one_by_one(unit, known) == ["Führe ", "make test", " jetzt aus."]


def test_text_before_code_that_began_the_sentence_has_no_place() -> None:
    assert put(["`make`", " is good."], "Gut ist make") is None


def test_only_what_settles_it_is_translated_once_more() -> None:
    (unit,) = units(block("It is a ", "very", " long way to ", "the top", " of it."), "en")
    assert unsure(unit, "Es ist ein sehr langer Weg nach oben.") == ["very", "the top"]
    assert unsure(unit, unit.text) == []


def test_sentences_in_several_looks_are_units_of_their_own() -> None:
    found = units(block("It is old. It is ", "very", " old. Really."), "en")
    assert [unit.text for unit in found] == ["It is old.", "It is very old.", "Really."]
    assert [unit.text for unit in units(block("It is old.\n  Really."), "en")] == ["It is old. Really."]


def test_lines_of_a_cue_share_a_sentence_and_keep_their_space() -> None:
    lines = block(" The keeper lit ", "the lamp.", loose=True)
    (unit,) = units(lines, "en")
    assert unit.text == "The keeper lit the lamp."
    pieces = placed(unit, "Der Wärter zündete die Lampe an.", {})
    assert pieces
    assert merged(lines, [(unit, pieces)]) == [" Der Wärter zündete ", "die Lampe an."]


WORDS = st.text(st.sampled_from("ab c.,中 é"), min_size=1, max_size=8)


@given(st.lists(st.tuples(WORDS, st.booleans()), min_size=1, max_size=5), WORDS, st.booleans())
def test_nothing_is_lost_or_made_up(pieces: list[tuple[str, bool]], text: str, loose: bool) -> None:
    source = block(*(f"`{word}`" if fixed and not loose else word for word, fixed in pieces), loose=loose)
    text = " ".join(text.split())
    for unit in units(source, "en"):
        found = placed(unit, text, {})
        if found is None or text == unit.text or not unit.inner:
            continue
        assert "".join("".join(found).split()) == "".join(text.split())
        for piece, new in zip(unit.pieces, found, strict=True):
            assert not piece.fixed or new.strip() == piece.core


@given(st.lists(WORDS, min_size=1, max_size=5), st.booleans())
def test_the_same_words_give_the_same_runs(texts: list[str], loose: bool) -> None:
    source = block(*texts, loose=loose)
    both = [(unit, placed(unit, unit.text, {}) or []) for unit in units(source, "en")]
    assert merged(source, both) == source.texts
