"""Which language a text is in, how sure that is, and how languages are written and called.

Tags are BCP-47 (`en`, `zh`, `zh-Hant`). Knows py3langid (BSD, its model is in the wheel); nothing of engines.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..catalog import Model
from ..errors import BadInput
from ..messages import Message, message, say

UNDETERMINED = "und"
"""BCP-47 for "nobody knows": numbers, a single word that many languages share, nothing."""

CERTAIN = 0.8
"""Probability from which the answer is taken for certain.

On 150 sentences in each of 41 languages (the test set in the package eld 1.0.6) answers above it were wrong
in 0.2 % of whole sentences, 0.5 % of first six words, 1.3 % of first three, 1.7 % of single first words.
"""

GUESS = 0.3
"""Below it there is not even a guess: the text is `und`."""

DETECTED = (
    "ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr",
    "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr",
    "sv", "sw", "ta", "th", "tr", "uk", "ur", "vi", "zh",
)  # fmt: skip
"""What `detect` tells apart: fewer than the library's 139, because each one more makes short texts harder."""

NAMES = (*DETECTED, "zh-Hant")
"""Tags that have a name (`language.<tag>` in the word files), detected or not."""

SPACELESS = ("zh", "zh-Hant", "ja")
"""Tags of languages that set no spaces between words, nor between sentences."""

_NO_TEXT = "zxx"  # the library's class for numbers, markup and identifiers
_TRADITIONAL = {"hant", "tw", "hk", "mo"}
_SAME = {"nb": "no", "nn": "no", "iw": "he", "in": "id", "cmn": "zh"}


@dataclass(frozen=True)
class Detection:
    """What language a text is in. `candidates` are (tag, probability), likeliest first, at most three.

    `certain` is False where the text is too short or too mixed to tell; `language` is then a guess or `und`.
    """

    language: str
    confidence: float
    candidates: tuple[tuple[str, float], ...]
    certain: bool


def detect(text: str) -> Detection:
    """The language of a text among `DETECTED`; never fails, says `und` instead."""
    if not any(letter.isalpha() for letter in text):
        return Detection(UNDETERMINED, 0.0, (), certain=False)
    ranked = _identifier().rank(text)[:3]
    candidates = tuple((tag, round(p, 4)) for tag, p in ranked if tag != _NO_TEXT and p >= 0.01)
    best, confidence = ranked[0]
    if best == _NO_TEXT or confidence < GUESS:
        return Detection(UNDETERMINED, 0.0, candidates, certain=False)
    return Detection(best, round(confidence, 4), candidates, certain=confidence >= CERTAIN)


def usual(found: Iterable[Detection]) -> str:
    """The language that more than half of those texts are in whose language is certain; empty where there is none."""
    certain = Counter(each.language for each in found if each.certain)
    return next((tag for tag, count in certain.most_common(1) if 2 * count > certain.total()), "")


def foreign(found: Detection, model: Model) -> Message | None:
    """What to say of a text that is certainly in a language the model was not made for."""
    if not found.certain or found.language in model.languages:
        return None
    return message("reason.language_foreign", model=model.name, language=Message(f"language.{found.language}"))


def normalise(tag: str) -> str:
    """The one spelling of a tag: `EN`, `en_US` -> `en`; `zh-CN`, `zh_Hans` -> `zh`; `zh-TW` -> `zh-Hant`.

    Raises BadInput for what is not in `NAMES`.
    """
    first, *rest = re.split("[-_]", tag.strip().lower())
    language = _SAME.get(first, first)
    if language == "zh" and _TRADITIONAL.intersection(rest):
        language = "zh-Hant"
    if language not in NAMES:
        raise BadInput("language_unknown", tag=tag, known=", ".join(NAMES))
    return language


def name(tag: str, language: str = "en") -> str:
    """What a language is called: `name("de", "zh")` is 德语. The tag itself where it has no name."""
    return say(f"language.{tag}", language) if tag in (*NAMES, UNDETERMINED) else tag


@cache
def _identifier() -> Any:
    """The library's model, read at first use: 80 MB of memory, over a second."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([*DETECTED, _NO_TEXT])
    return identifier
