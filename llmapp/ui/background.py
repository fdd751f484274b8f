"""Downloads and loads that go on without a page: started by one, seen by all. Knows threads, not models."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ..backend.progress import Progress, Report
from ..errors import LlmappError
from ..messages import Message, message

log = logging.getLogger(__name__)

Work = Callable[[Report, threading.Event], None]


@dataclass
class _Running:
    cancel: threading.Event = field(default_factory=threading.Event)
    progress: Progress = Progress("resolving")
    problem: Message | None = None
    done: bool = False


@dataclass(frozen=True)
class Look:
    """How one piece of work is: running with progress, or ended with a problem."""

    name: str
    progress: Progress
    problem: Message | None


class Background:
    """Named work in threads of its own; a name runs once however often it is started."""

    def __init__(self) -> None:
        self._work: dict[str, _Running] = {}
        self._lock = threading.Lock()

    def start(self, name: str, work: Work) -> bool:
        """Begin, unless it is running already. True when it began now."""
        with self._lock:
            known = self._work.get(name)
            if known and not known.done:
                return False
            running = self._work[name] = _Running()
        threading.Thread(target=self._run, args=(name, running, work), name=name, daemon=True).start()
        return True

    def _run(self, name: str, running: _Running, work: Work) -> None:
        def report(progress: Progress) -> None:
            running.progress = progress

        try:
            work(report, running.cancel)
        except LlmappError as error:
            running.problem = None if running.cancel.is_set() else error.message
        except Exception:
            log.exception("%s failed", name)
            running.problem = message("error.bug")
        finally:
            running.done = True

    def cancel(self, name: str) -> None:
        """Ask one to end; what it has so far is kept by its own rules."""
        with self._lock:
            known = self._work.get(name)
        if known:
            known.cancel.set()

    def looks(self) -> list[Look]:
        """What runs, and what ended badly and was not started again."""
        with self._lock:
            items = list(self._work.items())
        return [Look(n, r.progress, r.problem) for n, r in items if not r.done or r.problem]
