"""The mood of a text, sentence by sentence: nothing lost, nothing judged twice, long texts in passages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmapp.backend.engine import ScoreRequest
from llmapp.errors import BadInput
from llmapp.tasks.mood import MOST, mood, passages
from llmapp.tasks.sentiment import BATCH
from tests.fake_engine import FakeEngine, written


def by_word(request: ScoreRequest) -> dict[str, float]:
    good = 0.9 if "good" in written(request.prompt) else 0.2
    return {"positive": good, "neutral": 0.1, "negative": round(0.9 - good, 3)}


def engine() -> FakeEngine:
    return FakeEngine(judge=by_word, labels=("positive", "neutral", "negative"))


def test_each_sentence_has_its_own_judgement() -> None:
    (found,) = mood(engine(), "The soup was good. Dr. Miller's bread was stale!  Was the tea good?\n\nIt rained.")
    assert [each.text for each in found] == [
        "The soup was good.",
        "Dr. Miller's bread was stale!",
        "Was the tea good?",
        "It rained.",
    ]
    assert [(each.label, round(each.score, 6)) for each in found] == [
        ("positive", 0.9),
        ("negative", 0.7),
        ("positive", 0.9),
        ("negative", 0.7),
    ]


def test_chinese_sentences() -> None:
    assert passages("汤很好喝。面包不新鲜！茶怎么样？") == ["汤很好喝。", "面包不新鲜！", "茶怎么样？"]


def test_it_comes_batch_by_batch_and_a_moment_is_not_sent_for_each() -> None:
    asked = engine()
    moments = list(mood(asked, "It was good. " * 10 * BATCH))
    assert [len(moment) for moment in moments] == [BATCH, 2 * BATCH, 4 * BATCH, 8 * BATCH, 10 * BATCH]
    assert len(asked.scored) == 10 * BATCH


@given(st.integers(MOST + 1, 5 * MOST))
def test_a_long_text_is_judged_in_few_passages_and_whole(count: int) -> None:
    parts = passages(" ".join(f"This is sentence number {i}." for i in range(count)))
    assert MOST / 2 < len(parts) <= MOST
    assert " ".join(parts) == " ".join(f"This is sentence number {i}." for i in range(count))


def test_a_blank_text_is_refused() -> None:
    with pytest.raises(BadInput):
        list(mood(engine(), " \n"))
