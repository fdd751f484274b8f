"""Which column holds true labels, and what they mean to a model."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llmapp.tasks.columns import guess_means, guess_truth
from llmapp.tasks.tables import Sheet

BINARY = ("negative", "positive")


def sheet(**columns: Sequence[str]) -> Sheet:
    rows = tuple(zip(*columns.values(), strict=True))
    return Sheet(tuple(columns), rows, tuple(range(2, len(rows) + 2)))


@pytest.mark.parametrize(
    ("values", "labels", "means"),
    [
        (("pos", "NEG "), BINARY, ("positive", "negative")),
        (("正面", "负面", "中性"), BINARY, ("positive", "negative", "")),
        (("0", "1"), BINARY, ("negative", "positive")),
        (("0.0", "1.0"), BINARY, ("negative", "positive")),
        (("-1", "0", "+1"), (*BINARY, "neutral"), ("negative", "neutral", "positive")),
        (("1", "2", "3", "4", "5"), BINARY, ("", "", "", "", "")),
        (("Spam", "ham"), ("spam", "not spam"), ("spam", "")),
        (("positive", "negative"), ("POS", "NEG"), ("POS", "NEG")),
        (("0", "1"), ("spam", "not spam"), ("", "")),
        ((), BINARY, ()),
    ],
)
def test_what_values_mean(values: tuple[str, ...], labels: tuple[str, ...], means: tuple[str, ...]) -> None:
    assert guess_means(values, labels) == dict(zip(values, means, strict=True))


TEXTS = [f"This is the review number {i} of many." for i in range(12)]
FEELING = ["pos", "neg"] * 6
SHOP = ["Berlin", "Hamburg", "Berlin"] * 4


@pytest.mark.parametrize(
    ("columns", "truth"),
    [
        ({"text": TEXTS, "shop": SHOP, "verdict": FEELING}, "verdict"),
        ({"text": TEXTS, "shop": SHOP}, ""),
        ({"text": TEXTS, "shop": SHOP, "Label": ["praise", "praise", "question"] * 4}, "Label"),
        ({"text": TEXTS, "category": SHOP, "sentiment": FEELING}, "sentiment"),
        ({"text": TEXTS, "label": [f"{i}" for i in range(12)]}, ""),
        ({"text": TEXTS}, ""),
        ({"text": FEELING}, ""),
    ],
)
def test_the_column_of_true_labels_is_guessed(columns: dict[str, Sequence[str]], truth: str) -> None:
    assert guess_truth(sheet(**columns), "text") == truth
