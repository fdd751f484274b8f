"""The mood of a text as a strip of colours, a block for each sentence, read on hover or tap, and as a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

from ..messages import say
from ..tasks.mood import Mood
from .charts import legend, tones
from .label_words import label_word

CUT = 300
"""Characters shown of a sentence."""


def mood_strip(moods: Sequence[Mood], language: str) -> str:
    """HTML; a block is as wide as its sentence is long, as strong as its label is likely. Nothing for one sentence."""
    if len(moods) < 2:
        return ""
    moods = [replace(each, label=label_word(each.label, language)) for each in moods]
    tone = tones(sorted({each.label for each in moods}))
    blocks = "".join(_block(each, tone[each.label]) for each in moods)
    items = "".join(f"<li dir='auto'><b>{escape(_said(each))}</b> {escape(_cut(each.text))}</li>" for each in moods)
    summary = escape(say("sentiment.as_list", language, sentences=len(moods)))
    hint = escape(say("sentiment.strip_hint", language))
    return (
        f"<h4>{escape(say('sentiment.strip', language))}</h4>{legend(list(tone), tone)}"
        f"<div class='mood' aria-hidden='true'>{blocks}<p class='quiet'>{hint}</p></div>"
        f"<details><summary>{summary}</summary><ol class='moods'>{items}</ol></details>"
    )


def _block(mood: Mood, tone: str) -> str:
    # Not in the order of the Tab key, where hundreds would stand in the way: the list says the same.
    return (
        f"<span class='{tone}' tabindex='-1' style='--share:{100 * mood.score:.0f}%;flex-grow:{len(mood.text)}'>"
        f"<span dir='auto'><b>{escape(_said(mood))}</b> {escape(_cut(mood.text))}</span></span>"
    )


def _said(mood: Mood) -> str:
    return f"{mood.label} {mood.score:.2f}"


def _cut(text: str) -> str:
    return text if len(text) <= CUT else f"{text[:CUT]}…"
