"""What a person has filled in on the fine-tune tab, kept as they go and put back when they come again.

Kept for who may train here. Does not know what is done with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import BadInput, Refused
from ..finetune.edits import Edits
from ..finetune.goals import AUTO, GOALS, settings_for
from ..finetune.order import KIND as JOB
from ..finetune.settings import EFFORTS
from ..jobs.job import sha256
from .doctor_view import Steps
from .downloads import offer
from .finetune_form import STEPS, Page
from .owners import owner_of
from .services import Services
from .training_settings import changed_knobs

Given = Mapping[Any, Any]
"""What the tab's widgets hold."""
COLUMNS = ("text", "label", "second", "system")
"""What a draft calls the columns that are picked, in the order of their widgets."""
NOTHING: Mapping[str, Any] = {
    "goal": GOALS[0],
    "text": "",
    "label": "",
    "second": "",
    "system": "",
    "base": AUTO,
    "effort": EFFORTS[0],
    "name": "",
    "prompts": "",
    "settings": {},
    "edits": [],
    "step": 1,
    "file": "",
    "sha256": "",
}
"""A draft in which nothing is filled in."""


def keep(services: Services, page: Page, given: Given, request: gr.Request) -> dict[Any, Any]:
    """Keep what is filled in. A stranger's is not: they can not train here. Raises TooLong."""
    try:
        services.guard.manage(request)
    except Refused:
        return {page.kept: gr.skip()}
    owner, file, was = owner_of(services.settings, request), given[page.table.file] or "", given[page.kept]
    digest = was.get("sha256", "")
    if file != was.get("file", ""):
        services.guard.size(request, Path(file).stat().st_size if file else 0)
        services.drafts.keep_file(owner, JOB, Path(file) if file else None)
        digest = sha256(Path(file)) if file else ""
    values = _filled_in(page, given) | {"file": file, "sha256": digest}
    services.drafts.keep(owner, JOB, values)
    return {page.kept: values}


def _filled_in(page: Page, given: Given) -> dict[str, Any]:
    columns = {name: given[column] or "" for name, column in zip(COLUMNS, page.table.columns, strict=True)}
    return columns | {
        "goal": given[page.goal],
        "base": given[page.base],
        "effort": given[page.effort],
        "name": given[page.name],
        "prompts": given[page.prompts],
        "settings": changed_knobs(page.knobs, given[page.goal], given),
        "edits": [asdict(step) for step in given[page.doctor.steps]],
        "step": given[page.way.at],
    }


def restore(services: Services, page: Page, begun: bool, request: gr.Request) -> dict[Any, Any]:
    """Put the draft of their last visit back, once for each page."""
    found = None if begun else services.drafts.read(owner_of(services.settings, request), JOB)
    if not found:
        return {page.begun: True}
    values = checked(found.values)
    file = offer(services, request, found.file.name, found.file, "draft") if found.file else ""
    return filled(page, values | {"file": file}) | {page.begun: True}


def start_anew(services: Services, page: Page, request: gr.Request) -> dict[Any, Any]:
    """Forget the draft; nothing is filled in."""
    services.drafts.delete(owner_of(services.settings, request), JOB)
    return filled(page, NOTHING)


def filled(page: Page, values: Mapping[str, Any]) -> dict[Any, Any]:
    """The tab with these values filled in; what depends on the goal follows it."""
    columns = zip(page.table.columns, (values[name] for name in COLUMNS), strict=True)
    picks = {column: gr.update(choices=[name] if name else [], value=name or None) for column, name in columns}
    return picks | {
        page.goal: values["goal"],
        page.table.file: values["file"] or None,
        page.effort: values["effort"],
        page.name: values["name"],
        page.prompts: values["prompts"],
        page.doctor.steps: _edits(values),
        page.way.walk: gr.Walkthrough(selected=values["step"]),
        page.way.at: values["step"],
        page.ready: gr.update(interactive=bool(values["file"])),
        page.kept: dict(values),
    }


def edits_of(page: Page, given: Given) -> Steps:
    """The edits that the draft has for the table and the columns that are on the page; none for others."""
    draft, file = given[page.kept], given[page.table.file]
    chosen = [given[column] or "" for column in page.table.columns]
    same = draft.get("goal") == given[page.goal] and [draft.get(name, "") for name in COLUMNS] == chosen
    return _edits(draft) if same and file and draft["edits"] and sha256(Path(file)) == draft["sha256"] else ()


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """A draft as this version can take it: what it does not know, as of another version, is as usual."""
    known = {name: value for name, value in values.items() if isinstance(value, type(NOTHING.get(name)))}
    draft = {**NOTHING, **known}
    for name, choices in (("goal", GOALS), ("effort", EFFORTS), ("step", range(1, len(STEPS) + 1))):
        draft[name] = draft[name] if draft[name] in choices else NOTHING[name]
    try:
        settings_for(draft["goal"], draft["settings"])
        _edits(draft)
    except (BadInput, TypeError, ValueError):
        draft |= {"settings": {}, "edits": []}
    return draft


def _edits(draft: Mapping[str, Any]) -> Steps:
    return tuple(Edits(**step) for step in draft["edits"])
