"""How a summary comes about: written by a model or taken from the text, and why that way where nobody chose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from ..catalog import Model
from ..errors import BadInput
from ..messages import Message, message
from .summarize import SummaryOptions, own_language

METHODS = ("auto", "written", "taken")


@dataclass(frozen=True)
class Method:
    """Whether sentences are taken from the text, and why; nobody is told why where it was chosen."""

    taken: bool
    why: Message | None = None


def method_for(
    wish: str, text: str, options: SummaryOptions, writer: Model, encoder: Model | None, own_choice: bool
) -> Method:
    """What `wish`, one of `METHODS`, means here. "auto" takes sentences where that was measured to be nearer to
    people's summaries than what `writer` writes, unless `own_choice` (a person named the writer) or the summary is to
    be in another language than the text. Raises BadInput for a wish there is not.
    """
    if wish not in METHODS:
        raise BadInput("setting_choice", name="method", value=wish, choices=", ".join(METHODS))
    translated = bool(options.language) and options.language != own_language(text)
    if wish != "auto" or own_choice:
        takes = wish == "taken" or (wish == "auto" and writer.kind == "encoder")
        return Method(takes, message("reason.summary_untranslated") if takes and translated else None)
    sets = set(writer.summaries) & set(encoder.summaries) if encoder else set()
    if translated or encoder is None or not sets:
        return Method(taken=False)
    written, taken = (fmean(model.summaries[name] for name in sets) for model in (writer, encoder))
    if written >= taken:
        return Method(taken=False)
    return Method(True, message("reason.summary_taken", model=writer.name, written=written, taken=taken))


def extractor(models: Iterable[Model]) -> Model | None:
    """The encoder of the catalog that sentences are compared with: the one that was measured at it."""
    return next((model for model in models if model.kind == "encoder" and model.summaries), None)
