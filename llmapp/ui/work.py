"""One piece of work for one page: who asks, which model, wait for it, stream, stop. Shared by tabs and endpoints."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

import gradio as gr

from ..backend.engine import Engine, EngineInfo
from ..catalog import Task
from ..messages import Message
from .loading import lease_with_progress
from .model_choice import wanted
from .owners import owner_of, session_of
from .services import Services

T = TypeVar("T")


@dataclass(frozen=True)
class Made(Generic[T]):
    """One moment of a result, and what made it."""

    value: T
    info: EngineInfo


def page_key(request: gr.Request | None, task: str) -> str:
    """What Stop looks for: one running piece of work a page and tab."""
    return f"{session_of(request)}:{task}"


def stream(
    services: Services,
    request: gr.Request | None,
    task: Task,
    model: str,
    work: Callable[[Engine], Iterator[T]],
    open_labels: bool = False,
    text: str = "",
) -> Generator[Message | Made[T], None, None]:
    """Sentences while the model is made ready, then the moments of the result, until done or stopped.

    `open_labels`: a person names the labels; `text`: what is judged. Auto minds both.
    """
    owner = owner_of(services.settings, request)
    services.guard.request(request)
    name = wanted(services, task, model, request, open_labels, text)
    with (
        services.turns.begin(page_key(request, task)) as turn,
        closing(lease_with_progress(services.pool, name, owner, turn.stop)) as steps,
    ):
        for step in steps:
            if isinstance(step, Message):
                yield step
                continue
            with closing(_generator(work(step))) as moments:
                for moment in moments:
                    yield Made(moment, step.info)
                    if turn.stop.is_set():
                        return


def _generator(moments: Iterator[T]) -> Generator[T, None, None]:
    yield from moments


def result(moments: Iterator[Message | Made[T]]) -> Made[T]:
    """The last moment of a stream, for callers that do not stream."""
    last: Made[T] | None = None
    for moment in moments:
        if isinstance(moment, Made):
            last = moment
    if last is None:
        raise RuntimeError("the work gave no result")
    return last
