"""Scores against values worked out by hand."""

from __future__ import annotations

import pytest

from llmapp.tasks.metrics import score


def test_scores_of_a_small_case() -> None:
    scores = score([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 0], ("a", "b", "c"))
    assert scores.confusion == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert scores.accuracy == pytest.approx(3 / 6)
    assert [scores.labels[name].f1 for name in "abc"] == pytest.approx([4 / 7, 1 / 2, 0])
    assert scores.macro_f1 == pytest.approx((4 / 7 + 1 / 2) / 3)
    assert (scores.labels["a"].precision, scores.labels["a"].recall) == pytest.approx((2 / 4, 2 / 3))
    assert [scores.labels[name].rows for name in "abc"] == [3, 2, 1]
