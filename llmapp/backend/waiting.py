"""Waiting that can be stopped: what may hang (a name look-up, a read, the Hub) goes on in a thread.

Knows nothing of what is waited for.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..errors import SourceError
from .progress import TICK_S, Meter

T = TypeVar("T")


@dataclass(frozen=True)
class _Step(Generic[T]):
    values: tuple[T, ...] = ()
    problem: BaseException | None = None


def in_background(work: Callable[[], Iterator[T]], stop: threading.Event) -> Iterator[T | None]:
    """What `work` yields in a thread of its own, and None whenever it had nothing for `TICK_S`.

    Its exception is raised here. Set `stop` when done: the thread then ends with the next thing it gets.
    """
    line: queue.Queue[_Step[T]] = queue.Queue(maxsize=16)
    threading.Thread(target=_work_off, args=(work, line, stop), name="download", daemon=True).start()
    while True:
        try:
            step = line.get(timeout=TICK_S)
        except queue.Empty:
            yield None
            continue
        if step.problem:
            raise step.problem
        if not step.values:
            return
        yield from step.values


def _work_off(work: Callable[[], Iterator[T]], line: queue.Queue[_Step[T]], stop: threading.Event) -> None:
    try:
        for value in work():
            _put(line, _Step((value,)), stop)
        _put(line, _Step(), stop)
    except BaseException as problem:  # handed over, not swallowed
        _put(line, _Step(problem=problem), stop)


def _put(line: queue.Queue[_Step[T]], step: _Step[T], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            line.put(step, timeout=TICK_S)
        except queue.Full:
            continue
        return


def patiently(work: Callable[[], T], look_up: Callable[[], None]) -> T:
    """The result of `work`; `look_up` is called meanwhile and may raise, which ends the waiting."""
    stop = threading.Event()
    try:
        for value in in_background(lambda: iter([(work(),)]), stop):
            if value is not None:
                return value[0]
            look_up()
    finally:
        stop.set()
    raise AssertionError("work ends with a value or an exception")


def stop_when(cancel: threading.Event, meter: Meter, name: str) -> Callable[[], None]:
    """What waiting looks up at: it reports, and raises SourceError once stopped."""

    def look_up() -> None:
        meter.tick()
        if cancel.is_set():
            raise SourceError("source_stopped", file=name)

    return look_up
