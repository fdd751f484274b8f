"""Stop reaches what runs for a page, and only that."""

from __future__ import annotations

import threading

from llmapp.ui.turns import Turns


def test_stop_reaches_the_running_turn_of_its_page_only() -> None:
    turns = Turns()
    with turns.begin("one") as one, turns.begin("two") as two:
        assert turns.stop("one")
        assert one.stop.is_set()
        assert not two.stop.is_set()
    assert not turns.stop("one")
    assert len(turns) == 0


def test_leaving_waits_until_the_turn_has_ended() -> None:
    turns = Turns()
    begun = threading.Event()
    order: list[str] = []

    def work() -> None:
        with turns.begin("page") as turn:
            begun.set()
            turn.stop.wait(10)
            order.append("ended")

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(10)
    turns.leave("page")
    order.append("left")
    thread.join()
    assert order == ["ended", "left"]


def test_what_was_begun_about_something_else_is_not_left() -> None:
    turns = Turns()
    with turns.begin("page", "new") as turn:
        turns.leave("page", "old")
        turns.leave("page", "")
        assert not turn.left.is_set()
    with turns.begin("page", "old") as turn:
        threading.Timer(0.1, turn.ended.set).start()
        turns.leave("page", "old")
        assert turn.left.is_set()
        assert turn.stop.is_set()


def test_who_looks_on_turns_away_when_they_leave_or_are_answered() -> None:
    turns = Turns()
    with turns.watch("page") as left:
        turns.leave("other")
        assert not left.is_set()
        turns.leave("page")
        assert left.is_set()
    with turns.watch("page") as left, turns.begin("page"):
        assert left.is_set()
