"""How far a download or a conversion is, and how fast: counted in bytes, reported a few times a second.

Knows the clock. Does not know networks, models or who looks.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Phase = Literal["resolving", "downloading", "checking", "converting", "loading", "uploading"]
TICK_S = 0.25
SPEED_WINDOW_S = 5.0


@dataclass(frozen=True)
class Progress:
    """One look at long work: `done` of `total` in bytes (0 where unknown), `speed` in bytes/s.

    `stalled_s` counts the seconds since the last byte arrived, and is 0 below 1 s.
    """

    phase: Phase
    done: int = 0
    total: int = 0
    speed: float = 0.0
    stalled_s: float = 0.0


Report = Callable[[Progress], None]


class Meter:
    """Counts what arrives over all files of one fetch and reports it, at most every `TICK_S`."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._phase: Phase = "resolving"
        self._done = 0
        self._sizes: dict[str, int] = {}
        self._fresh: deque[tuple[float, int]] = deque()
        self._last_byte = self._last_report = 0.0

    def begin(self, phase: Phase, sizes: Mapping[str, int] | None = None) -> None:
        """A new phase, counted from zero, and how many bytes there are to do by name; reported at once."""
        self._phase, self._done, self._sizes = phase, 0, dict(sizes or {})
        self._fresh.clear()
        self._last_byte = time.monotonic()
        self._send()

    def expect(self, name: str, size: int) -> None:
        """The true size of one name, where only an estimate was known."""
        self._sizes[name] = size

    def add(self, size: int) -> None:
        """Bytes that just arrived."""
        self._last_byte = time.monotonic()
        self._done += size
        self._fresh.append((self._last_byte, size))
        self.tick()

    def skip(self, size: int) -> None:
        """Bytes that need not arrive, or (negative) must once more; they do not count for the speed."""
        self._done += size

    def tick(self) -> None:
        """Report, if the last report is long enough ago."""
        if time.monotonic() - self._last_report >= TICK_S:
            self._send()

    @property
    def stalled_s(self) -> float:
        """Seconds since the last byte of this phase."""
        return time.monotonic() - self._last_byte

    def _speed(self, now: float) -> float:
        while self._fresh and now - self._fresh[0][0] > SPEED_WINDOW_S:
            self._fresh.popleft()
        if not self._fresh:
            return 0.0
        return sum(size for _, size in self._fresh) / max(now - self._fresh[0][0], TICK_S)

    def _send(self) -> None:
        now = self._last_report = time.monotonic()
        stalled = self.stalled_s if self._phase == "downloading" and self.stalled_s >= 1 else 0.0
        total = sum(self._sizes.values())
        done = min(self._done, total) if total else self._done
        self._report(Progress(self._phase, done, total, self._speed(now), stalled))


def shared(report: Report, path: Path) -> Report:
    """A report that also leaves each look in a file, for whoever waits for the same work elsewhere."""

    def both(progress: Progress) -> None:
        aside = path.with_suffix(".new")
        with suppress(OSError):  # who waits sees the last look; the work itself must not end for it
            aside.write_text(json.dumps(asdict(progress)), encoding="utf-8")
            aside.replace(path)
        report(progress)

    return both


def read_shared(path: Path) -> Progress:
    """The last look somebody left in a file; "resolving" where there is none yet."""
    try:
        return Progress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Progress("resolving")


def while_wanted(tell: Callable[[int, int], None], stop: Callable[[], bool]) -> tuple[Report, threading.Event]:
    """A report for loads and downloads that tells (done, total), and their cancel, set once `stop` says so."""
    cancel = threading.Event()

    def report(progress: Progress) -> None:
        tell(progress.done, progress.total)
        if stop():
            cancel.set()

    return report, cancel
