"""What a model answers, made a summary: no "Here is a summary:", no sentence twice, none too many, none in circles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..backend.engine import Finish
from .documents import WORD, count_words
from .language import SPACELESS
from .splitting import sentences

CIRCLE = 6
"""Words in a row that no good sentence says twice; a word of Chinese or Japanese counts as three characters."""

_PREFACE = re.compile(
    r"\s*(?:(?:sure|certainly|of course)[,!.]\s*)?"
    r"(?:here(?:'s| is| are)\b[^:\n]{0,80}|(?:the |a |in )?(?:summary|headline|title)\b[^:\n]{0,40}):\s*",
    re.IGNORECASE,
)
_PREFACE_BEGINS = re.compile(
    r"\s*(?:sure|certainly|of course|here|(?:the |a |in )?(?:summary|headline|title))\b[^:.\n]{0,80}\Z"
    r"|\s*(?:\S{1,12}\s*){0,2}\Z",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+", re.MULTILINE)
_WORD = re.compile(WORD)


@dataclass(frozen=True)
class Wish:
    """What one reading is to give. `said` is the language to name in the question, if any; 0 words leaves them open."""

    form: str
    sentences: int
    focus: str
    language: str
    said: str
    words: int = 0


def cleaned(raw: str, wish: Wish, finish: Finish) -> tuple[str, bool]:
    """The answer without what does not belong to it, and whether it is complete though the model goes on."""
    if not finish and _PREFACE_BEGINS.match(raw):
        return "", False
    preface = _PREFACE.match(raw)
    body = _BULLET.sub("", raw[preface.end() :] if preface else raw).strip()
    if wish.form == "headline":
        line, goes_on, _ = body.partition("\n")
        first, *more = sentences(line, wish.language) or [""]
        straight = _until_it_circles(first, _circle(wish))
        return formed([straight], "headline", wish.language), bool(goes_on or more or straight != first)
    found = list(sentences(" ".join(body.split()), wish.language))
    if finish == "length" and len(found) > 1:
        found.pop()
    kept, enough = _kept(found, wish)
    return formed(kept, wish.form, wish.language), enough


def _kept(found: list[str], wish: Wish) -> tuple[list[str], bool]:
    """As many sentences as were asked for, up to the first that was there before or runs in circles."""
    kept: list[str] = []
    words = 0
    for each in found:
        size = count_words(each)
        full = words >= wish.words or words + size - wish.words > wish.words - words if wish.words else False
        if (full and kept) or (len(kept) == wish.sentences and not wish.words) or each in kept:
            return kept, True
        words += size
        straight = _until_it_circles(each, _circle(wish))
        kept.append(straight)
        if straight != each:
            return kept, True
    return kept, False


def _circle(wish: Wish) -> int:
    return 3 * CIRCLE if wish.language in SPACELESS else CIRCLE


def _until_it_circles(sentence: str, circle: int) -> str:
    """A sentence up to where it repeats so many words of its own, as small models do without an end."""
    words = list(_WORD.finditer(sentence))
    seen = set()
    for i in range(len(words) - circle + 1):
        run = tuple(word[0].lower() for word in words[i : i + circle])
        if run in seen:
            return sentence[: words[i].start()].rstrip(" ,;，；、") + " …"
        seen.add(run)
    return sentence


def formed(parts: Sequence[str], form: str, language: str) -> str:
    """Sentences as a paragraph, as bullets, or the first as a headline."""
    if form == "headline":
        return parts[0].strip(" #*\"'“”").rstrip(".。")
    if form == "bullets":
        return "\n".join(f"- {each}" for each in parts)
    return ("" if language in SPACELESS else " ").join(parts)


def joined(made: Sequence[str], wish: Wish) -> str:
    """Answers one after another, as one in the same form."""
    return ("\n" if wish.form == "bullets" else "" if wish.language in SPACELESS else " ").join(filter(None, made))
