"""How the answers of a judged table are spread: over time, and by a column of few values. Counts only, no drawing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from ..tasks.dates import read_days

MOST_BARS = 36
"""Bars of a chart over time that are still told apart on a phone."""
MOST_GROUPS = 12

Spread = list[tuple[str, dict[str, int]]]
"""A name and how many rows of each label, in the order to draw them."""

_UNITS: Mapping[str, tuple[Callable[[date], date], Callable[[date], date], str]] = {
    "day": (lambda day: day, lambda day: day + timedelta(days=1), "%Y-%m-%d"),
    "week": (lambda day: day - timedelta(days=day.weekday()), lambda day: day + timedelta(days=7), "%Y-%m-%d"),
    "month": (lambda day: day.replace(day=1), lambda day: (day + timedelta(days=31)).replace(day=1), "%Y-%m"),
}
"""Of each unit: the day it begins with, the day the next one begins with, and how it is called."""


def over_time(column: str, cells: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Labels by day, week, month or year, whichever gives the most bars up to `MOST_BARS`. A label may be ""."""
    found = read_days(cells, column)
    if found is None:
        return {"column": column, "format": "", "bars": []}
    dated = [(day, label) for day, label in zip(found.days, labels, strict=False) if day and label]
    unit, bars = _bars(dated)
    return {
        "column": column,
        "format": found.format,
        "also": found.also,
        "unread": found.unread,
        "unit": unit,
        "bars": bars,
    }


def by_group(column: str, cells: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Labels by value, the commonest `MOST_GROUPS` values; `more` is how many values are left out."""
    groups: dict[str, Counter[str]] = {}
    for cell, label in zip(cells, labels, strict=False):
        if label:
            groups.setdefault(" ".join(cell.split()), Counter())[label] += 1
    ordered = sorted(groups.items(), key=lambda entry: -entry[1].total())
    bars: Spread = [(name, dict(counts)) for name, counts in ordered[:MOST_GROUPS]]
    return {"column": column, "bars": bars, "more": max(0, len(ordered) - MOST_GROUPS)}


def _bars(dated: Sequence[tuple[date, str]]) -> tuple[str, Spread]:
    for unit, (begin, following, name) in _UNITS.items():
        counts: dict[date, Counter[str]] = {}
        for day, label in dated:
            counts.setdefault(begin(day), Counter())[label] += 1
        at, last = min(counts, default=date.max), max(counts, default=date.min)
        bars: Spread = []
        while at <= last and len(bars) <= MOST_BARS:
            bars.append((at.strftime(name), dict(counts.get(at, {}))))
            at = following(at)
        if len(bars) <= MOST_BARS:
            return unit, bars
    # Only the years there are: one that was mistyped would make a thousand empty bars.
    years: dict[str, Counter[str]] = {}
    for day, label in sorted(dated):
        years.setdefault(str(day.year), Counter())[label] += 1
    return "year", [(year, dict(counted)) for year, counted in years.items()]
