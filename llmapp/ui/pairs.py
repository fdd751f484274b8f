"""Sentences and their translations side by side: pointing at one lights its pair (page.js), alarms mark theirs."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ..messages import Message, say
from ..tasks.translate import Aligned
from .notice import quiet

Cells = list[str]


def pairs_html(aligned: Aligned, language: str) -> str:
    """A row for each line of the text: its sentences, their translations, what looks wrong; nothing for no text."""
    rows = "".join(
        f'<div class="line"><p dir="auto">{"".join(before)}</p><p dir="auto">{"".join(after)}</p>{"".join(said)}</div>'
        for before, after, said in _rows(aligned, language)
    )
    return f'{quiet(say("translate.pairs", language))}<div class="pairs">{rows}</div>' if rows else ""


def _rows(aligned: Aligned, language: str) -> Iterator[tuple[Cells, Cells, Cells]]:
    before: Cells = []
    after: Cells = []
    said: Cells = []
    gaps = zip(aligned.source.gaps[1:], aligned.target.gaps[1:], strict=True)
    sentences = zip(aligned.source, aligned.target, aligned.alarms, gaps, strict=True)
    for number, (source, target, alarms, (gap, spaced)) in enumerate(sentences):
        before.append(_sentence(number, source, alarms) + escape(gap.partition("\n")[0]))
        after.append(_sentence(number, target, alarms) + escape(spaced.partition("\n")[0]))
        said += [f'<p class="notice" data-pair="{number}">{escape(each.text(language))}</p>' for each in alarms]
        if "\n" in gap or number == len(aligned.source) - 1:
            yield before, after, said
            before, after, said = [], [], []


def _sentence(number: int, text: str, alarms: tuple[Message, ...]) -> str:
    marked = ' class="alarm"' if alarms else ""
    return f'<span data-pair="{number}" tabindex="0"{marked}>{escape(text)}</span>'
