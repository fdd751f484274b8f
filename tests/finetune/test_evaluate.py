"""Chances against values worked out by hand or printed in books."""

from __future__ import annotations

import pytest

from llmapp.finetune.evaluate import commonest, interval, mcnemar


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 2**5), (9, 1, 22 / 2**10), (8, 8, 1.0), (2000, 900, 0.0)],
)
def test_mcnemar_is_the_exact_binomial(gained: int, lost: int, p: float) -> None:
    before = [False] * gained + [True] * lost + [True, False] * 3
    after = [True] * gained + [False] * lost + [True, False] * 3
    assert mcnemar(before, after) == pytest.approx(p, abs=1e-12)


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
)
def test_wilsons_interval_of_newcombe_1998(right: int, rows: int, low: float, high: float) -> None:
    assert interval(right, rows) == pytest.approx((low, high), abs=2e-4)


def test_the_commonest_label() -> None:
    assert commonest([2, 1, 1, 2, 0]) == 1
