"""What each base would cost, under the choice of the model that learns: whether it fits, gigabytes and minutes.

Draws what `finetune.bases` reckons. Does not know how.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import gradio as gr

from ..backend.device import available_memory
from ..finetune.bases import Bases, Offer
from ..finetune.dataset import read_table
from ..finetune.order import KIND as JOB
from ..finetune.order import LessonOrder
from ..messages import say
from .facts import size
from .notice import quiet
from .owners import owner_of
from .services import Services
from .words import language_of


def bases(services: Services, request: gr.Request | None) -> Bases:
    """What costs what on this machine, by this owner's trainings."""
    reports = services.supervisor.reports(JOB, owner_of(services.settings, request))
    free = available_memory(services.hardware)
    return Bases(services.catalog, services.sources.where, services.hardware, free, reports)


def costs(services: Services, file: str, wish: LessonOrder, offered: Sequence[str], request: gr.Request) -> str:
    """HTML for the bases that are `offered`; nothing before there is a table. Raises BadInput."""
    if not file:
        return ""
    language, reckoned = language_of(request), bases(services, request)
    found = [offer for offer in reckoned.offers(wish, read_table(Path(file))) if offer.model.id in offered]
    lines = "".join(f"<li>{_line(offer, language)}</li>" for offer in found)
    code = "costs_reckoned" if reckoned.rate else "costs_rough"
    return f"<ul class='story'>{lines}</ul>{quiet(say(f'finetune.{code}', language))}"


def _line(offer: Offer, language: str) -> str:
    """`SmolLM2 135M: fits · about 1.9 GB, 6 min · Auto takes it`, and in bold what is no good."""
    badge = escape(say(f"finetune.badge_{offer.cost.badge}", language))
    badge = badge if offer.cost.badge == "fits" else f"<b>{badge}</b>"
    values = {"size": size(offer.cost.needs / 1e6), "minutes": max(1, round(offer.cost.minutes))}
    auto = f" · {escape(say('finetune.costs_auto', language))}" if offer.auto else ""
    return f"{escape(offer.model.name)}: {badge} · {escape(say('finetune.costs', language, **values))}{auto}"
