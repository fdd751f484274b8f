"""The translate tab: a text or a file in, its translation out, line for line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..messages import Message
from ..tasks.translate import TranslationUpdate, caveat, sides, translate
from .events import QUIET, bind
from .line import Work
from .notice import notice
from .owners import owner_of
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

AUTO = "auto"


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

    def inputs(self) -> list[Any]:
        """In the order of `run`'s parameters."""
        return [self.given.text, self.source, self.target, self.given.model]

    def outputs(self) -> list[Any]:
        """What a run may change."""
        return [self.translation, self.status, self.made, self.given.run, self.given.stop]


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it."""
    sources, targets = _languages(services, "")
    with gr.Row():
        source = gr.Dropdown(sources, value=AUTO, label=w("translate.source"), elem_id="source")
        swap = gr.Button("⇄", size="sm", min_width=60, scale=0, elem_id="swap")
        target = gr.Dropdown(
            targets,
            value=AUTO,
            label=w("translate.target"),
            elem_id="target",
        )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            text, upload = build_text("translate")
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
    page = Page(Given(text, upload, model, run_button, stop), source, target, swap, status, translation, made)
    work = Work([(run_button.click, run)], page, page.inputs(), page.outputs())
    sides = [source, target, text, translation]
    swap.click(bind(_swap), sides, sides, **QUIET)
    model.change(
        bind(_offer, services),
        [model, source, target],
        [source, target],
        **QUIET,
    )
    wire_given(services, demo, tab, "translate", page.given, status, work)


def _languages(services: Services, model_id: str) -> tuple[list[Any], list[Any]]:
    """Choices for both sides: what a model offers; for Auto, what any model that is here or packaged does."""
    models = [services.catalog.model(model_id)] if model_id else services.catalog.models("translate")
    here = [m for m in models if model_id or m.packaged or services.sources.where(m)]
    sources, targets = (dict.fromkeys(code for m in here for code in sides(m)[side]) for side in (0, 1))
    return [(w("translate.auto"), AUTO), *_named(sources)], [(w("translate.auto_target"), AUTO), *_named(targets)]


def _named(codes: Iterable[str]) -> list[Any]:
    return [(w(f"language.{code}"), code) for code in codes]


def _offer(services: Services, model: str, source: str, target: str, request: gr.Request) -> tuple[Any, Any]:
    found = None if model == AUTO else services.catalog.resolve(model, owner_of(services.settings, request))[0]
    both = zip(_languages(services, found.id if found else ""), (source, target), strict=True)
    return tuple(
        gr.update(choices=choices, value=chosen if chosen in {code for _, code in choices} else AUTO)
        for choices, chosen in both
    )


def run(
    services: Services, page: Page, text: str, source: str, target: str, model: str, request: gr.Request
) -> Iterator[dict[Any, Any]]:
    """Translate what was given; lines appear as they are done."""
    text = need_text(services, text)
    source, target = (("" if side == AUTO else side) for side in (source, target))
    moments = stream(services, request, "translate", model, lambda engine: translate(engine, text, target, source))
    language = language_of(request)
    yield from with_buttons(page.given, (_moment(page, moment, language, request) for moment in moments))


def _moment(
    page: Page, moment: Message | Made[TranslationUpdate], language: str, request: gr.Request
) -> dict[Any, Any]:
    if isinstance(moment, Message):
        return {page.status: waiting(moment, language)}
    update = moment.value
    done = tell(request, "translate.sentences", done=update.done, total=update.total)
    rough = caveat(moment.info.model)
    notes = [notice(note.text(language)) for note in (*update.warnings, *([rough] if rough else []))]
    found = tell(
        request,
        "translate.direction",
        source=tell(request, f"language.{update.source}"),
        target=tell(request, f"language.{update.target}"),
    )
    status = f'<p class="quiet">{done}</p>' + "".join(notes)
    return {page.translation: update.text, page.status: status, page.made: made_line(moment, language, found)}


def _swap(source: str, target: str, text: str, translation: str) -> tuple[str, str, str, str]:
    return target, source, translation or text, text if translation else ""
