"""What is wrong with a table that shall teach: each finding with its rows, one press that mends it, and the way back.

Asks `finetune.doctor`. Does not know how a table is read or what is taught with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from gradio.events import Dependency

from ..finetune.doctor import Finding, Row
from ..finetune.edits import Edits, together
from ..messages import say
from .events import QUIET, bind
from .job_panel import PRESSED
from .words import language_of, tell, w

SHOWN, CUT = 10, 160
"""Rows shown of a finding, and characters of a text."""

Steps = tuple[Edits, ...]
Given = Mapping[Any, Any]
"""What the tab's widgets hold."""


@dataclass(frozen=True)
class Patient:
    """The table, as its tab knows it.

    `rows`: with some edits; none before there is a table. `settle`: what else the tab becomes by them; may raise
    BadInput. `begin`: the edits that a table has when it is given.
    """

    rows: Callable[[Given, Edits], Sequence[Row]]
    examine: Callable[[Given, Sequence[Row]], Sequence[Finding]]
    settle: Callable[[Given, Edits, gr.Request], dict[Any, Any]]
    begin: Callable[[Given], Steps]


@dataclass(frozen=True)
class Doctor:
    """The widgets; `steps` are the edits made so far, each of which can be taken back, `fixes` those on offer."""

    findings: gr.HTML
    undo: gr.Button
    steps: gr.State
    fixes: gr.State

    def outputs(self) -> list[Any]:
        """What an examination changes."""
        return [self.findings, self.undo, self.steps, self.fixes]


def build_doctor() -> Doctor:
    """Lay it out in the current column."""
    findings = gr.HTML(elem_id="finetune-findings", padding=False, js_on_load=PRESSED)
    undo = gr.Button(w("doctor.undo"), visible=False, size="sm", elem_id="finetune-undo")
    return Doctor(findings, undo, gr.State(()), gr.State({}))


def wire_doctor(
    doctor: Doctor,
    given: Sequence[Any],
    fresh: Sequence[Callable[..., Any]],
    patient: Patient,
    outputs: Sequence[Any],
    said: gr.HTML,
) -> list[Dependency]:
    """Examine when one of the `fresh` events happens; `given` are the widgets that tell the table. Returns what changes
    the edits.
    """
    everything = [*doctor.outputs(), *outputs]
    gone = {doctor.findings: "", doctor.undo: gr.update(visible=False), doctor.steps: (), doctor.fixes: {}}
    seen = {**QUIET, "show_progress": "minimal", "show_progress_on": doctor.findings}  # many rows take a while
    examined = bind(_examined, doctor, patient, said=said, settled=gone)
    looked = [event(examined, set(given), everything, **seen) for event in fresh]
    known = {*given, doctor.steps, doctor.fixes}
    mended = doctor.findings.click(bind(_mended, doctor, patient, said=said), known, everything, **QUIET)
    undone = doctor.undo.click(bind(_undone, doctor, patient, said=said), known, everything, **QUIET)
    return [*looked, mended, undone]


def _examined(doctor: Doctor, patient: Patient, given: Given, request: gr.Request) -> dict[Any, Any]:
    """Another table, or other columns: nothing is edited yet, unless it is the draft's."""
    steps = patient.begin(given)
    return _after(doctor, patient, given, steps, request) if steps else _drawn(doctor, patient, given, (), request)


def _mended(doctor: Doctor, patient: Patient, given: Given, request: gr.Request, event: gr.EventData) -> dict[Any, Any]:
    """One finding's fix; a press on what is no longer there does nothing."""
    steps: Steps = tuple(given[doctor.steps])
    fix = given[doctor.fixes].get(str(event._data.get("cell", "")))
    if fix:
        steps = (*steps, fix)
    return _after(doctor, patient, given, steps, request)


def _undone(doctor: Doctor, patient: Patient, given: Given, request: gr.Request) -> dict[Any, Any]:
    return _after(doctor, patient, given, tuple(given[doctor.steps])[:-1], request)


def _after(doctor: Doctor, patient: Patient, given: Given, steps: Steps, request: gr.Request) -> dict[Any, Any]:
    return _drawn(doctor, patient, given, steps, request) | patient.settle(given, together(steps), request)


def _drawn(doctor: Doctor, patient: Patient, given: Given, steps: Steps, request: gr.Request) -> dict[Any, Any]:
    seen = patient.rows(given, together(steps))
    texts = {row.number: row for row in seen}
    found = _by_name(patient.examine(given, seen))
    language = language_of(request)
    drawn = "".join(_finding(name, finding, texts, language) for name, finding in found.items())
    title = f"<h4>{escape(tell(request, 'doctor.title'))}</h4>" if drawn or steps else ""
    fine = f"<p class='quiet'>{escape(tell(request, 'doctor.nothing'))}</p>" if seen and not drawn else ""
    return {
        doctor.findings: f"{title}{drawn}{fine}",
        doctor.undo: gr.update(visible=bool(steps), value=tell(request, "doctor.undo_of", steps=len(steps))),
        doctor.steps: steps,
        doctor.fixes: {name: finding.fix for name, finding in found.items()},
    }


def _by_name(found: Sequence[Finding]) -> dict[str, Finding]:
    """Each under a name of its own: there may be several of a code."""
    return {f"{finding.code}:{finding.values.get('label', '')}": finding for finding in found}


def _finding(name: str, finding: Finding, rows: Mapping[int, Row], language: str) -> str:
    shown = [rows[number] for number in finding.rows[:SHOWN]]
    body = "".join(
        f"<tr><td class='quiet'>{row.number}</td><td dir='auto'>{escape(row.text[:CUT])}</td>"
        f"<td>{escape(row.label)}</td></tr>"
        for row in shown
    )
    more = say("doctor.more", language, rows=len(finding.rows) - len(shown)) if len(finding.rows) > len(shown) else ""
    rest = f"<p class='quiet'>{escape(more)}</p>" if more else ""
    table = f"<div class='scroll'><table class='matrix'><tbody>{body}</tbody></table></div>{rest}"
    fix = (
        f"<button type='button' class='fix' data-cell='{escape(name, quote=True)}'>"
        f"{escape(finding.offered.text(language))}</button>"
        if finding.fix
        else ""
    )
    summary = f"<summary>{escape(finding.said.text(language))}</summary>"
    return f"<div class='finding'><details>{summary}{table}</details>{fix}</div>"
