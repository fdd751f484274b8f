"""A training while it runs and after it: what happened in plain words, and how loss and score went.

Draws events of a job as HTML and SVG that follow the theme. Does not know how training works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..jobs.job import unpack
from ..messages import say

TOLD = 4
"""The latest sentences, while it runs."""
CUT = 200
"""Characters shown of what it is asked."""
WIDTH, HEIGHT, EDGE = 320, 120, 4

Event = Mapping[str, Any]
Points = Sequence[tuple[float, float]]


def story(events: Sequence[Event], language: str, most: int = TOLD) -> str:
    """HTML for the latest of what was said, newest first."""
    told = [unpack(e).text(language) for e in events if e["kind"] == "say"]
    lines = "".join(f"<li>{escape(line)}</li>" for line in dict.fromkeys(reversed(told[-most:])))
    return f"<ul class='story'>{lines}</ul>" if lines else ""


def shown(events: Sequence[Event], language: str) -> str:
    """HTML for what it answered at its latest look; nothing before one."""
    last = next((e for e in reversed(events) if e["kind"] == "shown"), None)
    if not last:
        return ""
    lines = "".join(
        f"<dt dir='auto'>{escape(row['text'][:CUT])}</dt><dd dir='auto'>{escape(row['answer'])}</dd>"
        for row in last["rows"]
    )
    title = escape(say("training.shown", language, step=last["step"]))
    return f"<div class='sayings'><h4>{title}</h4><dl>{lines}</dl></div>"


def curves(events: Sequence[Event], language: str) -> str:
    """HTML for the loss of each stretch of steps, and how the rows kept for choosing go: the share that is right, or
    where answers are written their loss.
    """
    return _drawn([_series(events)], (), language)


def compared_curves(runs: Sequence[Sequence[Event]], names: Sequence[str], language: str) -> str:
    """HTML as `curves`, with those of several trainings over each other and what each is called."""
    return _drawn([_series(events) for events in runs], names, language)


def _series(events: Sequence[Event]) -> Mapping[str, Points]:
    right = _points(events, "valid", "accuracy")
    return {
        "loss": _points(events, "loss", "loss"),
        "right": right,
        "kept": [] if right else _points(events, "valid", "loss"),
    }


def _drawn(runs: Sequence[Mapping[str, Points]], names: Sequence[str], language: str) -> str:
    high = max((y for run in runs for name in ("loss", "kept") for _, y in run[name]), default=1.0)
    kinds = (("loss", high, "{:.2f}"), ("right", 1.0, "{:.0%}"), ("kept", high, "{:.2f}"))
    charts = [
        _chart(say(f"training.curve_{name}", language), [run[name] for run in runs], names, most, form)
        for name, most, form in kinds
    ]
    return f"<div class='curves'>{''.join(charts)}</div>" if any(charts) else ""


def _points(events: Sequence[Event], series: str, value: str) -> Points:
    """A step that was made twice, before a crash and after it, counts as it went the last time."""
    points = (e for e in events if e["kind"] == "point" and e["series"] == series and value in e)
    found = {e["step"]: float(e[value]) for e in points}
    return sorted(found.items())


def _chart(title: str, lines: Sequence[Points], names: Sequence[str], high: float, form: str) -> str:
    """One line for each that has two points; its first and last value stand above, with its name where it has one."""
    drawn = [(number, points) for number, points in enumerate(lines) if len(points) > 1]
    if not drawn:
        return ""
    first, last = min(points[0][0] for _, points in drawn), max(points[-1][0] for _, points in drawn)

    def place(step: float, value: float) -> str:
        x = EDGE + (WIDTH - 2 * EDGE) * (step - first) / max(1, last - first)
        y = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * min(value, high) / max(1e-9, high)
        return f"{x:.1f},{y:.1f}"

    told = [(number, _told(points, names[number] if names else "", form)) for number, points in drawn]
    said = f"{title}: {'; '.join(each for _, each in told)}"
    keys = " ".join(f"<b class='line-{number}'></b>{escape(each)}" for number, each in told)
    caption = f"{escape(title)}: {keys}" if names else escape(said)
    paths = "".join(
        f"<polyline class='line-{number}' points='{' '.join(place(*point) for point in points)}'/>"
        for number, points in drawn
    )
    return (
        f"<figure><figcaption>{caption}</figcaption>"
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{escape(said, quote=True)}' "
        f"preserveAspectRatio='none'>{paths}</svg></figure>"
    )


def _told(points: Points, name: str, form: str) -> str:
    span = f"{form.format(points[0][1])} → {form.format(points[-1][1])}"
    return f"{name}: {span}" if name else span
