"""What a sentence rests on is found, and what comes from nowhere is marked."""

from dataclasses import replace

import pytest

from llmapp.tasks.extract import extract
from llmapp.tasks.receipts import SOURCES, names, receipts
from llmapp.tasks.summarize import SummaryUpdate
from tests.fake_engine import FakeEngine

TEXT = (
    "The lighthouse at Cape Wrath was built in 1828 by Robert Stevenson. It stands 122 metres above the sea. "
    "Its lamp was lit by hand until 1998. Today the lamp turns by itself, and nobody lives there. "
    "Walkers reach it by a small ferry and a bus of 1,500 kilograms."
)
MADE = SummaryUpdate("", 1, 1, 1, 1, "stop")


def of(summary: str, text: str = TEXT, engine: FakeEngine | None = None):
    return receipts(replace(MADE, text=summary), text, engine)


def test_a_sentence_rests_on_the_one_that_says_the_same():
    (receipt,) = of("Robert Stevenson built the lighthouse at Cape Wrath.")
    assert receipt.sources[0].text.startswith("The lighthouse at Cape Wrath was built")
    assert (receipt.sources[0].place, receipt.sources[0].of) == (0, 5)
    assert receipt.supported


def test_one_that_comes_from_nowhere_has_no_source():
    for engine in (None, FakeEngine(vector=lambda text: FakeEngine().vector(text) * ("piano" not in text))):
        supported, invented = of("Its lamp was lit by hand. My sister plays piano quite beautifully!", engine=engine)
        assert supported.sources
        assert not invented.sources
        assert not invented.supported


@pytest.mark.parametrize(
    ("sentence", "missing"),
    [
        ("The lighthouse at Cape Wrath was built in 1829 by Robert Stevenson.", ("1829",)),
        ("The lighthouse at Cape Wrath was built in 1828 by Thomas Stevenson.", ("Thomas",)),
        ("Walkers reach it by a bus of 1500 kilograms.", ()),
        ("The lamp of Cape Wrath was lit by hand, 12 metres above the North Sea.", ("12", "North")),
        ("However, the lamp turns by itself.", ()),
        ("ROBERT STEVENSON built it.", ()),
    ],
)
def test_numbers_and_names_that_stand_nowhere_are_named(sentence, missing):
    (receipt,) = of(sentence)
    assert receipt.missing == missing
    assert receipt.supported == (not missing)


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("The council met ten times last year, and twenty-one people came.", "21 people came to 10 meetings."),
        ("Der Rat tagte im letzten Jahr zehn Mal, und einundzwanzig Leute kamen.", "Es kamen 21 Leute, 10 Mal."),
    ],
)
def test_a_number_in_words_is_known_in_digits(text, summary):
    (receipt,) = of(summary, text)
    assert receipt.missing == ()
    (receipt,) = of(summary.replace("21", "22"), text)
    assert receipt.missing == ("22",)


def test_what_is_written_like_a_name():
    assert names("John Smith met NASA and iPhone users in Paris.") == ["John", "Smith", "NASA", "iPhone", "Paris"]
    assert names("The train was late again.") == []
    assert names("Rain And Wind Over The Northern Islands") == []


def test_sentences_that_were_taken_are_their_own_receipts():
    *_, update = extract(TEXT)
    found = receipts(update, TEXT)
    assert [receipt.sentence for receipt in found] == [receipt.sources[0].text for receipt in found]
    assert all(receipt.supported for receipt in found)
    assert " ".join(receipt.sentence for receipt in found) == update.text


def test_the_encoder_reads_only_what_shares_words_of_a_long_text():
    engine = FakeEngine.of(kind="encoder")
    text = TEXT + " ".join(f" Nothing number {i} happened on that other quiet day." for i in range(3000))
    (receipt,) = of("Robert Stevenson built the lighthouse.", text, engine)
    assert len(engine.encoded) < 60
    assert 0 < len(receipt.sources) <= SOURCES


def test_bullets_chinese_and_nothing():
    assert [receipt.sentence for receipt in of("- Its lamp was lit by hand.\n- Walkers reach it by ferry.")] == [
        "Its lamp was lit by hand.",
        "Walkers reach it by ferry.",
    ]
    text = "灯塔建于1828年。它高出海面122米。每天晚上看守人都登上灯塔点灯。"
    right, wrong = of("灯塔建于1828年。它高出海面123米。", text)
    assert right.supported
    assert wrong.missing == ("123",)
    assert of("  ") == ()
