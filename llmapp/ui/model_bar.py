"""The line in the header: what is loaded, in which precision and why, or what is being made ready."""

from __future__ import annotations

from html import escape

import gradio as gr

from ..backend.states import LoadedState
from ..messages import say
from .facts import precision, size
from .loading import progress_message
from .services import Services
from .words import language_of


def model_bar(services: Services, request: gr.Request) -> str:
    """HTML for the header, in the language of the request."""
    language = language_of(request)
    looks = [look for look in services.background.looks() if not look.problem]
    if looks:
        look = looks[0]
        share = 100 * look.progress.done / look.progress.total if look.progress.total else 0
        bar = f'<span class="bar"><i style="width:{share:.0f}%"></i></span>' if share else ""
        return _line("busy", f"{look.name}: {progress_message(look.progress).text(language)}") + bar
    loaded = services.pool.loaded()
    if not loaded:
        return _line("", say("header.nothing_loaded", language))
    parts = [_described(services, state, language) for state in loaded]
    return _line("ready", " | ".join(parts), loaded[0].precision.why.text(language))


def _described(services: Services, state: LoadedState, language: str) -> str:
    held = precision(state.precision.kind, state.weights, language)
    return f"{services.catalog.model(state.model_id).name} · {held} · {size(state.bytes / 1e6)}"


def _line(state: str, text: str, why: str = "") -> str:
    return f'<span class="dot {state}"></span><span title="{escape(why)}">{escape(text)}</span>'
