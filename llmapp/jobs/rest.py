"""Long work rests while somebody is answered: the app beats on a file, and workers look how fresh the beat is.

A file's time and not a lock: several apps may share it, a look costs microseconds, and an app that was killed keeps no
worker waiting. Knows neither models nor jobs.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BEAT_S = 0.5
FRESH_S = 2.0
"""A beat older than this came from an app that has ended, or hangs."""
LOOK_EVERY_S = 0.02
RESTING_S = 0.1


class Answering:
    """What the app says: somebody is being answered. Blocks may overlap, in any threads."""

    def __init__(self, beat: Path) -> None:
        self._beat = beat
        self._changing = threading.Lock()
        self._answers = 0
        self._over = threading.Event()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Workers rest until the block, and all others that overlap it, have ended."""
        with self._changing:
            self._answers += 1
            if self._answers == 1:
                self._over = threading.Event()
                self._touch()
                threading.Thread(target=self._beating, args=(self._over,), name="answering", daemon=True).start()
        try:
            yield
        finally:
            with self._changing:
                self._answers -= 1
                if not self._answers:
                    self._over.set()
                    self._touch(0)

    def _beating(self, over: threading.Event) -> None:
        while not over.wait(BEAT_S):
            with self._changing:
                if not over.is_set():
                    self._touch()

    def _touch(self, when: float | None = None) -> None:
        with suppress(OSError):  # a full disk must not keep anybody from being answered
            self._beat.touch()
            if when is not None:
                os.utime(self._beat, (when, when))


class Rest:
    """What a worker calls again and again; it comes back once nobody is answered, or the work is to stop."""

    def __init__(self, beat: Path, stop: Callable[[], bool]) -> None:
        self._beat, self._stop = beat, stop
        self._next = 0.0

    def __call__(self) -> None:
        """Wait as long as somebody is answered. Cheap enough for every layer of a model."""
        if time.monotonic() < self._next:
            return
        while self._answering() and not self._stop():
            time.sleep(RESTING_S)
        self._next = time.monotonic() + LOOK_EVERY_S

    def _answering(self) -> bool:
        try:
            return abs(time.time() - self._beat.stat().st_mtime) < FRESH_S
        except OSError:
            return False
