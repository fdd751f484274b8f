"""A summary for one page or script: how it is made, by which model, moment by moment, and what it rests on."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace

import gradio as gr

from ..backend.engine import EngineInfo
from ..catalog import Model, Task
from ..errors import LlmappError
from ..messages import Message
from ..tasks.extract import extract
from ..tasks.methods import extractor, method_for
from ..tasks.receipts import Receipt, receipts
from ..tasks.summarize import SummaryOptions, SummaryUpdate, summarize
from ..tasks.vectors import knows
from .loading import lease_with_progress
from .model_choice import AUTO, resolve, wanted
from .owners import owner_of
from .services import Services
from .work import page_key

TASK: Task = "summarize"


@dataclass(frozen=True)
class Plan:
    """How a text is summarized. `model` is what is leased for it, `encoder` what its receipts are made with.

    Either is empty where it goes by words alone, without a model.
    """

    taken: bool
    model: str
    encoder: str
    why: Message | None = None


@dataclass(frozen=True)
class Moment:
    """One moment of a summary; without `info` no model made it. Receipts come with the last one."""

    update: SummaryUpdate
    info: EngineInfo | None
    why: Message | None = None
    receipts: tuple[Receipt, ...] = ()
    taken: bool = False

    @property
    def again(self) -> dict[str, str]:
        """How the same is asked for: an encoder is no model to ask for by name."""
        return {"method": "taken", "model": ""} if self.taken else {"method": "written"}


def plan(
    services: Services, request: gr.Request | None, text: str, options: SummaryOptions, method: str, model: str
) -> Plan:
    """Decide how. Raises BadInput, NotFound, Refused."""
    owner = owner_of(services.settings, request)
    writer, _ = services.catalog.resolve(resolve(services, TASK, model, owner), owner)
    encoder = extractor(services.catalog.models())
    chosen = method_for(method, text, options, writer, encoder, own_choice=model not in ("", AUTO))
    known = encoder if encoder and knows(encoder, text) else None
    if chosen.taken:
        return Plan(True, known.id if known and _to_be_had(services, known) else "", "", chosen.why)
    here = known and services.sources.where(known)
    return Plan(False, wanted(services, TASK, model, request), known.id if known and here else "", chosen.why)


def moments(
    services: Services,
    request: gr.Request | None,
    text: str,
    options: SummaryOptions,
    method: str = "auto",
    model: str = AUTO,
    checked: bool = True,
) -> Generator[Message | Moment, None, None]:
    """Sentences while a model is made ready, then the summary until done or stopped; if `checked`, receipts at last."""
    services.guard.request(request)
    owner, how = owner_of(services.settings, request), plan(services, request, text, options, method, model)
    with services.turns.begin(page_key(request, TASK)) as turn:
        last: Moment | None = None
        with closing(_made(services, owner, how, text, options, turn.stop)) as steps:
            for step in steps:
                yield step
                last = step if isinstance(step, Moment) else last
                if turn.stop.is_set():
                    return
        if checked and last and last.update.finish:
            yield from _checked(services, owner, how, text, last, turn.stop)


def _made(
    services: Services, owner: str, how: Plan, text: str, options: SummaryOptions, stop: threading.Event
) -> Generator[Message | Moment, None, None]:
    if not how.model:
        for update in extract(text, options):
            yield Moment(update, None, how.why, taken=how.taken)
        return
    with closing(lease_with_progress(services.pool, how.model, owner, stop)) as steps:
        for step in steps:
            if isinstance(step, Message):
                yield step
                continue
            updates = extract(text, options, step) if how.taken else summarize(step, text, options)
            with closing(_generator(updates)) as made:
                for update in made:
                    yield Moment(update, step.info, how.why, taken=how.taken)


def _checked(
    services: Services, owner: str, how: Plan, text: str, moment: Moment, stop: threading.Event
) -> Iterator[Message | Moment]:
    """The last moment with its receipts: by words where there is no encoder, or no room for it."""
    if how.encoder:
        with suppress(LlmappError), closing(lease_with_progress(services.pool, how.encoder, owner, stop)) as steps:
            for step in steps:
                if not isinstance(step, Message):
                    yield replace(moment, receipts=receipts(moment.update, text, step))
                    return
                yield step
    if not stop.is_set():
        yield replace(moment, receipts=receipts(moment.update, text))


def _generator(updates: Iterator[SummaryUpdate]) -> Generator[SummaryUpdate, None, None]:
    yield from updates


def _to_be_had(services: Services, model: Model) -> bool:
    """Whether it is on this disk or comes with the app and may be fetched, as the chat model is."""
    return services.sources.where(model) is not None or not services.settings.offline
