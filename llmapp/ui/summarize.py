"""The summarize tab: a text or a file in, a summary streamed out, with what was read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..messages import Message
from ..tasks.summarize import SummaryOptions, SummaryUpdate, summarize
from .line import Work
from .notice import notice
from .services import Services
from .text_tab import (
    Given,
    build_buttons,
    build_model,
    build_text,
    made_line,
    need_text,
    waiting,
    wire_given,
    with_buttons,
)
from .words import language_of, tell, w
from .work import Made, stream

LENGTHS = ("sentence", "short", "medium", "long")
FORMS = ("paragraph", "bullets", "headline")


@dataclass(frozen=True)
class Page:
    """The tab's widgets."""

    given: Given
    length: gr.Radio
    form: gr.Radio
    focus: gr.Textbox
    status: gr.HTML
    summary: gr.Textbox
    made: gr.HTML

    def inputs(self) -> list[Any]:
        """In the order of `run`'s parameters."""
        return [self.given.text, self.length, self.form, self.focus, self.given.model]

    def outputs(self) -> list[Any]:
        """What a run may change."""
        return [self.summary, self.status, self.made, self.given.run, self.given.stop]


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it."""
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            text, upload = build_text("summarize")
            length = gr.Radio([(w(f"summarize.{n}"), n) for n in LENGTHS], value="short", label=w("summarize.length"))
            form = gr.Radio([(w(f"summarize.{n}"), n) for n in FORMS], value="paragraph", label=w("summarize.form"))
            with gr.Accordion(w("work.more"), open=False):
                focus = gr.Textbox("", label=w("summarize.focus"), placeholder=w("summarize.focus_info"))
                model = build_model(services, "summarize")
            run_button, stop = build_buttons("summarize")
        with gr.Column(min_width=320):
            summary = gr.Textbox(
                label=w("summarize.result"),
                placeholder=w("summarize.nothing_yet"),
                lines=12,
                max_lines=30,
                buttons=["copy"],
                elem_id="summary",
            )
            status = gr.HTML(elem_id="summarize-status", padding=False)
            made = gr.HTML(padding=False)
    page = Page(Given(text, upload, model, run_button, stop), length, form, focus, status, summary, made)
    work = Work([(run_button.click, run)], page, page.inputs(), page.outputs())
    wire_given(services, demo, tab, "summarize", page.given, status, work)


def run(
    services: Services,
    page: Page,
    text: str,
    length: str,
    form: str,
    focus: str,
    model: str,
    request: gr.Request,
) -> Iterator[dict[Any, Any]]:
    """Summarize what was given; every moment is shown."""
    text = need_text(services, text)
    options = SummaryOptions(length=length, form=form, focus=focus.strip())
    moments = stream(services, request, "summarize", model, lambda engine: summarize(engine, text, options))
    language = language_of(request)
    yield from with_buttons(page.given, (_moment(page, moment, language, request) for moment in moments))


def _moment(page: Page, moment: Message | Made[SummaryUpdate], language: str, request: gr.Request) -> dict[Any, Any]:
    if isinstance(moment, Message):
        return {page.status: waiting(moment, language)}
    update = moment.value
    part = tell(request, "summarize.part", done=update.done_parts, parts=update.parts) if update.parts > 1 else ""
    read = tell(request, "summarize.coverage", read=update.words_read, total=update.words_total)
    return {
        page.summary: update.text,
        page.status: f'<p class="quiet">{part}</p>' + "".join(notice(note.text(language)) for note in update.notes),
        page.made: made_line(moment, language, read),
    }
