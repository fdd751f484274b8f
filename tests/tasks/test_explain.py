"""Which words carried a judgement: the weights are what their absence takes, and the deletion shows it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmapp.backend.engine import ScoreRequest
from llmapp.errors import BadInput
from llmapp.tasks.explain import FEWEST, MOST, NOTHING, REMOVED, Explanation, explain
from llmapp.tasks.sentiment import BATCH
from tests.fake_engine import FakeEngine, written

PRAISE, BLAME = ("lovely", "warm", "好"), ("cold", "dull")


def by_words(request: ScoreRequest) -> dict[str, float]:
    text = written(request.prompt)
    good = 0.5 + 0.2 * sum(word in text for word in PRAISE) - 0.2 * sum(word in text for word in BLAME)
    good = min(max(good, 0.0), 1.0)
    return {"positive": good, "negative": 1 - good}


def engine(**changes: object) -> FakeEngine:
    made = FakeEngine.of(**changes)  # type: ignore[arg-type]
    made.judge, made.labels = by_words, ("positive", "negative")
    return made


def explained(asked: FakeEngine, text: str, label: str = "") -> Explanation:
    """The last of them."""
    *_, found = explain(asked, text, label)
    assert found.whole
    return found


def test_a_word_weighs_what_its_absence_takes() -> None:
    found = explained(engine(), "A lovely, warm evening, a cold soup.")
    weights = dict(found.tokens)
    assert found.label == "positive"
    assert weights[" lovely,"] == pytest.approx(0.2)
    assert weights[" cold"] == pytest.approx(-0.2)
    assert weights[" evening,"] == pytest.approx(0)


def test_the_proof_leaves_out_only_what_spoke_for_the_label() -> None:
    found = explained(engine(), "lovely and warm, but cold")
    assert found.removed == ("lovely", "warm,")
    assert found.probability == pytest.approx(0.7)
    assert found.without == pytest.approx(0.3)


def test_another_label_can_be_explained() -> None:
    found = explained(engine(), "lovely and warm, but cold", "negative")
    assert found.removed == ("cold",)
    assert (found.probability, found.without) == (pytest.approx(0.3), pytest.approx(0.1))


def test_a_label_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(BadInput, match="positive, negative"):
        explained(engine(), "lovely", "sarcastic")


def test_a_word_alone_is_judged_against_nothing() -> None:
    asked = engine()
    assert explained(asked, "lovely").removed == ("lovely",)
    assert NOTHING in [request.prompt for request in asked.scored]


def test_chinese_is_read_by_characters() -> None:
    found = explained(engine(), "这里的汤很好。")
    assert found.removed == ("好",)
    assert len(found.tokens) == 7


def test_a_long_text_costs_no_more_than_a_middling_one() -> None:
    text = " ".join(f"word{i}" for i in range(400)) + " lovely"
    asked = engine(context=4096)
    found = explained(asked, text)
    assert "".join(token for token, _ in found.tokens) == text
    assert any("lovely" in piece for piece in found.removed)
    assert FEWEST <= len(found.tokens) <= MOST // 2


@given(st.text(alphabet="ab 好\n\t.", min_size=1).filter(str.strip))
def test_the_tokens_are_the_whole_text(text: str) -> None:
    found = explained(engine(), text)
    assert "".join(token for token, _ in found.tokens) == text
    assert len(found.removed) <= REMOVED


def test_it_can_be_stopped_between_two_batches() -> None:
    asked = engine()
    steps = explain(asked, "lovely " * (3 * BATCH))
    first = next(steps)
    assert not first.whole
    assert len(asked.scored) == 1 + BATCH
    assert [weight for _, weight in first.tokens[BATCH:]] == [0.0] * (2 * BATCH)
    steps.close()  # type: ignore[attr-defined]
    assert len(asked.scored) == 1 + BATCH
