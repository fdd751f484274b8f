"""Which pages are being answered now, so that Stop, which never waits in a queue, can reach them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# An answer that was left ends within a token; a page that opens another conversation waits no longer than this.
LEAVING_S = 3.0
# The longest a message waits for its page to have opened.
OPENING_S = 10.0


@dataclass(frozen=True)
class Turn:
    """One running answer: `stop` asks it to end, `left` that it shows nothing more, `ended` is set when it has.

    `about` names what it belongs to, such as a conversation.
    """

    about: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


class Turns:
    """One running piece of work a page; it ends and saves by itself when asked to."""

    def __init__(self) -> None:
        self._running: dict[str, Turn] = {}
        self._watching: dict[str, threading.Event] = {}
        self._anybody = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[str, threading.Event] = {}

    @contextmanager
    def begin(self, page: str, about: str = "") -> Iterator[Turn]:
        """The turn that `stop(page)` and `leave(page)` reach, for as long as the block runs; it ends a watch."""
        turn = Turn(about)
        self._look_away(page)
        with self._lock:
            self._running[page] = turn
        try:
            yield turn
        finally:
            turn.ended.set()
            with self._lock:
                if self._running.get(page) is turn:
                    del self._running[page]

    def stop(self, page: str) -> bool:
        """Ask for an end. True when there was something to stop."""
        turn = self._turn(page)
        if turn:
            turn.stop.set()
        return turn is not None

    def running(self, page: str) -> bool:
        """True while a page is being answered."""
        return self._turn(page) is not None

    def leave(self, page: str, about: str | None = None) -> None:
        """Ask for an end that the page does not want to see, and wait for it; a watch ends too.

        With `about` only a turn about that is left: what the page began meanwhile goes on.
        """
        self._look_away(page)
        turn = self._turn(page)
        if turn and about in (None, turn.about):
            turn.left.set()
            turn.stop.set()
            turn.ended.wait(LEAVING_S)

    @contextmanager
    def watch(self, page: str) -> Iterator[threading.Event]:
        """An event that is set when a page that looks on at another page's answer turns to something else."""
        left = threading.Event()
        with self._lock:
            self._watching[page] = left
        try:
            yield left
        finally:
            with self._lock:
                if self._watching.get(page) is left:
                    del self._watching[page]

    def _look_away(self, page: str) -> None:
        with self._lock:
            left = self._watching.get(page)
        if left:
            left.set()

    def _turn(self, page: str) -> Turn | None:
        with self._lock:
            return self._running.get(page)

    def opened(self, page: str) -> None:
        """The page has all that it shows when it opens."""
        self._anybody.set()
        self._opening(page).set()

    def wait_until_opened(self, page: str) -> None:
        """Hold back an answer to a page that is quicker than its own opening, which would be drawn over it."""
        self._opening(page).wait(OPENING_S)

    def wait_for_a_page(self, seconds: float) -> None:
        """Until the first page has opened, at most so long."""
        self._anybody.wait(seconds)

    def closed(self, page: str) -> None:
        """The page is gone."""
        with self._lock:
            self._open.pop(page, None)

    def _opening(self, page: str) -> threading.Event:
        with self._lock:
            return self._open.setdefault(page, threading.Event())

    def __len__(self) -> int:
        return len(self._running)
