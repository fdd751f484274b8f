"""The sentiment tab: a text in, how it feels out, as probabilities; several lines are judged one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from typing import Any

import gradio as gr

from ..backend.engine import Engine
from ..errors import BadInput
from ..messages import Message, say
from ..tasks.explain import Explanation, explain
from ..tasks.mood import Mood, mood
from ..tasks.sentiment import BATCH, Judgement, classify_each
from . import sentiment_table
from .api_call import Call
from .keeping import Keeping, build_keeping, wire_keeping
from .label_words import label_word
from .line import Work
from .mood_strip import mood_strip
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
from .words import language_of, w
from .work import Made, stream

LEAST_MARKED = 5
"""Percent of the heaviest word's weight, below which a word is not marked."""


@dataclass(frozen=True)
class Page:
    """The tab's widgets."""

    given: Given
    labels: gr.Textbox
    several: gr.Checkbox
    each_line: gr.Checkbox
    status: gr.Markdown
    bars: gr.Label
    table: gr.Dataframe
    strip: gr.HTML
    why: gr.Button
    words: gr.HTML
    made: gr.HTML
    keeping: Keeping

    def inputs(self) -> list[Any]:
        """In the order of `run`'s parameters."""
        return [self.given.text, self.labels, self.several, self.each_line, self.given.model]

    def outputs(self) -> list[Any]:
        """What a run may change."""
        shown = [
            self.bars,
            self.table,
            self.status,
            self.strip,
            self.why,
            self.words,
            self.made,
            *self.keeping.offers(),
            self.keeping.right,
        ]
        return [*shown, self.given.run, self.given.stop]


@dataclass(frozen=True)
class Judged:
    """Lines so far, with what was found; of one text its mood so far too."""

    texts: Sequence[str]
    judgements: Sequence[Judgement]
    moods: Sequence[Mood] = ()


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it: one text, or a whole table."""
    with gr.Tabs(elem_id="sentiment-tabs"):
        with gr.Tab(w("text.one"), id="text"):
            _build_text(services, demo, tab)
        with gr.Tab(w("text.table"), id="table"):
            sentiment_table.build(services, tab)


def _build_text(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            text, upload = build_text("sentiment")
            each_line = gr.Checkbox(False, label=w("sentiment.each_line"))
            labels = gr.Textbox("", label=w("sentiment.labels"), info=w("sentiment.labels_info"), elem_id="labels")
            several = gr.Checkbox(
                False, label=w("sentiment.several"), info=w("sentiment.several_info"), elem_id="sentiment-several"
            )
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
            strip = gr.HTML(elem_id="sentiment-strip", padding=False)
            words = gr.HTML(elem_id="sentiment-words", padding=False)
            made = gr.HTML(padding=False)
            why = gr.Button(w("sentiment.why"), visible=False, size="sm", elem_id="sentiment-why")
            keeping = build_keeping("sentiment", _right_label)
    given = Given(text, upload, model, run_button, stop)
    page = Page(given, labels, several, each_line, status, bars, table, strip, why, words, made, keeping)
    work = Work([(run_button.click, run), (why.click, explained)], page, page.inputs(), page.outputs())
    wire_given(services, demo, tab, "sentiment", page.given, status, work)
    wire_keeping(services, (tab.select,), keeping)


def _right_label() -> gr.Dropdown:
    return gr.Dropdown(
        [], label=w("sentiment.right"), info=w("sentiment.right_info"), allow_custom_value=True, elem_id="right-label"
    )


def run(
    services: Services,
    page: Page,
    text: str,
    labels: str,
    several: bool,
    each_line: bool,
    model: str,
    request: gr.Request,
) -> Iterator[dict[Any, Any]]:
    """Judge what was given: the whole and then sentence by sentence, or line by line."""
    text = need_text(services, text)
    texts = [line for line in text.splitlines() if line.strip()] if each_line else [text]
    own = _own(labels, several)
    moments = stream(
        services,
        request,
        "sentiment",
        model,
        lambda engine: _judge(engine, texts, own, several, each_line),
        bool(own),
        text,
    )
    extra = {"labels": list(own), "multi_label": several} if own else {}
    call = Call(request, "classify" if own else "sentiment", *({"text": each, **extra} for each in texts))
    language = language_of(request)
    updates = (_moment(page, moment, several, each_line, language) for moment in call.hear(moments))
    yield from with_buttons(page.given, updates, page.made, call)


def _own(written: str, several: bool) -> tuple[str, ...]:
    labels = sentiment_table.own_labels(written)
    if several and not labels:
        raise BadInput("labels_none")
    return labels


def _judge(
    engine: Engine, texts: list[str], labels: tuple[str, ...], several: bool, each_line: bool
) -> Iterator[Judged]:
    """A moment for each batch that was judged."""
    found: list[Judgement] = []
    for judgement in classify_each(engine, texts, labels, several):
        found.append(judgement)
        if len(found) % BATCH == 0 or len(found) == len(texts):
            yield Judged(texts[: len(found)], tuple(found))
    if not each_line and not labels:
        for moods in mood(engine, texts[0]):
            yield Judged(texts, tuple(found), moods)


def _moment(
    page: Page, moment: Message | Made[Judged], several: bool, each_line: bool, language: str
) -> dict[Any, Any]:
    if isinstance(moment, Message):
        return {page.status: waiting(moment, language)}
    judged = moment.value
    headers = [say(f"sentiment.{column}", language) for column in ("text", "label", "probability")]
    each = list(judged.judgements[0].scores) if several else []
    rows = [
        [text, label_word(found.label, language), *(round(found.scores[name], 3) for name in (each or [found.label]))]
        for text, found in zip(judged.texts, judged.judgements, strict=True)
    ]
    notes = dict.fromkeys(note.text(language) for judgement in judged.judgements for note in judgement.notes)
    first = judged.judgements[0]
    said = {label: label_word(label, language) for label in first.scores}
    return {
        page.bars: gr.update(value={said[label]: p for label, p in first.scores.items()}, visible=not each_line),
        page.table: gr.update(
            value={"headers": [*headers[:2], *each] if each else headers, "data": rows}, visible=each_line
        ),
        page.status: "".join(map(quiet, notes)),
        page.strip: mood_strip(judged.moods, language),
        page.why: gr.update(visible=not each_line and not several),
        page.words: "",
        page.made: made_line(moment, language),
        **page.keeping.offered("" if each_line else judged.texts[0]),
        page.keeping.right: gr.update(choices=[(said[label], label) for label in said], value=first.label),
    }


def explained(
    services: Services,
    page: Page,
    text: str,
    labels: str,
    _several: bool,
    _each_line: bool,
    model: str,
    request: gr.Request,
) -> Iterator[dict[Any, Any]]:
    """The words that carried the judgement, and what is left of it without them."""
    text = need_text(services, text)
    own = sentiment_table.own_labels(labels)
    moments = stream(
        services,
        request,
        "sentiment",
        model,
        lambda engine: explain(engine, text, labels=own),
        open_labels=bool(own),
        text=text,
    )
    language = language_of(request)
    begun = {page.status: notice(say("sentiment.explaining", language))}
    asked = [] if own else [{"text": text}]  # the endpoint explains the model's own labels only
    call = Call(request, "explain", *asked)
    updates = chain([begun], (_reasons(page, moment, language) for moment in call.hear(moments)))
    yield from with_buttons(page.given, updates, page.made, call)


def _reasons(page: Page, moment: Message | Made[Explanation], language: str) -> dict[Any, Any]:
    if isinstance(moment, Message):
        return {page.status: waiting(moment, language)}
    found = moment.value
    most = max((abs(weight) for _, weight in found.tokens), default=0.0) or 1.0
    tokens = "".join(_marked(token, weight, most) for token, weight in found.tokens)
    marked = f'<p class="why" dir="auto">{tokens}</p>'
    if not found.whole:
        return {page.words: marked}
    label = label_word(found.label, language)
    if found.removed:
        removed = say("sentiment.and", language).join(f"“{word}”" for word in found.removed)
        values = {"label": label, "before": found.probability, "after": found.without}
        proof = say("sentiment.without", language, words=removed, **values)
    else:
        proof = say("sentiment.no_word", language, label=label)
    legend = say("sentiment.legend", language, label=label)
    words = f"{marked}<p>{escape(proof)}</p>{quiet(legend)}"
    return {page.status: "", page.words: words, page.made: made_line(moment, language)}


def _marked(token: str, weight: float, most: float) -> str:
    """A token as strongly marked as it weighs; what weighs next to nothing is not."""
    share = round(100 * abs(weight) / most)
    if share < LEAST_MARKED:
        return escape(token)
    word = token.lstrip()
    side = "for" if weight > 0 else "against"
    space = escape(token[: len(token) - len(word)])
    return f'{space}<mark class="{side}" style="--share:{share}%" title="{weight:+.2f}">{escape(word)}</mark>'
