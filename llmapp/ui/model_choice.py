"""Which model answers: what a person can pick in each tab, and what Auto means on this machine."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from ..backend.choose import Choice, best
from ..backend.device import available_memory
from ..catalog import HubSource, Model, Task
from ..errors import Refused
from ..messages import message, say
from ..tasks.language import UNDETERMINED, detect
from .facts import size
from .owners import owner_of
from .services import Services
from .words import language_of, w

AUTO = "auto"

LOOKED_AT = 4000
"""Characters that are enough to tell a language."""


def auto(services: Services, task: Task, open_labels: bool = False, text: str = "") -> Choice:
    """What Auto picks for a task now, and why. `open_labels`: a person names the labels. `text`: what it is for, or a
    part of it: its language may decide.

    On a Space that is the best the Hub has for its machine. Elsewhere nothing large is downloaded unasked: it is
    the best of what is on this disk or packaged, until a person has downloaded more in the Models tab.
    """
    best_here = partial(_best, services, task, open_labels=open_labels, language=_language(text))
    here = best_here(can_use_hub=services.settings.on_space and services.settings.may_use_hub)
    if services.settings.on_space or not services.sources.hub_in_reach():
        return here
    better = best_here(can_use_hub=True).model
    if better.id == here.model.id or services.sources.where(better):
        return here
    megabytes = getattr(better.sources[0], "bytes", 0) / 1e6
    why = message(
        "reason.auto_better", model=(here.adapter or here.model).name, better=better.name, size=size(megabytes)
    )
    return replace(here, why=why)


def _language(text: str) -> str:
    found = detect(text[:LOOKED_AT]).language if text else UNDETERMINED
    return "en" if found == UNDETERMINED else found


def _best(services: Services, task: Task, can_use_hub: bool, open_labels: bool, language: str) -> Choice:
    on_disk = {model.id for model in services.catalog.models(task) if services.sources.where(model)}
    return best(
        services.catalog,
        task,
        services.hardware,
        available_memory(services.hardware),
        can_use_hub=can_use_hub,
        on_disk=on_disk,
        open_labels=open_labels,
        language=language,
    )


def resolve(services: Services, task: Task, name: str, owner: str, open_labels: bool = False, text: str = "") -> str:
    """A choice of the page or the API as a model or adapter id. Raises NotFound."""
    if name in ("", AUTO):
        return auto(services, task, open_labels, text).name
    services.catalog.resolve(name, owner)
    return name


def wanted(
    services: Services, task: Task, name: str, request: gr.Request | None, open_labels: bool = False, text: str = ""
) -> str:
    """`resolve` for a request. Raises Refused for a stranger whose choice would have to be downloaded first."""
    owner = owner_of(services.settings, request)
    found = resolve(services, task, name, owner, open_labels, text)
    model, _ = services.catalog.resolve(found, owner)
    if found != auto(services, task, open_labels, text).name:
        must_be_here(services, model, request)
    return found


def must_be_here(services: Services, model: Model, request: gr.Request | None) -> None:
    """Raises Refused for a stranger, where the model would have to be downloaded first."""
    if services.sources.where(model) is not None:
        return
    try:
        services.guard.manage(request)
    except Refused:
        raise Refused("model_not_here", model=model.name) from None


def model_choices(services: Services, task: Task, owner: str, language: str = "") -> tuple[list[Any], str]:
    """(label, id) pairs for a dropdown and the one chosen first. Without a language Auto is a key the browser fills."""
    label = say("model.auto", language) if language else w("model.auto")
    adapters = [(adapter.name, adapter.id) for adapter in services.catalog.adapters(owner, task)]
    models = [(_label(services, m), m.id) for m in services.catalog.models(task) if _reachable(services, m)]
    return [(label, AUTO), *adapters, *models], AUTO


def offered_models(services: Services, task: Task, chosen: str, request: gr.Request) -> Any:
    """An update for a dropdown of models: what there is now; what is chosen stays chosen as long as it is there."""
    choices, first = model_choices(services, task, owner_of(services.settings, request), language_of(request))
    kept = chosen in {name for _, name in choices}
    return gr.update(choices=choices, value=chosen if kept else first)


def _reachable(services: Services, model: Model) -> bool:
    """False for what only the Hub has, as long as the Hub is not known to be in reach."""
    return model.packaged or services.sources.where(model) is not None or services.sources.hub_in_reach() is True


def _label(services: Services, model: Model) -> str:
    if services.sources.where(model):
        return model.name
    first = next((s for s in model.sources if isinstance(s, HubSource)), model.sources[0])
    megabytes = getattr(model.sources[0] if model.packaged else first, "bytes", 0) / 1e6
    return f"{model.name} (↓ {size(megabytes)})"
