"""What three steps tell of a whole training: exact where steps cost what they are made of, bounded elsewhere."""

from __future__ import annotations

import random

import pytest

from llmapp.finetune.rehearsal import peak_bytes, seconds_of

COSTS = [random.Random(0).randint(100, 4000) for _ in range(200)]


@pytest.mark.parametrize(("fixed", "each"), [(0.0, 1e-3), (0.5, 1e-3), (2.0, 0.0)])
def test_a_time_that_is_fixed_and_grows_with_size_is_found_from_three_steps(fixed: float, each: float) -> None:
    made: list[int] = []

    def timed(step: int) -> float:
        made.append(step)
        return fixed + each * COSTS[step] + (5.0 if len(made) == 1 else 0.0)  # the first of all is slower

    assert seconds_of(COSTS, timed) == pytest.approx(sum(fixed + each * cost for cost in COSTS), rel=0.01)
    assert len(made) == 3
    assert COSTS[made[-1]] == max(COSTS)


def test_steps_of_one_size_take_the_same() -> None:
    assert seconds_of([64] * 10, lambda _: 0.25) == pytest.approx(2.5)


def test_a_hiccup_in_one_step_does_not_make_the_small_ones_take_less_than_no_time() -> None:
    assert seconds_of([1, 50, 100], lambda step: 100.0 if step == 2 else 1.0) >= 1.0 / 50 + 1.0


def test_the_peak_is_what_this_process_held() -> None:
    before = peak_bytes()
    held = bytearray(200_000_000)
    held[::4096] = b"x" * len(held[::4096])
    assert peak_bytes() - before < 260_000_000
    assert peak_bytes() > 200_000_000
