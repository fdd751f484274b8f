"""The line before the model: who waits sees how many are before them, and Stop takes them out of it.

Gradio's queue keeps the line; this reads it. What is running already is stopped elsewhere (`turns`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import gradio as gr

from ..catalog import Task
from ..messages import say
from .events import MODEL_QUEUE, PRIVATE, QUIET, bind
from .notice import notice
from .services import Services
from .words import language_of
from .work import page_key

LOOK_S = 0.5
# A page asks for its work and for its place at once; on a busy machine its work comes to the line a while later.
ARRIVING_S = 5.0
KNOCK = "() => String(Date.now() + Math.random())"

Updates = dict[Any, Any]


@dataclass(frozen=True)
class Waiter:
    """One tab in the line: where it says so, and what its buttons are while it is at work and when it is not."""

    task: Task
    status: Any
    busy: Mapping[Any, Any]
    idle: Mapping[Any, Any]


@dataclass(frozen=True)
class Work:
    """What waits in the line: triggers with their handlers, which take (services, page), what they read and change."""

    starts: Sequence[tuple[Callable[..., Any], Callable[..., Any]]]
    page: Any
    inputs: Any
    outputs: Sequence[Any]


def wire_line(services: Services, demo: gr.Blocks, waiter: Waiter, work: Work, stop: Callable[..., Any]) -> None:
    """Each trigger starts its work in the model's queue and shows its place there; `stop` ends or withdraws it."""
    hidden = {"show_progress": "hidden", **PRIVATE}
    knock, left = gr.Textbox("", visible=False), gr.Textbox("", visible=False)
    for trigger, _ in work.starts:
        # The browser begins a trigger's events one after the other: one of its own, or the place came after the wait.
        trigger(None, None, [knock], js=KNOCK, **QUIET)
    ends = {"said": waiter.status, "settled": waiter.idle}
    begun = [
        trigger(bind(act, services, work.page, **ends), work.inputs, list(work.outputs), **MODEL_QUEUE, **hidden)
        for trigger, act in work.starts
    ]
    ids = frozenset(event["id"] for event in begun)
    outputs = [waiter.status, *waiter.busy]
    knock.change(
        bind(_wait, services, demo, ids, waiter, said=waiter.status), None, outputs, concurrency_limit=None, **hidden
    )
    stop(bind(_stop, services, demo, ids, waiter, left, said=waiter.status), None, [left, *outputs], **QUIET)
    # Cancelled only where it has not begun: what has begun ends by itself, and saves.
    left.change(None, None, None, cancels=begun, **PRIVATE)


def before(demo: gr.Blocks, session: str | None, ids: frozenset[int]) -> int | None:
    """How many are answered before this page's last work in the line; None where none of it waits."""
    line = demo._queue.event_queue_per_concurrency_id.get(MODEL_QUEUE["concurrency_id"])
    if line is None:  # nobody was in it since the app began
        return None
    places = [i for i, each in enumerate(list(line.queue)) if each.session_hash == session and each.fn._id in ids]
    return places[-1] + line.current_concurrency if places else None


def _wait(
    services: Services, demo: gr.Blocks, ids: frozenset[int], waiter: Waiter, request: gr.Request
) -> Iterator[Updates]:
    yield {waiter.status: gr.skip()}
    page, until = page_key(request, waiter.task), time.monotonic() + ARRIVING_S
    while (place := before(demo, request.session_hash, ids)) is None:
        if services.turns.running(page) or time.monotonic() > until:
            return
        time.sleep(0.1)
    shown: int | None = None
    while place is not None:
        if place != shown:
            yield {waiter.status: notice(say("work.in_line", language_of(request), before=place)), **waiter.busy}
        shown = place
        time.sleep(LOOK_S)
        place = before(demo, request.session_hash, ids)
    yield {waiter.status: gr.skip()}  # Gradio draws the last one again when it ends: it must change nothing


def _stop(
    services: Services, demo: gr.Blocks, ids: frozenset[int], waiter: Waiter, left: gr.Textbox, request: gr.Request
) -> Updates:
    if services.turns.stop(page_key(request, waiter.task)):
        return {left: gr.skip()}
    if before(demo, request.session_hash, ids) is None:
        return {**waiter.idle}
    return {left: uuid4().hex, waiter.status: "", **waiter.idle}
