"""How the mood of a text goes, sentence by sentence. Text in, judgements out; knows no weights and no page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..backend.engine import Engine
from .language import detect
from .sentiment import BATCH, sentiment_each
from .splitting import sentences

MOST = 400
"""Passages of a text: of one with more sentences a passage has several, all of the same number."""


@dataclass(frozen=True)
class Mood:
    """A passage as it stands in the text, how it was judged, and how likely that is."""

    text: str
    label: str
    score: float


def mood(engine: Engine, text: str) -> Iterator[tuple[Mood, ...]]:
    """All passages so far, after each batch; the last one has the whole text. Raises as `sentiment_each` does."""
    parts = passages(text)
    found: list[Mood] = []
    shown = BATCH
    for passage, judgement in zip(parts, sentiment_each(engine, parts), strict=True):
        found.append(Mood(passage, judgement.label, judgement.scores[judgement.label]))
        if len(found) == len(parts) or len(found) == shown:
            shown *= 2  # each moment holds all before it: fewer and fewer, or a book would be sent a hundred times
            yield tuple(found)


def passages(text: str) -> list[str]:
    """The sentences of a text, or several together where it has more than `MOST`."""
    parts = sentences(text, detect(text).language)
    size = math.ceil(len(parts) / MOST) or 1
    whole = parts.whole()
    return ["".join(whole[start : start + size]).strip() for start in range(0, len(whole), size)]
