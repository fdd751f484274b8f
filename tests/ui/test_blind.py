"""Blind judging: which side is which is a coin's, the verdict counts what was meant."""

from __future__ import annotations

from llmapp.ui.blind import now_first, verdict


def test_the_coin_falls_both_ways_and_always_the_same_for_a_pair() -> None:
    sides = [now_first("0198-ab", number) for number in range(200)]
    assert sides == [now_first("0198-ab", number) for number in range(200)]
    assert 70 < sum(sides) < 130
    assert sides != [now_first("0198-ac", number) for number in range(200)]


def test_the_verdict_says_what_was_preferred_and_whether_that_is_luck() -> None:
    said = verdict(["now"] * 9 + ["before"] + ["equal"] * 2, "en")
    assert (
        "what it says now 9 times, what it said before 1 times; 2 equal. That is a real difference (p = 0.021)" in said
    )
    assert "That could be luck (p = 1)." in verdict(["now", "before", "equal"], "en")
    assert verdict([], "en") == ""
