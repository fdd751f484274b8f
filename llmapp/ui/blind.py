"""Which answer is better, asked blind: before or after is not said until all are judged, so no wish decides.

Reads the tested rows of a training that learned to write; what was picked is kept with the drafts. Does not know
how anything is trained.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from ..finetune.evaluate import mcnemar
from ..messages import say
from .events import QUIET, bind
from .job_panel import Panel
from .lesson_view import result_of
from .notice import notice, quiet
from .owners import owner_of
from .services import Services
from .words import language_of, w
from .writer_card import LUCK

MOST, CUT = 20, 1000
"""Pairs to judge, and characters shown of an answer."""
PICKS = ("a", "b", "equal")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Blind:
    """The widgets; `picks` has a button for each of PICKS."""

    box: gr.Accordion
    pair: gr.HTML
    picks: Mapping[str, gr.Button]
    again: gr.Button
    said: gr.HTML

    def outputs(self) -> list[Any]:
        """All that a pick changes."""
        return [self.box, self.pair, *self.picks.values(), self.again, self.said]


def build() -> Blind:
    """Lay it out in the current column, folded; out of sight until something has learned to write."""
    with gr.Accordion(w("blind.title"), open=False, visible=False, elem_id="lesson-blind") as box:
        pair = gr.HTML(elem_id="blind-pair", padding=False)
        with gr.Row():
            picks = {name: gr.Button(w(f"blind.{name}"), size="sm", elem_id=f"blind-{name}") for name in PICKS}
        again = gr.Button(w("blind.again"), visible=False, size="sm", elem_id="blind-again")
        said = gr.HTML(elem_id="blind-said", padding=False)
    return Blind(box, pair, picks, again, said)


def wire(services: Services, opened: Callable[..., Any], panel: Panel, view: Blind) -> None:
    """The next pair comes when one is judged, and the verdict after the last."""
    for event in (panel.ended.change, opened):
        event(bind(_shown, services, view, said=view.said), [panel.chosen], view.outputs(), **QUIET)
    for name, button in view.picks.items():
        picked = bind(_picked, services, view, name, said=view.said)
        button.click(picked, [panel.chosen], view.outputs(), **QUIET)
    view.again.click(bind(_again, services, view, said=view.said), [panel.chosen], view.outputs(), **QUIET)


def _shown(services: Services, view: Blind, job: str | None, request: gr.Request) -> dict[Any, Any]:
    pairs = _pairs(services, job, request)
    return _drawn(services, view, job or "", pairs, request)


def _picked(services: Services, view: Blind, name: str, job: str, request: gr.Request) -> dict[Any, Any]:
    pairs = _pairs(services, job, request)
    picks = _kept(services, job, request) if pairs else []
    if len(picks) < len(pairs):
        services.drafts.keep(owner_of(services.settings, request), _kind(job), {"picks": [*picks, name]})
    return _drawn(services, view, job, pairs, request)


def _again(services: Services, view: Blind, job: str, request: gr.Request) -> dict[Any, Any]:
    """All are judged anew."""
    pairs = _pairs(services, job, request)
    if pairs:
        services.drafts.delete(owner_of(services.settings, request), _kind(job))
    return _drawn(services, view, job, pairs, request)


def _kind(job: str) -> str:
    return f"blind-{job}"


def _kept(services: Services, job: str, request: gr.Request) -> list[str]:
    found = services.drafts.read(owner_of(services.settings, request), _kind(job))
    return [pick for pick in found.values.get("picks", ()) if pick in PICKS] if found else []


def _pairs(services: Services, job: str | None, request: gr.Request) -> list[Row]:
    """The tested rows whose answer is another now, drawn by the job's own id; none where it did not learn to write."""
    report, tested = result_of(services, job, request)
    if "chrf" not in report.get("after", ()):
        return []
    others = [row for row in tested if row["before"].split() != row["answer"].split()]
    return random.Random(job).sample(others, min(MOST, len(others)))  # noqa: S311


def now_first(job: str, number: int) -> bool:
    """Whether A of a pair is what it says now: as a coin falls, always the same for a pair of a job."""
    return random.Random(f"{job} {number}").random() < 0.5  # noqa: S311


def _drawn(services: Services, view: Blind, job: str, pairs: Sequence[Row], request: gr.Request) -> dict[Any, Any]:
    language, picks = language_of(request), _kept(services, job, request) if pairs else []
    at = len(picks)
    open_ = at < len(pairs)
    buttons = dict.fromkeys(view.picks.values(), gr.update(visible=open_))
    return buttons | {
        view.box: gr.update(visible=bool(pairs)),
        view.pair: _pair(pairs[at], now_first(job, at), at, len(pairs), language) if open_ else "",
        view.again: gr.update(visible=bool(pairs) and not open_),
        view.said: verdict([_meant(job, i, pick) for i, pick in enumerate(picks)], language) if not open_ else "",
    }


def _meant(job: str, number: int, pick: str) -> str:
    """ "now", "before" or "equal"."""
    return pick if pick == "equal" else "now" if (pick == "a") == now_first(job, number) else "before"


def _pair(row: Row, first: bool, at: int, rows: int, language: str) -> str:
    sides = (row["answer"], row["before"]) if first else (row["before"], row["answer"])
    said = "".join(
        f"<dt>{name}</dt><dd dir='auto'>{escape(text[:CUT])}</dd>" for name, text in zip("AB", sides, strict=True)
    )
    where = quiet(say("blind.at", language, at=at + 1, rows=rows))
    return f"{where}<div class='answered'><p dir='auto'>{escape(row['text'][:CUT])}</p><dl>{said}</dl></div>"


def verdict(meant: Sequence[str], language: str) -> str:
    """HTML: how often which was preferred, and whether that could be luck (a sign test of those that are not equal)."""
    if not meant:
        return ""
    counts = {name: meant.count(name) for name in ("now", "before", "equal")}
    p = mcnemar([each == "before" for each in meant], [each == "now" for each in meant])
    luck = say("runs.luck" if p >= LUCK else "runs.real", language, p=p)
    kind = "good" if p < LUCK and counts["now"] > counts["before"] else ""
    return notice(f"{say('blind.verdict', language, **counts)} {luck}", kind)
