"""The translate tab: a text in, its translation out, line for line; a whole document as a job; a glossary for both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import gradio as gr

from ..catalog import Model
from ..messages import LANGUAGES, Message, words
from ..tasks.language import Detection, normalise
from ..tasks.translate import TranslationUpdate, Written, sides
from . import compare, glossary, languages, translate_file
from .api_call import Call
from .events import QUIET, bind
from .keeping import Keeping, build_keeping, wire_keeping
from .line import Work
from .model_choice import AUTO
from .notice import notice, quiet
from .pairs import pairs_html
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
from .work import Made

MOST_KNOWN = 5000
"""Sentences that a page remembers, so that only what is changed is translated again."""
MOST_PAIRS = 200
"""Sentences shown side by side while more are coming; of a longer text they are shown when it is done."""


@dataclass(frozen=True)
class Page:
    """The tab's widgets."""

    given: Given
    source: gr.Dropdown
    target: gr.Dropdown
    swap: gr.Button
    status: gr.HTML
    translation: gr.Textbox
    made: gr.HTML
    found: gr.Radio
    pairs: gr.HTML
    known: gr.State
    keeping: Keeping

    def inputs(self) -> list[Any]:
        """In the order of `run`'s parameters."""
        return [self.given.text, self.source, self.target, self.given.model, self.found, self.known]

    def outputs(self) -> list[Any]:
        """What a run may change."""
        shown = [self.translation, self.status, self.made, self.found, self.pairs, *self.keeping.offers()]
        return [*shown, self.source, self.given.run, self.given.stop]


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it: one text, a whole document, the glossary."""
    with gr.Tabs(elem_id="translate-tabs"):
        with gr.Tab(w("text.one"), id="text"):
            _build_text(services, demo, tab)
        with gr.Tab(w("text.document"), id="document"):
            translate_file.build(services, tab)
        with gr.Tab(w("text.glossary"), id="glossary"):
            glossary.build(services, demo)


def _build_text(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    with gr.Row():
        source = languages.side(services, 0, "source")
        swap = gr.Button("⇄", size="sm", min_width=60, scale=0, elem_id="swap")
        target = languages.side(services, 1, "target")
    found = gr.Radio([], label=w("translate.found"), visible=False, elem_id="translate-found")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            text, upload = build_text("translate")
            count = gr.HTML(elem_id="translate-count", padding=False)
            with gr.Accordion(w("work.more"), open=False):
                model = build_model(services, "translate")
            run_button, stop = build_buttons("translate")
        with gr.Column(min_width=320):
            translation = gr.Textbox(
                label=w("translate.result"),
                placeholder=w("translate.nothing_yet"),
                lines=12,
                max_lines=24,
                buttons=["copy"],
                elem_id="translation",
            )
            status = gr.HTML(elem_id="translate-status", padding=False)
            made = gr.HTML(padding=False)
            keeping = build_keeping("translate", translation)
    pairs = gr.HTML(elem_id="translate-pairs", padding=False)
    compare.build_compare(services, "translate", translation, compare.translations)
    given = Given(text, upload, model, run_button, stop)
    page = Page(given, source, target, swap, status, translation, made, found, pairs, gr.State({}), keeping)
    starts = [(run_button.click, run), (found.input, run_from)]
    work = Work(starts, page, page.inputs(), page.outputs())
    text.change(None, [text], [count], js=_COUNT, **QUIET)
    linked = bind(_linked, services, page, tab.parent, said=status)
    demo.load(linked, None, [tab.parent, text, source, target, status], **QUIET)
    sides = [source, target, text, translation]
    swap.click(bind(_swap, page), sides, [*sides, found, pairs, status, made, *keeping.offers()], **QUIET)
    model.change(bind(languages.offered, services), [model, source, target], [source, target], **QUIET)
    wire_given(services, demo, tab, "translate", page.given, status, work)
    wire_keeping(services, (tab.select,), keeping)


def run(
    services: Services,
    page: Page,
    text: str,
    source: str,
    target: str,
    model: str,
    _found: str | None,
    known: dict[str, Written],
    request: gr.Request,
) -> Iterator[dict[Any, Any]]:
    """Translate what was given; lines appear as they are done. What was translated before on this page is not again."""
    text = need_text(services, text)
    source, target = map(languages.chosen, (source, target))
    if len(known) > MOST_KNOWN:
        known.clear()
    terms = glossary.terms_of(services, request)
    moments = languages.translation(services, request, model, text, (source, target), terms, known)
    asked = {"text": text, "target": target, "source": source, "glossary": glossary.argument_of(terms, target)}
    call, language = Call(request, "translate", asked), language_of(request)
    begun: dict[Any, Any] = {page.pairs: ""} | ({page.found: gr.update(visible=False)} if source else {})
    updates = chain([begun], (_moment(page, moment, text, language, request) for moment in call.hear(moments)))
    yield from with_buttons(page.given, updates, page.made, call)


def run_from(
    services: Services,
    page: Page,
    text: str,
    _source: str,
    target: str,
    model: str,
    found: str,
    known: dict[str, Written],
    request: gr.Request,
) -> Iterator[dict[Any, Any]]:
    """Translate again from another language than the one that was found."""
    for moment in run(services, page, text, found, target, model, found, known, request):
        yield {**moment, page.source: found, page.found: gr.update(visible=True)}


def _moment(
    page: Page, moment: Message | Made[TranslationUpdate], text: str, language: str, request: gr.Request
) -> dict[Any, Any]:
    if isinstance(moment, Message):
        return {page.status: waiting(moment, language)}
    update = moment.value
    done = tell(request, "translate.sentences", done=update.done, total=update.total)
    to_see = sum(map(bool, update.aligned.alarms))
    doubtful = tell(request, "translate.to_see", count=to_see) if to_see else ""
    about_text = [warning for warning in update.warnings if "sentence" not in warning.values]
    notes = [notice(note.text(language)) for note in (*about_text, *update.notes)]
    direction = tell(
        request,
        "translate.direction",
        source=tell(request, f"language.{update.source}"),
        target=tell(request, f"language.{update.target}"),
    )
    shown = {
        page.translation: update.text,
        page.status: quiet(done) + notice(doubtful) + "".join(notes),
        page.made: made_line(moment, language, direction),
        **page.keeping.offered(text if update.done == update.total else ""),
    }
    if update.done == update.total or update.total <= MOST_PAIRS:
        shown[page.pairs] = pairs_html(update.aligned, language)
    if update.detection:
        shown[page.found] = _candidates(moment.info.model, update.source, update.detection, request)
    return shown


def _candidates(model: Model, source: str, found: Detection, request: gr.Request) -> Any:
    """The language that was taken, with how sure that is, and others of the model's that it may be, to press."""
    sure = {tag: p for tag, p in found.candidates if tag == source or tag in sides(model)[0]}
    choices = [
        (tell(request, "translate.candidate", language=tell(request, f"language.{tag}"), sure=sure.get(tag, 0.0)), tag)
        for tag in dict.fromkeys((source, *sure))
    ]
    label = tell(request, "translate.found" if len(choices) > 1 else "translate.found_alone")
    return gr.update(choices=choices, value=source, label=label, visible=bool(sure))


def _linked(services: Services, page: Page, tabs: gr.Tabs, request: gr.Request) -> dict[Any, Any]:
    """An address with ?q=, ?source= or ?target= opens this tab filled in. Raises BadInput for an unknown language."""
    asked = {name: str(request.query_params.get(name) or "") for name in ("q", "source", "target")}
    if not any(asked.values()):
        return {page.status: gr.skip()}
    services.guard.characters(asked["q"])
    shown: dict[Any, Any] = {tabs: gr.update(selected="translate")}
    for widget, tag in ((page.source, asked["source"]), (page.target, asked["target"])):
        if tag and tag != AUTO:
            shown[widget] = normalise(tag)
    return shown | ({page.given.text: asked["q"]} if asked["q"] else {})


def _swap(page: Page, source: str, target: str, text: str, translation: str) -> dict[Any, Any]:
    """What was said of the translation is not true of the text that was there before."""
    boxes = {page.given.text: translation or text, page.translation: text if translation else ""}
    said = dict.fromkeys((page.pairs, page.status, page.made), "")
    sides = {page.source: target, page.target: source, page.found: gr.update(visible=False)}
    return {**sides, **boxes, **said, **page.keeping.offered("")}


# Counted in the browser, at each key; its words are those of the page.
_COUNT = f"""text => {{
  const words = {json.dumps({each: words(each)["translate.characters"] for each in LANGUAGES}, ensure_ascii=False)};
  const template = words[navigator.language.startsWith("zh") ? "zh" : "en"];
  const count = [...(text || "")].length;
  return count ? `<p class="quiet">${{template.replace("{{count}}", count.toLocaleString())}}</p>` : "";
}}"""
