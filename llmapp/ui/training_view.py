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
    loss, right = _points(events, "loss", "loss"), _points(events, "valid", "accuracy")
    kept = [] if right else _points(events, "valid", "loss")
    high = max((y for _, y in (*loss, *kept)), default=1.0)
    drawn = [
        _chart(say("training.curve_loss", language), loss, (0.0, high), "{:.2f}"),
        _chart(say("training.curve_right", language), right, (0.0, 1.0), "{:.0%}"),
        _chart(say("training.curve_kept", language), kept, (0.0, high), "{:.2f}"),
    ]
    return f"<div class='curves'>{''.join(drawn)}</div>" if any(drawn) else ""


def _points(events: Sequence[Event], series: str, value: str) -> Points:
    """A step that was made twice, before a crash and after it, counts as it went the last time."""
    points = (e for e in events if e["kind"] == "point" and e["series"] == series and value in e)
    found = {e["step"]: float(e[value]) for e in points}
    return sorted(found.items())


def _chart(title: str, points: Points, span: tuple[float, float], form: str) -> str:
    if len(points) < 2:
        return ""
    low, high = span
    first, last = points[0][0], points[-1][0]

    def place(step: float, value: float) -> str:
        x = EDGE + (WIDTH - 2 * EDGE) * (step - first) / max(1, last - first)
        y = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (min(value, high) - low) / max(1e-9, high - low)
        return f"{x:.1f},{y:.1f}"

    line = " ".join(place(*point) for point in points)
    said = f"{title}: {form.format(points[0][1])} → {form.format(points[-1][1])}"
    return (
        f"<figure><figcaption>{escape(said)}</figcaption>"
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{escape(said, quote=True)}' "
        f"preserveAspectRatio='none'><polyline points='{line}'/></svg></figure>"
    )
