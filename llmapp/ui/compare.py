"""Folded below a result: how near it comes to one that a person trusts, in figures with words beside them."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import gradio as gr

from ..catalog import Task
from ..errors import BadInput
from ..messages import say
from ..tasks.bleu import compare
from ..tasks.language import detect
from ..tasks.rouge import KINDS, rouge
from ..tasks.summarize import own_language
from .events import QUIET, bind
from .notice import notice, quiet
from .services import Services
from .words import language_of, w

Judge = Callable[[str, str, str], str]
"""HTML on a result and the trusted one, in the language of the page."""


def build_compare(services: Services, task: Task, result: gr.Textbox, judge: Judge) -> None:
    """Lay it out and wire it; what stands in `result` is compared, a person's corrections included."""
    with gr.Accordion(w(f"compare.{task}_title"), open=False, elem_id=f"{task}-compare"):
        trusted = gr.Textbox(label=w(f"compare.{task}_trusted"), lines=4, max_lines=12, elem_id=f"{task}-trusted")
        button = gr.Button(w("compare.run"), size="sm", elem_id=f"{task}-compare-run")
        said = gr.HTML(elem_id=f"{task}-compared", padding=False)
    button.click(bind(_compared, services, judge, said=said), [result, trusted], [said], **QUIET)


def _compared(services: Services, judge: Judge, result: str | None, trusted: str | None, request: gr.Request) -> str:
    made, given = (result or "").strip(), (trusted or "").strip()
    if not made or not given:
        raise BadInput("compare_empty")
    services.guard.request(request)
    services.guard.characters(made + given)
    return judge(made, given, language_of(request))


def summaries(summary: str, trusted: str, language: str) -> str:
    """The three figures of ROUGE as bars."""
    found = rouge(summary, trusted, own_language(trusted))
    rows = "".join(_row(say(f"compare.{kind}", language), found[kind]) for kind in KINDS)
    return f'<dl class="shares">{rows}</dl>{quiet(say("compare.about", language))}'


def translations(translation: str, trusted: str, language: str) -> str:
    """BLEU and chrF, and how they were reckoned."""
    near = compare(translation, trusted, detect(trusted).language)
    return notice(say("compare.near", language, bleu=near.bleu, chrf=near.chrf, lines=near.lines)) + quiet(
        near.signature
    )


def _row(what: str, value: float) -> str:
    bar = f'<div class="progress" role="img" aria-label="{value:.2f}"><i style="width:{100 * value:.0f}%"></i></div>'
    return f"<dt>{escape(what)}: {value:.2f}</dt><dd>{bar}</dd>"
