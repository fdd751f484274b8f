"""The summarize tab: a text in, a summary streamed out, with what was read; a whole document as a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..messages import Message, say
from ..tasks.summarize import SummaryOptions, SummaryUpdate, summarize
from . import whole_document
from .api_call import Call
from .job_panel import Kind, look
from .line import Work
from .notice import notice, quiet
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
from .whole_document import folded, written_card
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
    """Lay the tab out and wire it: one text, or a whole document."""
    with gr.Tabs(elem_id="summarize-tabs"):
        with gr.Tab(w("text.one"), id="text"):
            _build_text(services, demo, tab)
        with gr.Tab(w("text.document"), id="document"):
            whole_document.build(services, demo, tab, DEED, _options, _start)


def _build_text(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            text, upload = build_text("summarize")
            length, form, focus = _options()
            with gr.Accordion(w("work.more"), open=False):
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


def _options() -> tuple[gr.Radio, gr.Radio, gr.Textbox]:
    """How long, in which form, about what."""
    length = gr.Radio([(w(f"summarize.{n}"), n) for n in LENGTHS], value="short", label=w("summarize.length"))
    form = gr.Radio([(w(f"summarize.{n}"), n) for n in FORMS], value="paragraph", label=w("summarize.form"))
    focus = gr.Textbox("", label=w("summarize.focus"), placeholder=w("summarize.focus_info"))
    return length, form, focus


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
    call, language = Call(request, "summarize", {"text": text, **asdict(options)}), language_of(request)
    updates = (_moment(page, moment, language, request) for moment in call.hear(moments))
    yield from with_buttons(page.given, updates, page.made, call)


def _moment(page: Page, moment: Message | Made[SummaryUpdate], language: str, request: gr.Request) -> dict[Any, Any]:
    if isinstance(moment, Message):
        return {page.status: waiting(moment, language)}
    update = moment.value
    part = tell(request, "summarize.part", done=update.done_parts, parts=update.parts) if update.parts > 1 else ""
    read = tell(request, "summarize.coverage", read=update.words_read, total=update.words_total)
    return {
        page.summary: update.text,
        page.status: quiet(part) + "".join(notice(note.text(language)) for note in update.notes),
        page.made: made_line(moment, language, read),
    }


def start_job(services: Services, request: gr.Request | None, path: Path, model: str, options: SummaryOptions) -> str:
    """Start summarizing a document and return the job's id at once."""
    return whole_document.start_job(services, request, path, DEED, model, asdict(options))


def _start(
    services: Services,
    page: whole_document.Page,
    path: str,
    model: str,
    length: str,
    form: str,
    focus: str,
    request: gr.Request,
) -> dict[Any, Any]:
    options = SummaryOptions(length=length, form=form, focus=focus.strip())
    return look(services, page.panel, start_job(services, request, Path(path), model, options), request)


def _card(report: Mapping[str, Any], language: str) -> str:
    """The summary, what was read, and what was kept of each part."""
    read = say("summarize.coverage", language, read=report["words_read"], total=report["words_total"])
    outline = folded("ol", say("summarize_file.outline", language), report["outline"])
    return written_card(report, language, say("summarize_file.done", language), report["summary"], outline, read)


KIND = Kind("summarize_file", ("text",), _card)
DEED = whole_document.Deed("summarize", KIND)
