"""Summarize a text of any length: at once where it fits, else part by part and then the parts' summaries.

What is streamed is cleaned on the way: no "Here is a summary:", no sentence twice, no more sentences than asked
for. Knows no page and no weights; everything is read, and how much so far is in every update.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..backend.engine import Engine, Finish, Request, Sampling, Turn
from ..catalog import Model
from ..errors import BadInput
from ..messages import Message, message
from .language import detect, name, normalise
from .splitting import chunks, sentences

LENGTHS = {"sentence": 1, "short": 3, "medium": 6, "long": 12}
"""Sentences of a summary, at most."""

FORMS = ("paragraph", "bullets", "headline")

PART = 2048
"""Tokens read at once, at most, and half the context: the rest is room for the question and the answer."""

PART_SENTENCES = 3
"""Sentences kept of each part."""

SENTENCE = 48
"""Tokens that a sentence may have: ten times the words of a headline, twice those of a usual sentence."""

ROUNDS = 8
"""Rounds of shortening, far more than a text needs that fits a computer: each leaves a fraction of it."""

_SPACELESS = ("zh", "zh-Hant", "ja")
_PREFACE = re.compile(
    r"\s*(?:(?:sure|certainly|of course)[,!.]\s*)?"
    r"(?:here(?:'s| is| are)\b[^:\n]{0,80}|(?:the |a |in )?(?:summary|headline|title)\b[^:\n]{0,40}):\s*",
    re.IGNORECASE,
)
_PREFACE_BEGINS = re.compile(
    r"\s*(?:sure|certainly|of course|here|(?:the |a |in )?(?:summary|headline|title))\b[^:.\n]{0,80}\Z", re.IGNORECASE
)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+", re.MULTILINE)
_WORD = re.compile(r"[\u3040-\u9fff]|[^\s\u3040-\u9fff]+")
_LOOP = 4


@dataclass(frozen=True)
class SummaryOptions:
    """What summary is wanted. An empty language is the text's own. Raises BadInput for what there is not."""

    length: str = "short"
    form: str = "paragraph"
    focus: str = ""
    language: str = ""

    def __post_init__(self) -> None:
        for knob, value, choices in (("length", self.length, LENGTHS), ("form", self.form, FORMS)):
            if value not in choices:
                raise BadInput("setting_choice", name=knob, value=value, choices=", ".join(choices))
        if self.language:
            object.__setattr__(self, "language", normalise(self.language))


@dataclass(frozen=True)
class SummaryUpdate:
    """The summary so far: `text` stays empty while parts are read. A part is one reading of the model.

    `words_read` of `words_total` words of the text were read (a Chinese or Japanese character is a word).
    `finish` is empty until the end, then why it ended: "length" means that a sentence may be cut.
    """

    text: str
    done_parts: int
    parts: int
    words_read: int
    words_total: int
    finish: Finish = ""
    notes: tuple[Message, ...] = ()


def summarize(engine: Engine, text: str, options: SummaryOptions = SummaryOptions()) -> Iterator[SummaryUpdate]:
    """Read the whole text and summarize it; there is an update for every piece the engine writes.

    Closing the iterator closes the engine's stream. Raises BadInput for a blank text.
    """
    if not text.strip():
        raise BadInput("prompt_empty", model=engine.info.model.name)
    options, notes = _in_language(engine.info.model, text, options)
    pieces = _pieces(engine, text)
    start = SummaryUpdate("", 0, _readings(len(pieces)), 0, _words(text), notes=notes)
    yield start
    short = text
    for _ in range(ROUNDS):
        if len(pieces) == 1:
            break
        short = ""
        for piece in pieces:
            for short_piece in _part(engine, piece, options):
                ...
    raise NotImplementedError


def _words(text: str) -> int:
    return len(_WORD.findall(text))
