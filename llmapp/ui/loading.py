"""Waiting for a model, in words: download, conversion and loading as sentences, then the leased engine."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator

from ..backend.engine import Engine
from ..backend.pool import Pool
from ..backend.progress import Progress, Report
from ..backend.states import LoadedState
from ..errors import Busy
from ..messages import Message, message
from .facts import size

# A page redraws at most this often while it waits.
EVERY_S = 0.25
# From here on the silence of a download is said.
STALLED_S = 30.0


def progress_message(progress: Progress) -> Message:
    """One moment of a download, conversion or load, as a sentence."""
    values = {"done": size(progress.done / 1e6), "total": size(progress.total / 1e6)}
    if progress.phase == "downloading" and progress.stalled_s >= STALLED_S:
        return message("loading.stalled", seconds=progress.stalled_s, **values)
    if progress.phase == "downloading":
        return message("loading.downloading", speed=size(progress.speed / 1e6), **values)
    return message(f"loading.{progress.phase}")


def lease_with_progress(
    pool: Pool, name: str, owner: str, stop: threading.Event
) -> Generator[Message | Engine, None, None]:
    """Sentences while the model is made ready, then the engine; it is leased until the iterator is closed."""
    try:
        yield from _made_ready(pool, name, owner, stop)
        with pool.lease(name, owner, cancel=stop) as engine:
            yield engine
    except Busy:
        if not stop.is_set():
            raise


def _made_ready(pool: Pool, name: str, owner: str, stop: threading.Event) -> Iterator[Message]:
    if isinstance(pool.state(name, owner), LoadedState):
        return

    def load(report: Report) -> None:
        with pool.lease(name, owner, report=report, cancel=stop):
            pass

    yield from map(progress_message, told(f"load {name}", load))


def told(name: str, work: Callable[[Report], None]) -> Iterator[Progress]:
    """How far work in a thread of its own is, until it ends; its exception is raised here."""
    news: queue.SimpleQueue[Progress | BaseException | None] = queue.SimpleQueue()

    def done() -> None:
        try:
            work(news.put)
            news.put(None)
        except BaseException as problem:  # raised again in the thread that waits
            news.put(problem)

    threading.Thread(target=done, name=name, daemon=True).start()
    while (latest := _latest(news)) is not None:
        if isinstance(latest, BaseException):
            raise latest
        yield latest


def _latest(news: queue.SimpleQueue[Progress | BaseException | None]) -> Progress | BaseException | None:
    """The newest of what has been said, waiting `EVERY_S` so that a fast download does not flood the page."""
    item = news.get()
    waited = threading.Event()
    waited.wait(EVERY_S)
    while isinstance(item, Progress) and not news.empty():
        item = news.get()
    return item
