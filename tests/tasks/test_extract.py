"""A summary taken from the text: what it takes stands there, in its order, as long as asked for."""

import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmapp.errors import BadInput
from llmapp.tasks.documents import count_words
from llmapp.tasks.extract import BLOCK, WORDS, centrality, extract
from llmapp.tasks.splitting import sentences
from llmapp.tasks.summarize import LENGTHS, SummaryOptions, SummaryUpdate
from llmapp.tasks.vectors import TOGETHER, by_encoder, by_words, knows, terms
from tests.fake_engine import MODEL, FakeEngine

CATS = (
    "The cat of the lighthouse keeper sleeps on the warm stairs. "
    "Trains were late on Monday. "
    "Every evening the keeper climbs the stairs of the lighthouse with his cat. "
    "The soup was cold. "
    "From the lighthouse the keeper and his cat look for ships on the sea. "
    "Some ships greet the lighthouse and its keeper with their horns. "
    "A dentist bought seven green umbrellas in Paris."
)
ODD = ("Trains", "soup", "dentist")


def last(text: str, engine: FakeEngine | None = None, **options: str) -> SummaryUpdate:
    return list(extract(text, SummaryOptions(**options), engine))[-1]


def book(number: int) -> str:
    rng = np.random.default_rng(1)
    nouns = [f"word{i}" for i in range(300)]
    return " ".join(f"The {' and '.join(rng.choice(nouns, 12))} came to see it on day {i}." for i in range(number))


@pytest.mark.parametrize("engine", [None, FakeEngine.of(kind="encoder")])
def test_sentences_are_taken_as_they_stand_and_in_their_order(engine):
    update = last(CATS, engine)
    taken = sentences(update.text, "en").texts
    places = [CATS.index(sentence) for sentence in taken]
    assert len(taken) == 3
    assert places == sorted(places)
    assert (update.finish, update.words_read, update.words_total) == ("stop", 66, 66)


def test_what_the_rest_of_the_text_says_too_is_taken():
    assert not any(word in last(CATS).text for word in ODD)


@pytest.mark.parametrize("length", LENGTHS)
def test_no_more_sentences_than_asked_for_or_half_of_the_text(length):
    assert len(sentences(last(book(40), length=length).text, "en")) == LENGTHS[length]
    assert len(sentences(last(book(4), length=length).text, "en")) == min(2, LENGTHS[length])


def test_nothing_is_said_twice():
    one = "The keeper climbs the stairs of the lighthouse with his cat."
    text = f"{one} {one} The lighthouse keeper lives there with his cat. {CATS}"
    assert last(text).text.count(one) == 1


@settings(max_examples=60, deadline=None)
@given(wanted=st.integers(10, 400), sizes=st.lists(st.integers(5, 60), min_size=3, max_size=40))
def test_a_number_of_words_is_kept_within_a_quarter_or_one_sentence(wanted, sizes):
    text = " ".join(" ".join(f"W{i}x{k}" for k in range(size)) + "." for i, size in enumerate(sizes))
    found = last(text, length=str(wanted)).text
    whole, largest = sum(sizes), max(sizes)
    assert abs(count_words(found) - min(wanted, whole)) <= max(0.25 * wanted, largest)


def test_forms():
    assert last(CATS, form="bullets").text.count("\n- ") == 2
    headline = last(CATS, form="headline").text
    assert f"{headline}." in CATS


def test_headings_and_cells_are_not_taken_for_sentences():
    text = "Lighthouse and keeper\n\n" + CATS + "\n\nlighthouse keeper cat stairs ships\n\nKeeper: cat\n"
    assert all(
        f"{line}" not in last(text, length="long").text for line in ("Lighthouse and", "stairs ships", "Keeper:")
    )
    assert last("one heading\n\nanother heading").text in ("one heading", "another heading")


def test_the_focus_is_minded():
    assert "umbrellas" in last(CATS, length="sentence", focus="umbrellas of the dentist").text


def test_chinese_is_compared_by_pairs_of_characters():
    text = "灯塔的看守人和他的猫住在海边。今天的汤很冷。每晚看守人都登上灯塔。船只看到灯塔的光就安心了。他买了七把伞。"
    found = last(text, length="sentence").text
    assert "灯塔" in found
    assert "灯塔" in terms(text)


def test_a_summary_in_another_language_can_not_be_taken():
    encoder = FakeEngine.of(kind="encoder")
    assert [note.code for note in last(CATS, encoder, language="de").notes] == ["reason.extract_language"]
    assert last(CATS, encoder, language="en").notes == ()
    assert [note.code for note in last(CATS).notes] == ["reason.extract_words"]


def test_it_says_how_far_it_is():
    engine = FakeEngine.of(kind="encoder")
    updates = list(extract(book(2 * TOGETHER + 5), engine=engine))
    assert [update.done_parts for update in updates] == [0, 1, 2, 3]
    assert {update.parts for update in updates} == {3}
    read = [update.words_read for update in updates]
    assert read == sorted(read)
    assert read[-1] == updates[-1].words_total
    assert len(engine.encoded) == 2 * TOGETHER + 5


def test_a_sentence_longer_than_the_context_is_read_to_its_end():
    engine = FakeEngine.of(kind="encoder", context=17)
    (rows,) = by_encoder(engine, ["a " * 15 + "z " * 15, "short"])
    assert " ".join(engine.encoded[:-1]).count("z") == 15
    assert rows.shape == (2, 26)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0][0] == pytest.approx(rows[0][25], abs=0.1)


def test_thousands_of_sentences_take_little_memory():
    vectors = by_words([f"word{i % 97} and word{i % 31} number{i}" for i in range(5 * BLOCK)])
    tracemalloc.start()
    centrality(vectors, WORDS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * BLOCK * BLOCK * 4 * 5


def test_centrality_is_the_same_in_blocks(monkeypatch):
    vectors = by_words(re.split(r"(?<=\.) ", book(50)))
    whole = centrality(vectors, WORDS)
    monkeypatch.setattr("llmapp.tasks.extract.BLOCK", 7)
    assert np.allclose(centrality(vectors, WORDS), whole, atol=1e-6)


def test_an_encoder_knows_its_languages():
    assert knows(MODEL, CATS)
    assert knows(MODEL, "ok")
    assert not knows(MODEL, "Сегодня хорошая погода, и мы идём гулять в парк.")


def test_texts_without_words_and_blank_texts():
    assert not by_words(["...", "!?"]).any()
    assert last("... !? ...").text
    with pytest.raises(BadInput):
        last(" \n")
