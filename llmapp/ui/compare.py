"""A summary beside one that a person trusts: how near the two are, in figures with words beside them."""

from __future__ import annotations

from html import escape

import gradio as gr

from ..errors import BadInput
from ..messages import say
from ..tasks.rouge import KINDS, rouge
from ..tasks.summarize import own_language
from .events import QUIET, bind
from .notice import quiet
from .words import language_of, w


def build_compare(summary: gr.Textbox) -> None:
    """Lay it out, folded, and wire it."""
    with gr.Accordion(w("compare.title"), open=False, elem_id="summarize-compare"):
        trusted = gr.Textbox("", label=w("compare.trusted"), lines=4, elem_id="summarize-trusted")
        button = gr.Button(w("compare.run"), size="sm", elem_id="summarize-compare-run")
        result = gr.HTML(elem_id="summarize-rouge", padding=False)
    button.click(bind(compared, said=result), [summary, trusted], [result], **QUIET)


def compared(summary: str | None, trusted: str | None, request: gr.Request) -> str:
    """HTML of the three figures. Raises BadInput where one of the two is missing."""
    if not (summary or "").strip() or not (trusted or "").strip():
        raise BadInput("compare_empty")
    language = language_of(request)
    found = rouge(str(summary), str(trusted), own_language(str(trusted)))
    rows = "".join(_row(kind, found[kind], language) for kind in KINDS)
    return f'<dl class="shares">{rows}</dl>{quiet(say("compare.about", language))}'


def _row(kind: str, value: float, language: str) -> str:
    what = escape(say(f"compare.{kind}", language))
    bar = f'<div class="progress" role="img" aria-label="{value:.2f}"><i style="width:{100 * value:.0f}%"></i></div>'
    return f"<dt>{what}: {value:.2f}</dt><dd>{bar}</dd>"
