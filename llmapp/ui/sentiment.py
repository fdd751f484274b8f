"""The sentiment tab: a text in, how it feels out, as probabilities; several lines are judged one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from ..backend.engine import Engine
from ..messages import Message, say
from ..tasks.sentiment import BATCH, Judgement, classify_each
from . import sentiment_table
from .line import Work
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
from .words import language_of, w
from .work import Made, stream


@dataclass(frozen=True)
class Page:
    """The tab's widgets."""

    given: Given
    labels: gr.Textbox
    each_line: gr.Checkbox
    status: gr.Markdown
    bars: gr.Label
    table: gr.Dataframe
    made: gr.HTML

    def inputs(self) -> list[Any]:
        """In the order of `run`'s parameters."""
        return [self.given.text, self.labels, self.each_line, self.given.model]

    def outputs(self) -> list[Any]:
        """What a run may change."""
        return [self.bars, self.table, self.status, self.made, self.given.run, self.given.stop]


@dataclass(frozen=True)
class Judged:
    """Lines so far, with what was found."""

    texts: Sequence[str]
    judgements: Sequence[Judgement]


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it: one text, or a whole table."""
    with gr.Tabs(elem_id="sentiment-tabs"):
        with gr.Tab(w("text.one"), id="text"):
            _build_text(services, demo, tab)
        with gr.Tab(w("text.table"), id="table"):
            sentiment_table.build(services, demo, tab)


def _build_text(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            text, upload = build_text("sentiment")
            each_line = gr.Checkbox(False, label=w("sentiment.each_line"))
            labels = gr.Textbox("", label=w("sentiment.labels"), info=w("sentiment.labels_info"), elem_id="labels")
            with gr.Accordion(w("work.more"), open=False):
                model = build_model(services, "sentiment")
            run_button, stop = build_buttons("sentiment")
        with gr.Column(min_width=320):
            bars = gr.Label(label=w("sentiment.result"), num_top_classes=8, elem_id="sentiment-bars")
            status = gr.Markdown(w("sentiment.nothing_yet"), elem_id="sentiment-status", elem_classes="quiet")
            table = gr.Dataframe(
                interactive=False,
                visible=False,
                wrap=True,
                label=w("sentiment.table"),
                elem_id="sentiment-table",
            )
            made = gr.HTML(padding=False)
    page = Page(Given(text, upload, model, run_button, stop), labels, each_line, status, bars, table, made)
    work = Work([(run_button.click, run)], page, page.inputs(), page.outputs())
    wire_given(services, demo, tab, "sentiment", page.given, status, work)


def run(
    services: Services, page: Page, text: str, labels: str, each_line: bool, model: str, request: gr.Request
) -> Iterator[dict[Any, Any]]:
    """Judge what was given: the whole, or line by line."""
    text = need_text(services, text)
    texts = [line for line in text.splitlines() if line.strip()] if each_line else [text]
    own = sentiment_table.own_labels(labels)
    moments = stream(
        services, request, "sentiment", model, lambda engine: _judge(engine, texts, own), open_labels=bool(own)
    )
    language = language_of(request)
    yield from with_buttons(page.given, (_moment(page, moment, each_line, language) for moment in moments))


def _judge(engine: Engine, texts: list[str], labels: tuple[str, ...]) -> Iterator[Judged]:
    """A moment for each batch that was judged."""
    found: list[Judgement] = []
    for judgement in classify_each(engine, texts, labels):
        found.append(judgement)
        if len(found) % BATCH == 0 or len(found) == len(texts):
            yield Judged(texts[: len(found)], tuple(found))


def _moment(page: Page, moment: Message | Made[Judged], each_line: bool, language: str) -> dict[Any, Any]:
    if isinstance(moment, Message):
        return {page.status: waiting(moment, language)}
    judged = moment.value
    headers = [say(f"sentiment.{column}", language) for column in ("text", "label", "probability")]
    rows = [[t, j.label, round(j.scores[j.label], 3)] for t, j in zip(judged.texts, judged.judgements, strict=True)]
    notes = dict.fromkeys(note.text(language) for judgement in judged.judgements for note in judgement.notes)
    return {
        page.bars: gr.update(value=dict(judged.judgements[0].scores), visible=not each_line),
        page.table: gr.update(value={"headers": headers, "data": rows}, visible=each_line),
        page.status: "".join(f'<p class="quiet">{escape(note)}</p>' for note in notes),
        page.made: made_line(moment, language),
    }
