"""The public endpoints: typed functions that gradio_client, MCP clients and scripts call.

Each works with its first argument alone. The tabs' own events are private and call the same functions below these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from ..backend.engine import Sampling, Turn
from ..errors import BadInput, NotFound
from ..finetune.dataset import guess_columns, read_table
from ..jobs.job import JobStatus
from ..tasks.chat import ChatOptions, reply
from ..tasks.language import detect, normalise
from ..tasks.sentiment import classify as classify_texts
from ..tasks.sentiment import sentiment as judge
from ..tasks.summarize import SummaryOptions
from ..tasks.summarize import summarize as write_summary
from ..tasks.translate import translate as write_translation
from . import finetune as finetune_tab
from . import models as models_tab
from .events import bind
from .facts import made_by
from .model_choice import resolve
from .owners import owner_of
from .services import Services
from .work import Made, result, stream

MODEL_QUEUE = {"concurrency_id": "model", "concurrency_limit": 1}


def build(services: Services) -> None:
    """Register every endpoint under its own name. What uses a model shares one queue; the rest never waits."""
    for endpoint in (chat, summarize, translate, sentiment, classify):
        gr.api(bind(endpoint, services), api_name=endpoint.__name__, **MODEL_QUEUE)
    free = (detect_language, finetune, job, job_stop, job_resume, job_report, jobs, models, load, unload)
    for endpoint in free:
        gr.api(bind(endpoint, services), api_name=endpoint.__name__, concurrency_limit=None)


def chat(
    services: Services,
    message: str,
    history: list[dict[str, Any]] | None = None,
    model: str = "auto",
    system: str = "",
    sampling: dict[str, Any] | None = None,
    request: gr.Request | None = None,
) -> Iterator[str]:
    """Answer a message; yields the whole text so far. `history` holds {"role", "content"}, oldest first.

    `sampling` may hold temperature, top_p, top_k, repetition_penalty, max_new_tokens and seed.
    """
    turns = [*(_turn(item) for item in history or ()), Turn("user", _text(message, "message"))]
    services.guard.characters("".join(turn.text for turn in turns) + system)
    name = resolve(services, "chat", model, owner_of(services.settings, request))
    options = ChatOptions(system=system, sampling=_sampling(services, name, sampling, request))
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
    request: gr.Request | None = None,
) -> Iterator[str]:
    """Summarize a text; yields the whole summary so far. Long texts are read part by part, none is cut."""
    services.guard.characters(_text(text, "text"))
    options = SummaryOptions(length=length, form=form, focus=focus, language=language)
    for moment in stream(services, request, "summarize", model, lambda e: write_summary(e, text, options)):
        if isinstance(moment, Made):
            yield moment.value.text


def translate(
    services: Services,
    text: str,
    target: str = "",
    source: str = "",
    model: str = "auto",
    request: gr.Request | None = None,
) -> str:
    """Translate a text line by line. Without a target English becomes Chinese and all else English."""
    services.guard.characters(_text(text, "text"))
    languages = [normalise(tag) if tag else "" for tag in (target, source)]
    moments = stream(services, request, "translate", model, lambda e: write_translation(e, text, *languages))
    return result(moments).value.text


def detect_language(services: Services, text: str, request: gr.Request | None = None) -> dict[str, Any]:
    """Which language a text is in: {language, confidence, certain, candidates}."""
    services.guard.request(request)
    services.guard.characters(_text(text, "text"))
    found = detect(text)
    return {
        "language": found.language,
        "confidence": found.confidence,
        "certain": found.certain,
        "candidates": [{"language": tag, "confidence": p} for tag, p in found.candidates],
    }


def sentiment(services: Services, text: str, model: str = "auto", request: gr.Request | None = None) -> dict[str, Any]:
    """How a text feels: {label, scores: {label: probability}}, and what judged it."""
    services.guard.characters(_text(text, "text"))
    made = result(stream(services, request, "sentiment", model, lambda engine: iter([judge(engine, [text])])))
    judgement = made.value[0]
    return {"label": judgement.label, "scores": dict(judgement.scores), **made_by(made.info)}


def classify(
    services: Services,
    text: str,
    labels: list[str] | None = None,
    multi_label: bool = False,
    model: str = "auto",
    request: gr.Request | None = None,
) -> dict[str, Any]:
    """Sort a text into labels of one's own, or the model's: {labels: {label: probability}}."""
    services.guard.characters(_text(text, "text"))
    own = tuple(labels or ())
    made = result(
        stream(
            services,
            request,
            "sentiment",
            model,
            lambda e: iter([classify_texts(e, [text], own, multi_label) if own else judge(e, [text])]),
        )
    )
    return {"labels": dict(made.value[0].scores), **made_by(made.info)}


def finetune(
    services: Services,
    dataset: dict[str, Any],
    text: str = "",
    label: str = "",
    name: str = "",
    effort: str = "quick",
    request: gr.Request | None = None,
) -> str:
    """Teach a classifier with a CSV or TSV file; returns a job id at once. Columns are guessed where not named."""
    path = _uploaded(dataset)
    columns = guess_columns(read_table(path))
    return finetune_tab.start_job(services, request, path, text or columns[0], label or columns[1], name, effort)


def job(services: Services, job_id: str, request: gr.Request | None = None) -> dict[str, Any]:
    """How a job is: {id, kind, state, phase, step, steps, eta_s, error}."""
    return _status(services.supervisor.status(job_id, owner_of(services.settings, request)))


def job_stop(services: Services, job_id: str, request: gr.Request | None = None) -> dict[str, Any]:
    """Ask a job to stop; what it has done is kept."""
    services.supervisor.stop(job_id, owner_of(services.settings, request))
    return job(services, job_id, request)


def job_resume(services: Services, job_id: str, request: gr.Request | None = None) -> dict[str, Any]:
    """Go on with a job that was stopped or interrupted."""
    services.guard.manage(request)
    services.supervisor.resume(job_id, owner_of(services.settings, request))
    return job(services, job_id, request)


def job_report(services: Services, job_id: str, request: gr.Request | None = None) -> dict[str, Any]:
    """The report card of a training that is done: scores before and after on held-out rows."""
    return dict(services.supervisor.report(job_id, owner_of(services.settings, request)))


def jobs(services: Services, request: gr.Request | None = None) -> list[dict[str, Any]]:
    """One's own jobs, newest first."""
    return [_status(status) for status in services.supervisor.jobs(owner_of(services.settings, request))]


def models(services: Services, request: gr.Request | None = None) -> list[dict[str, Any]]:
    """What models and adapters of one's own there are, what they cost, what is on disk and loaded."""
    owner = owner_of(services.settings, request)
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
    """Make a model ready, downloading it first where it is missing; returns at once, `/models` tells when it is."""
    services.guard.manage(request)
    owner = owner_of(services.settings, request)
    services.catalog.resolve(model, owner)
    models_tab.load(services, model, owner)
    return {"model": model, "state": "loading"}


def unload(services: Services, model: str, request: gr.Request | None = None) -> dict[str, Any]:
    """Take a model out of memory."""
    services.guard.manage(request)
    found, _ = services.catalog.resolve(model, owner_of(services.settings, request))
    services.pool.unload(found.id)
    return {"model": found.id, "state": "unloaded"}


def _status(status: JobStatus) -> dict[str, Any]:
    problem = status.problem
    error = {"code": problem.code, "text": problem.text()} if problem else None
    return {
        "id": status.id,
        "kind": status.kind,
        "state": status.state,
        "phase": status.phase,
        "step": status.step,
        "steps": status.steps,
        "eta_s": status.eta_s,
        "error": error,
    }


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadInput("api_text", name=name)
    return value


def _turn(item: Mapping[str, Any]) -> Turn:
    role, content = item.get("role"), item.get("content")
    if role not in ("system", "user", "assistant") or not isinstance(content, str):
        raise BadInput("api_history", value=str(dict(item))[:80])
    return Turn(role, content)


def _sampling(services: Services, name: str, wish: Mapping[str, Any] | None, request: gr.Request | None) -> Sampling:
    """What suits the model, changed by what was asked for. Raises BadInput for an unknown or impossible knob."""
    model, _ = services.catalog.resolve(name, owner_of(services.settings, request))
    try:
        return replace(Sampling(), **{**model.sampling, **(wish or {})})
    except TypeError as problem:
        raise BadInput("api_sampling", problem=str(problem).split(") ")[-1]) from None


def _uploaded(file: Mapping[str, Any]) -> Path:
    """The path of an uploaded file; a path of the server's own disk is refused, whoever names it."""
    path = Path(str((file or {}).get("path", ""))).resolve()
    if not path.is_relative_to(Path(get_upload_folder()).resolve()) or not path.is_file():
        raise NotFound("api_file", name=path.name)
    return path
