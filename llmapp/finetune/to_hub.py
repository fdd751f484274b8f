"""What a training made, pushed to the Hugging Face Hub with its model card: the adapter, or the whole model.

Knows a training's result. Does not know jobs, the page, or how anything is sent.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ..backend.hub_push import Push, Pushed, check_push, push
from ..backend.progress import Report
from ..backend.sources import Sources
from ..catalog import Model
from ..errors import BadInput
from ..settings import AppSettings
from .model_card import model_card
from .take_along import card_in, take_along

PushForm = Literal["adapter", "merged"]
PUSH_FORMS: tuple[PushForm, ...] = get_args(PushForm)
LONGEST = 80


@dataclass(frozen=True)
class Wish:
    """What is pushed where: `repo` is a name or owner/name, empty for the usual one; `name` is the training's."""

    name: str
    form: PushForm
    repo: str = ""
    public: bool = False


def push_training(
    wish: Wish,
    result: Path,
    made: Mapping[str, Any],
    base: Model,
    sources: Sources,
    settings: AppSettings,
    report: Report,
) -> Pushed:
    """Send what a training made whose result folder and report these are, with the token of these settings.

    What is not made yet is made first. Raises LlmappError.
    """
    repo = wish.repo.strip() or usual_name(wish.name, wish.form, base)
    check_push(repo, settings)  # before minutes are spent on a whole model
    adapter = result / str(made["files"]["adapter"])
    archive = adapter if wish.form == "adapter" else take_along(wish.form, result, made, base, sources, report)
    # The card is written anew: an early version of the app put a shorter one into the zip, and names change.
    about = model_card(wish.form, card_in(adapter) | {"name": wish.name}, base)
    return push(Push(archive, about, repo, wish.public), settings, report)


def usual_name(name: str, form: PushForm, base: Model) -> str:
    """What the repository of this adapter is called where nobody says: by its name, as far as the Hub takes that."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[-.]{2,}", "-", re.sub(r"[^\w.]+", "-", letters)).removesuffix(".git")
    stem = plain[:LONGEST].strip("-._") or f"{base.id}-taught"
    return stem if form == "adapter" else f"{stem}-{form}"


def check_push_form(form: str) -> PushForm:
    """One of PUSH_FORMS. Raises BadInput for another."""
    for known in PUSH_FORMS:
        if form == known:
            return known
    raise BadInput("setting_choice", name="as", value=form, choices=", ".join(PUSH_FORMS))
