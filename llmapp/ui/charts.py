"""Bars of labels as HTML that follows the theme: shares, columns over time, rows by group, and their numbers.

Colours say what a label means where it is a feeling; words say it too, for whoever sees no colours. Knows no task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from ..tasks.columns import feeling

TONES = 8
"""Colours there are for labels that are no feelings."""

Bars = Sequence[tuple[str, Mapping[str, int]]]


def tones(labels: Sequence[str]) -> dict[str, str]:
    """The class of each label's colour, in this order."""
    plain = [label for label in labels if not feeling(label)]
    return {label: f"tone-{feeling(label) or plain.index(label) % TONES}" for label in labels}


def shares(counts: Mapping[str, int], total: int) -> str:
    """How many there are of each label, and which part of all."""
    tone = tones(sorted(counts))
    bars = "".join(_share(label, count, count / max(1, total), tone[label]) for label, count in counts.items())
    return f"<dl class='shares'>{bars}</dl>"


def columns(bars: Bars, labels: Sequence[str], heads: Sequence[str]) -> str:
    """A column for each name, from left to right, each as parts of its own whole. `heads`: of the table of numbers."""
    tone = tones(sorted(labels))
    drawn = "".join(
        f"<div class='column'>{_parts(name, counts, labels, tone, 'height')}</div>" for name, counts in bars
    )
    ends = [bars[0][0], *([bars[len(bars) // 2][0]] if len(bars) > 4 else []), bars[-1][0]] if bars else []
    axis = "".join(f"<span>{escape(name)}</span>" for name in dict.fromkeys(ends))
    chart = f"<div class='columns'>{drawn}</div><div class='axis'>{axis}</div>"
    return f"{legend(labels, tone)}{chart}{_numbers(bars, labels, heads)}"


def rows(bars: Bars, labels: Sequence[str], heads: Sequence[str]) -> str:
    """A bar for each name, one below the other, each as parts of its own whole."""
    tone = tones(sorted(labels))
    drawn = "".join(
        f"<dt>{escape(name)} <span class='quiet'>{sum(counts.values()):,}</span></dt>"
        f"<dd class='parts'>{_parts(name, counts, labels, tone, 'width')}</dd>"
        for name, counts in bars
    )
    return f"{legend(labels, tone)}<dl class='shares'>{drawn}</dl>{_numbers(bars, labels, heads)}"


def _share(label: str, count: int, share: float, tone: str) -> str:
    width = f"{100 * share:.1f}%"
    return (
        f"<dt>{escape(label)} <span class='quiet'>{count:,} · {width}</span></dt>"
        f'<dd class="progress"><i class="{tone}" style="width:{width}"></i></dd>'
    )


def _parts(name: str, counts: Mapping[str, int], labels: Sequence[str], tone: Mapping[str, str], side: str) -> str:
    total = sum(counts.values())
    said = escape(f"{name}: " + ", ".join(f"{label} {counts[label]:,}" for label in labels if counts.get(label)))
    parts = "".join(
        f"<i class='{tone[label]}' style='{side}:{100 * counts[label] / total:.2f}%'></i>"
        for label in labels
        if counts.get(label)
    )
    return f"<div role='img' aria-label='{said}' title='{said}'>{parts}</div>"


def legend(labels: Sequence[str], tone: Mapping[str, str]) -> str:
    """Which colour is which label."""
    entries = "".join(f"<span><i class='{tone[label]}'></i>{escape(label)}</span>" for label in labels)
    return f"<p class='legend'>{entries}</p>"


def _numbers(bars: Bars, labels: Sequence[str], heads: Sequence[str]) -> str:
    """The same as a table; `heads` are its title and the head of its first column."""
    title, first = heads
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in (first, *labels))
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>"
        + "".join(f"<td>{counts.get(label, 0):,}</td>" for label in labels)
        + "</tr>"
        for name, counts in bars
    )
    table = f"<table class='matrix'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<details><summary>{escape(title)}</summary><div class='scroll'>{table}</div></details>"
