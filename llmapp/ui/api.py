"""The public endpoints: typed functions that gradio_client, MCP clients and scripts call.

Each works with its first argument alone. The tabs' own events are private and call the same functions below these.
What a docstring says here is what API pages and MCP clients read.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from typing import Any, get_type_hints

import gradio as gr
from pydantic import TypeAdapter, ValidationError

from ..backend.engine import Sampling, Turn
from ..errors import BadInput
from ..tasks.chat import ChatOptions, reply
from ..tasks.explain import explain as carried
from ..tasks.language import detect, normalise
from ..tasks.mood import mood as mood_of
from ..tasks.sentiment import classify_each as sort_texts
from ..tasks.sentiment import sentiment_each as judge
from ..tasks.summarize import SummaryOptions
from ..transcripts import clean
from . import api_jobs
from . import models as models_tab
from .api_jobs import asker
from .events import MODEL_QUEUE, bind
from .glossary import rows_of
from .languages import translation
from .model_choice import wanted
from .owners import owner_of
from .services import Services
from .summary_work import Moment, moments
from .work import Made, result, stream


def build(services: Services) -> None:
    """Register every endpoint under its own name. What uses a model shares one queue; the rest never waits."""
    queued = (chat, summarize, translate, sentiment, mood, classify, explain)
    free = (detect_language, *api_jobs.ENDPOINTS, models, load, unload)
    endpoints: tuple[Callable[..., Any], ...] = (*queued, *free)
    for endpoint in endpoints:
        queue = MODEL_QUEUE if endpoint in queued else {"concurrency_limit": None}
        gr.api(bind(endpoint, services, check=_types(endpoint)), api_name=endpoint.__name__, **queue)


def chat(
    services: Services,
    message: str,
    history: list[dict[str, Any]] | None = None,
    model: str = "auto",
    system: str = "",
    sampling: dict[str, Any] | None = None,
    request: gr.Request | None = None,
) -> Iterator[str]:
    """Answer a message with a language model; yields the whole text so far.

    Args:
        message: what to answer
        history: what was said before, oldest first, each {"role": "user" or "assistant", "content": text}
        model: an id that `models` lists, an adapter of one's own, or "auto"
        system: how the model should behave
        sampling: may hold temperature, top_p, top_k, repetition_penalty, max_new_tokens and seed
    """
    turns = [*map(_turn, history or ()), Turn("user", _text(message, "message"))]
    services.guard.characters(system + "".join(turn.text for turn in turns))
    name = wanted(services, "chat", model, request)
    options = ChatOptions(system=clean(system), sampling=_sampling(services, name, sampling or {}, request))
    for moment in stream(services, request, "chat", name, lambda engine: reply(engine, turns, options)):
        if isinstance(moment, Made):
            yield moment.value.text


def summarize(
    services: Services,
    text: str,
    length: str = "short",
    form: str = "paragraph",
    focus: str = "",
    language: str = "",
    model: str = "auto",
    method: str = "auto",
    request: gr.Request | None = None,
) -> Iterator[str]:
    """Summarize a text; yields the whole summary so far. Long texts are read part by part, none is cut.

    Args:
        text: what to summarize
        length: sentence, short, medium, long, or a number of words such as "120"
        form: paragraph, bullets or headline
        focus: what the summary should be about
        language: of the summary, such as "en" or "zh"; empty takes the text's own
        model: an id that `models` lists, or "auto"
        method: written by the model, taken from the text as it stands, or "auto": what was measured to be better
    """
    text = _text(text, "text")
    services.guard.characters(text + focus)
    options = SummaryOptions(length=length, form=form, focus=clean(focus), language=language)
    for moment in moments(services, request, text, options, method, model, checked=False):
        if isinstance(moment, Moment):
            yield moment.update.text


def translate(
    services: Services,
    text: str,
    target: str = "",
    source: str = "",
    model: str = "auto",
    glossary: dict[str, str | None] | None = None,
    request: gr.Request | None = None,
) -> str:
    """Translate a text line by line.

    Args:
        text: what to translate
        target: language to translate to, such as "de"; empty makes Chinese of English and English of all else
        source: language the text is in; empty finds out, paragraph by paragraph
        model: an id that `models` lists, or "auto"
        glossary: terms with their translations, {"file": "Datei"}; an empty translation leaves a term alone
    """
    text = _text(text, "text")
    services.guard.characters(text)
    pair = (normalise(source) if source else "", normalise(target) if target else "")
    moments = translation(services, request, model, text, pair, rows_of(glossary))
    return result(moments).value.text


def detect_language(services: Services, text: str, request: gr.Request | None = None) -> dict[str, Any]:
    """Tell which language a text is in: {language, confidence, certain, candidates}.

    Args:
        text: a sentence or more
    """
    text = _text(text, "text")
    services.guard.request(request)
    services.guard.characters(text)
    found = detect(text)
    return {
        "language": found.language,
        "confidence": found.confidence,
        "certain": found.certain,
        "candidates": [{"language": tag, "confidence": p} for tag, p in found.candidates],
    }


def sentiment(services: Services, text: str, model: str = "auto", request: gr.Request | None = None) -> dict[str, Any]:
    """Judge how a text feels: {label, scores: {label: probability}}, and what judged it.

    Args:
        text: a review, a message, a comment
        model: an id that `models` lists, an adapter of one's own, or "auto"
    """
    text = _text(text, "text")
    services.guard.characters(text)
    made = result(stream(services, request, "sentiment", model, lambda engine: judge(engine, [text]), text=text))
    judgement = made.value
    return {"label": judgement.label, "scores": dict(judgement.scores), **made.info.facts()}


def mood(services: Services, text: str, model: str = "auto", request: gr.Request | None = None) -> dict[str, Any]:
    """Judge how a text feels sentence by sentence: {sentences: [{text, label, score}]}, and what judged it.

    Args:
        text: a review, a letter, an article; of one with more than 400 sentences, several are judged together
        model: an id that `models` lists, an adapter of one's own, or "auto"
    """
    text = _text(text, "text")
    services.guard.characters(text)
    made = result(stream(services, request, "sentiment", model, lambda engine: mood_of(engine, text), text=text))
    return {"sentences": [asdict(each) for each in made.value], **made.info.facts()}


def classify(
    services: Services,
    text: str,
    labels: list[str] | None = None,
    multi_label: bool = False,
    model: str = "auto",
    request: gr.Request | None = None,
) -> dict[str, Any]:
    """Sort a text into labels of one's own: {labels: {label: probability}}, and what sorted it.

    Args:
        text: what to sort
        labels: words or short phrases to choose among; without any, the labels the model has
        multi_label: true where several may fit, each with a probability of its own
        model: an id that `models` lists, an adapter of one's own, or "auto"
    """
    text, own = _text(text, "text"), tuple(map(clean, labels or ()))
    services.guard.characters(text + "".join(own))
    moments = stream(
        services, request, "sentiment", model, lambda e: sort_texts(e, [text], own, multi_label), bool(own), text
    )
    made = result(moments)
    return {"labels": dict(made.value.scores), **made.info.facts()}


def explain(
    services: Services, text: str, label: str = "", model: str = "auto", request: gr.Request | None = None
) -> dict[str, Any]:
    """Tell which words made a text be judged as it was: {tokens: [[token, weight]], deletion}, and what judged it.

    A weight is what the probability of the label loses without that word; negative where the word spoke against it. The
    deletion proves it: {removed, before, after}, the probability with and without the words that carried most.

    Args:
        text: a review, a message, a comment
        label: the one to explain; empty takes the likeliest
        model: an id that `models` lists, an adapter of one's own, or "auto"
    """
    text = _text(text, "text")
    services.guard.characters(text)
    moments = stream(services, request, "sentiment", model, lambda e: carried(e, text, clean(label)), text=text)
    made = result(moments)
    found = made.value
    deletion = {"removed": list(found.removed), "before": found.probability, "after": found.without}
    tokens = [[token, weight] for token, weight in found.tokens]
    return {"label": found.label, "tokens": tokens, "deletion": deletion, **made.info.facts()}


def models(services: Services, request: gr.Request | None = None) -> list[dict[str, Any]]:
    """List models and adapters of one's own: what they cost, what is on disk and loaded."""
    owner = asker(services, request)
    loaded = {state.model_id for state in services.pool.loaded()}
    found = [
        {
            "id": model.id,
            "name": model.name,
            "tasks": list(model.tasks),
            "languages": list(model.languages),
            "licence": model.licence,
            "parameters": model.parameters,
            "context": model.context,
            "memory_mb": dict(model.memory_mb),
            "on_disk": services.sources.where(model) is not None,
            "loaded": model.id in loaded,
        }
        for model in services.catalog.models()
    ]
    adapters = services.catalog.adapters(owner)
    return found + [{"id": a.id, "name": a.name, "tasks": [a.task], "base": a.base} for a in adapters]


def load(services: Services, model: str, request: gr.Request | None = None) -> dict[str, Any]:
    """Make a model ready, downloading it first where it is missing; returns at once, `models` tells when it is.

    Args:
        model: an id that `models` lists
    """
    services.guard.manage(request)
    owner = asker(services, request)
    services.catalog.resolve(model, owner)
    models_tab.load(services, model, owner)
    return {"model": model, "state": "loading"}


def unload(services: Services, model: str, request: gr.Request | None = None) -> dict[str, Any]:
    """Take a model out of memory.

    Args:
        model: an id that `models` lists
    """
    services.guard.manage(request)
    found, _ = services.catalog.resolve(model, asker(services, request))
    services.pool.unload(found.id)
    return {"model": found.id, "state": "unloaded"}


def _types(endpoint: Callable[..., Any]) -> Callable[..., None]:
    """A check of what came against the type hints, which Gradio only announces. A file is looked at by its user."""
    hints = get_type_hints(endpoint)
    names = [name for name in inspect.signature(endpoint).parameters if name not in ("services", "request")]
    kinds = [(name, hints[name]) for name in names if hints[name] is not gr.FileData]
    adapters = {name: (names.index(name), TypeAdapter(kind), kind) for name, kind in kinds}

    def check(*values: Any) -> None:
        for name, (place, adapter, kind) in adapters.items():
            try:
                adapter.validate_python(values[place], strict=True)
            except ValidationError:
                said = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
                raise BadInput("api_type", name=name, value=repr(values[place])[:80], wanted=said) from None

    return check


def _text(value: str, name: str) -> str:
    """The text as UTF-8 can hold it: JSON may bring half a character."""
    if not value.strip():
        raise BadInput("api_text", name=name)
    return clean(value)


def _turn(item: Mapping[str, Any]) -> Turn:
    role, content = item.get("role"), item.get("content")
    if role not in ("system", "user", "assistant") or not isinstance(content, str):
        raise BadInput("api_history", value=str(dict(item))[:80])
    return Turn(role, clean(content))


def _sampling(services: Services, name: str, wish: Mapping[str, Any], request: gr.Request | None) -> Sampling:
    """What suits the model, changed by what was asked for. Raises BadInput for an unknown or impossible knob."""
    model, _ = services.catalog.resolve(name, owner_of(services.settings, request))
    numbers = {item.name: float if isinstance(item.default, float) else int for item in fields(Sampling)}
    for knob, value in wish.items():
        if knob not in numbers:
            raise BadInput("api_sampling", problem=f"{knob!r:.80}")
        if type(value) not in (int, numbers[knob]) and not (knob == "seed" and value is None):
            raise BadInput("api_type", name=f"sampling.{knob}", value=f"{value!r:.80}", wanted=numbers[knob].__name__)
    return replace(Sampling(), **{**model.sampling, **wish})
