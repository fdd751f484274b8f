"""Which languages can be chosen for a translation, and which model, or which two by English, go from one to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from contextlib import nullcontext
from typing import Any

import gradio as gr

from ..backend.engine import Engine
from ..catalog import Model
from ..glossaries import Row
from ..messages import Message
from ..tasks.directions import PIVOT
from ..tasks.language import detect
from ..tasks.translate import TranslationUpdate, Written, default_target, sides, translate
from .model_choice import AUTO, wanted
from .owners import owner_of
from .services import Services
from .words import w
from .work import Made, stream


def choices(services: Services, model_id: str = "") -> tuple[list[Any], list[Any]]:
    """For both sides: what a model reaches, by itself or by way of English with another that is here.

    Without a model it is what any does that is here or packaged.
    """
    if model_id:
        model = services.catalog.model(model_id)
        found = [sides(model), *_chained(model, _here(services))]
    else:
        every = services.catalog.models("translate")
        found = [sides(m) for m in every if m.packaged or services.sources.where(m)]
    sources, targets = (dict.fromkeys(tag for pair in found for tag in pair[side]) for side in (0, 1))
    return [(w("translate.auto"), AUTO), *_named(sources)], [(w("translate.auto_target"), AUTO), *_named(targets)]


def side(services: Services, number: int, elem_id: str) -> gr.Dropdown:
    """The language to translate from (0) or to (1)."""
    label = w("translate.target" if number else "translate.source")
    return gr.Dropdown(choices(services)[number], value=AUTO, label=label, elem_id=elem_id)


def chosen(value: str) -> str:
    """What a dropdown of `side` says, as `translate` takes it."""
    return "" if value == AUTO else value


def offered(services: Services, name: str, source: str, target: str, request: gr.Request) -> Any:
    """Updates for both sides when a model was picked: what is chosen stays where the model has it."""
    found = None if name == AUTO else services.catalog.resolve(name, owner_of(services.settings, request))[0]
    both = zip(choices(services, found.id if found else ""), (source, target), strict=True)
    return tuple(
        gr.update(choices=each, value=chosen if chosen in {code for _, code in each} else AUTO) for each, chosen in both
    )


def translation(
    services: Services,
    request: gr.Request | None,
    name: str,
    text: str,
    languages: tuple[str, str],
    glossary: Sequence[Row],
    known: MutableMapping[str, Written] | None = None,
) -> Iterator[Message | Made[TranslationUpdate]]:
    """The moments of a translation from `languages[0]` to `languages[1]`, each empty where it is to be found."""
    first, second = route(services, request, name, text, languages)
    owner = owner_of(services.settings, request)

    def work(engine: Engine) -> Iterator[TranslationUpdate]:
        source, target = languages
        with services.pool.lease(second, owner) if second else nullcontext() as onward:
            yield from translate(engine, text, target, source, glossary=glossary, known=known, onward=onward)

    return stream(services, request, "translate", first, work)


def route(
    services: Services, request: gr.Request | None, name: str, text: str, languages: tuple[str, str]
) -> tuple[str, str]:
    """What translates a text, by name: a model or an adapter, and the model that goes on from English, if any."""
    chosen, owner = wanted(services, "translate", name, request), owner_of(services.settings, request)
    model = services.catalog.resolve(chosen, owner)[0]
    first, second = way(model, _here(services), _pair(text, *languages), free=name in ("", AUTO))
    return chosen if first == model else first.id, second.id if second else ""


def way(model: Model, here: Sequence[Model], pair: tuple[str, str], free: bool) -> tuple[Model, Model | None]:
    """The model that goes from one language to the other, and the one that goes on from English where it takes two.

    `model` was picked, or is what Auto takes (`free`), which gives way to another that has the pair. Where nothing that
    is here goes all the way it is `model` alone, which will say so.
    """
    source, target = pair
    if not all(pair) or source == target or _goes(model, source, target):
        return model, None
    if free and (direct := _first(here, source, target)):
        return direct, None
    if _goes(model, source, PIVOT) and (last := _first(here, PIVOT, target)):
        return model, last
    if _goes(model, PIVOT, target) and (begin := _first(here, source, PIVOT)):
        return begin, model
    return model, None


def _pair(text: str, source: str, target: str) -> tuple[str, str]:
    """What will be translated, as far as it is clear before."""
    found = detect(text)
    source = source or (found.language if found.certain else "")
    return source, target or default_target(source or PIVOT)


def _here(services: Services) -> list[Model]:
    return [model for model in services.catalog.models("translate") if services.sources.where(model)]


def _goes(model: Model, source: str, target: str) -> bool:
    froms, tos = sides(model)
    return source in froms and target in tos


def _first(here: Iterable[Model], source: str, target: str) -> Model | None:
    return next((each for each in here if _goes(each, source, target)), None)


def _chained(model: Model, here: Iterable[Model]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """What other models add before it, where it takes English, and after it, where it writes English."""
    froms, tos = sides(model)
    others = [sides(each) for each in here]
    before = [(each[0], ()) for each in others if PIVOT in froms and PIVOT in each[1]]
    after = [((), each[1]) for each in others if PIVOT in tos and PIVOT in each[0]]
    return [*before, *after]


def _named(codes: Iterable[str]) -> list[Any]:
    return [(w(f"language.{code}"), code) for code in codes]
