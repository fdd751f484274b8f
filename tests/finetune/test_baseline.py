"""What can be had without training: each way, on an engine that answers by rule, and the best of them."""

from __future__ import annotations

from dataclasses import replace

from llmapp.backend.engine import ScoreRequest
from llmapp.finetune.baseline import Before, best, by_names, by_shipped, usual

from ..fake_engine import MODEL, FakeEngine

NAMES = ("bad", "good")
LABELS = ("negative", "positive")


def classifier() -> FakeEngine:
    """Finds what is wonderful positive."""

    def judge(request: ScoreRequest) -> dict[str, float]:
        odds = 0.9 if "wonderful" in str(request.prompt) else 0.1
        return dict(zip(LABELS, (1 - odds, odds), strict=True))

    return FakeEngine(replace(MODEL, kind="classifier"), judge=judge, labels=LABELS)


def test_the_commonest_label_of_the_rows_to_learn_from() -> None:
    assert usual([1, 0, 1], 3, NAMES) == Before("commonest", (1, 1, 1), "good")


def test_labels_without_letters_have_no_meaning() -> None:
    assert by_names(FakeEngine(replace(MODEL, kind="encoder")), ["a day"], ("0", "1")) is None


def test_an_encoder_compares_with_the_names() -> None:
    found = by_names(FakeEngine(replace(MODEL, kind="encoder")), ["zzz zoo zzz", "apple banana"], ("zoo", "banana"))
    assert found == Before("names", (0, 1))


def test_a_classifier_answers_where_its_labels_mean_these() -> None:
    engine = classifier()
    texts = ["a wonderful day", "a dreadful day"]
    assert by_shipped(engine, texts, NAMES, "Mine") == Before("shipped", (1, 0), "Mine")
    assert by_shipped(engine, texts, ("spam", "ham"), "Mine") is None
    assert by_names(engine, texts, ("spam", "ham")) is None


def test_the_best_is_the_one_to_beat() -> None:
    ways = [Before("commonest", (0, 0, 0)), Before("names", (0, 1, 1)), Before("shipped", (0, 1, 1))]
    assert best(ways, [0, 1, 1]) is ways[1]
