"""The summarize tab: a text in, a summary streamed out, with what was read; a whole document as a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..bulk.orders import SummaryOrder
from ..messages import Message, say
from ..tasks.language import NAMES
from ..tasks.methods import METHODS
from ..tasks.summarize import FEWEST_WORDS, MOST_WORDS, SummaryOptions
from . import whole_document
from .api_call import Call
from .compare import build_compare, summaries
from .events import QUIET
from .job_panel import Kind, look
from .keeping import Keeping, build_keeping, wire_keeping
from .line import Work
from .model_choice import AUTO
from .notice import notice, quiet
from .receipts import receipts_html
from .services import Services
from .summary_work import Moment, moments, plan
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
from .work import Made

LENGTHS = ("sentence", "short", "medium", "long", "words")
FORMS = ("paragraph", "bullets", "headline")


@dataclass(frozen=True)
class Page:
    """The tab's widgets."""

    given: Given
    options: Sequence[Any]
    status: gr.HTML
    summary: gr.Textbox
    made: gr.HTML
    receipts: gr.HTML
    keeping: Keeping

    def inputs(self) -> list[Any]:
        """In the order of `run`'s parameters."""
        return [self.given.text, self.given.model, *self.options]

    def outputs(self) -> list[Any]:
        """What a run may change."""
        shown = [self.summary, self.status, self.made, self.receipts, *self.keeping.offers()]
        return [*shown, self.given.run, self.given.stop]


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it: one text, or a whole document."""
    with gr.Tabs(elem_id="summarize-tabs"):
        with gr.Tab(w("text.one"), id="text"):
            _build_text(services, demo, tab)
        with gr.Tab(w("text.document"), id="document"):
            whole_document.build(services, tab, DEED, _options, _start)


def _build_text(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            text, upload = build_text("summarize")
            options = _options()
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
            keeping = build_keeping("summarize", summary)
            receipts = gr.HTML(elem_id="summarize-receipts", padding=False)
            build_compare(services, "summarize", summary, summaries)
    page = Page(Given(text, upload, model, run_button, stop), options, status, summary, made, receipts, keeping)
    work = Work([(run_button.click, run)], page, page.inputs(), page.outputs())
    wire_given(services, demo, tab, "summarize", page.given, status, work)
    wire_keeping(services, (tab.select,), keeping)


def _options() -> tuple[Any, ...]:
    """How long, in which form, written or taken, about what, in which language; in the order of `run`'s parameters."""
    length = gr.Radio([(w(f"summarize.{n}"), n) for n in LENGTHS], value="short", label=w("summarize.length"))
    words = gr.Number(
        100, precision=0, minimum=FEWEST_WORDS, maximum=MOST_WORDS, label=w("summarize.number"), visible=False
    )
    length.change(lambda chosen: gr.update(visible=chosen == "words"), [length], [words], **QUIET)
    form = gr.Radio([(w(f"summarize.{n}"), n) for n in FORMS], value="paragraph", label=w("summarize.form"))
    method = gr.Radio([(w(f"summarize.{n}"), n) for n in METHODS], value="auto", label=w("summarize.method"))
    focus = gr.Textbox("", label=w("summarize.focus"), placeholder=w("summarize.focus_info"))
    languages = [(w("summarize.own_language"), AUTO), *((w(f"language.{tag}"), tag) for tag in NAMES)]
    language = gr.Dropdown(languages, value=AUTO, label=w("summarize.language"))
    return length, words, form, method, focus, language


def _wish(length: str, words: float | None, form: str, focus: str, language: str) -> SummaryOptions:
    chosen = str(int(words or 0)) if length == "words" else length
    return SummaryOptions(chosen, form, focus.strip(), "" if language == AUTO else language)


def run(
    services: Services,
    page: Page,
    text: str,
    model: str,
    length: str,
    words: float | None,
    form: str,
    method: str,
    focus: str,
    language: str,
    request: gr.Request,
) -> Iterator[dict[Any, Any]]:
    """Summarize what was given; every moment is shown."""
    text = need_text(services, text)
    options = _wish(length, words, form, focus, language)
    made = moments(services, request, text, options, method, model)
    call = Call(request, "summarize", {"text": text, **asdict(options)})
    updates = (_moment(page, moment, text, request) for moment in call.hear(made))
    yield from with_buttons(page.given, updates, page.made, call)


def _moment(page: Page, moment: Message | Moment, text: str, request: gr.Request) -> dict[Any, Any]:
    language = language_of(request)
    if isinstance(moment, Message):
        return {page.status: waiting(moment, language)}
    update = moment.update
    part = tell(request, "summarize.part", done=update.done_parts, parts=update.parts) if update.parts > 1 else ""
    read = tell(request, "summarize.coverage", read=update.words_read, total=update.words_total)
    notes = [moment.why] if moment.why else []
    rests_on = receipts_html([asdict(each) for each in moment.receipts], language)
    return {
        page.summary: update.text,
        page.status: quiet(part) + "".join(notice(note.text(language)) for note in (*notes, *update.notes)),
        page.made: made_line(Made(update, moment.info), language, read) if moment.info else quiet(read),
        page.receipts: rests_on + _outline(update.outline, language),
        **page.keeping.offered(text if update.finish else ""),
    }


def start_job(
    services: Services,
    request: gr.Request | None,
    path: Path,
    model: str,
    options: SummaryOptions,
    method: str = "auto",
) -> str:
    """Start summarizing a document and return the job's id at once."""

    def order(text: str) -> SummaryOrder:
        how, language = plan(services, request, text, options, method, model), language_of(request)
        why = how.why.text(language) if how.why else ""
        return SummaryOrder(how.model, asdict(options), language, how.taken, how.encoder, why, path.name)

    return whole_document.start_job(services, request, path, DEED, order)


def _start(
    services: Services,
    page: whole_document.Page,
    path: str,
    model: str,
    length: str,
    words: float | None,
    form: str,
    method: str,
    focus: str,
    language: str,
    request: gr.Request,
) -> dict[Any, Any]:
    options = _wish(length, words, form, focus, language)
    return look(services, page.panel, start_job(services, request, Path(path), model, options, method), request)


def _card(report: Mapping[str, Any], language: str) -> str:
    """The summary, what it rests on, what was read, and what was kept of each part."""
    read = say("summarize.coverage", language, read=report["words_read"], total=report["words_total"])
    more = receipts_html(report.get("receipts", ()), language) + _outline(report["outline"], language)
    return written_card(report, language, say("summarize_file.done", language), report["summary"], more, read)


def _outline(parts: Sequence[str], language: str) -> str:
    return folded("ol", say("summarize_file.outline", language), parts)


KIND = Kind("summarize_file", ("text",), _card)
DEED = whole_document.Deed("summarize", KIND)
