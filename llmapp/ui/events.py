"""Binds a handler to what it works on, and turns its errors into sentences.

Gradio finds `gr.Request` by the signature of what it is given, which a partial hides; `bind` keeps it. Knows no tab.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import wraps
from typing import Any, get_args, get_origin, get_type_hints

import gradio as gr
from gradio.components import Component

from ..errors import LlmappError
from .notice import notice
from .words import language_of, tell

log = logging.getLogger(__name__)

# What uses a model waits in one line; the page's own events are not for clients; some never wait nor show a spinner.
MODEL_QUEUE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", **PRIVATE}
FOLLOWED: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden", **PRIVATE}


def clock_from(opened: Callable[..., Any], seconds: float) -> gr.Timer:
    """A clock that stands still until its tab is opened: a page has many tabs, and most are never looked at."""
    clock = gr.Timer(seconds, active=False)
    opened(lambda: gr.update(active=True), None, [clock], **QUIET)
    return clock


def bind(
    handler: Callable[..., Any],
    *first: Any,
    check: Callable[..., None] | None = None,
    said: Component | None = None,
    settled: Mapping[Any, Any] | None = None,
) -> Callable[..., Any]:
    """`handler` with its first arguments given. Its errors reach the person as one sentence, bugs reach the log.

    On the page the sentence is shown in `said`, one of the outputs: Gradio itself would write "Error" over all of them,
    and nothing else where the event passes by its queue. `settled` is what else the page becomes then. Without `said`
    the sentence is raised, for scripts.
    `check` sees the other arguments before it does. What yields values is announced as returning one of them.
    """
    signature, hints = inspect.signature(handler), get_type_hints(handler)
    rest = [
        p.replace(annotation=hints.get(p.name, p.annotation)) for p in list(signature.parameters.values())[len(first) :]
    ]
    returns = hints.get("return", inspect.Signature.empty)
    if get_origin(returns) is Iterator:
        (returns,) = get_args(returns)

    if inspect.isgeneratorfunction(handler):

        @wraps(handler)
        def bound(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
            try:
                with sentences(_request(args, kwargs)):
                    if check:
                        check(*args)
                    yield from handler(*first, *args, **kwargs)
            except gr.Error as error:
                yield _shown(error, said, settled)

    else:

        @wraps(handler)
        def bound(*args: Any, **kwargs: Any) -> Any:
            try:
                with sentences(_request(args, kwargs)):
                    if check:
                        check(*args)
                    return handler(*first, *args, **kwargs)
            except gr.Error as error:
                return _shown(error, said, settled)

    del bound.__wrapped__
    bound.__signature__ = signature.replace(parameters=rest, return_annotation=returns)  # type: ignore[attr-defined]
    bound.__annotations__ = {p.name: hints[p.name] for p in rest if p.name in hints} | {"return": returns}
    return bound


def _shown(error: gr.Error, said: Component | None, settled: Mapping[Any, Any] | None) -> dict[Any, Any]:
    if said is None:
        raise error
    # Copies, for Gradio takes the values out of what it is given.
    return {said: notice(error.message, "bad")} | {widget: copy(value) for widget, value in (settled or {}).items()}


@contextmanager
def sentences(request: gr.Request | None) -> Iterator[None]:
    """What goes wrong inside reaches the person as a sentence in their language, never as a traceback."""
    try:
        yield
    except gr.Error:
        raise
    except LlmappError as error:
        raise gr.Error(error.text(language_of(request)), title="", print_exception=False) from error
    except Exception as bug:
        log.exception("a handler failed")
        raise gr.Error(tell(request, "error.bug"), title="", print_exception=False) from bug


def _request(args: tuple[Any, ...], kwargs: dict[str, Any]) -> gr.Request | None:
    return next((a for a in (*args, *kwargs.values()) if isinstance(a, gr.Request)), None)
