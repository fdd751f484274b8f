"""A training that taught a model to write, taken along whole: two buttons below its report, and how far the making is.

Asks for the file and offers it; what makes it is a process of its own. Does not know how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..backend.progress import Progress, Report
from ..catalog import Model
from ..errors import NotFound
from ..finetune.take_along import FORMS, Form, take_along
from ..messages import say
from .downloads import hidden_button, offer, wire_download
from .events import QUIET, bind
from .job_panel import Panel
from .loading import told
from .notice import notice
from .owners import owner_of
from .services import Services
from .words import language_of, tell, w

GB = 1e9


@dataclass(frozen=True)
class Whole:
    """The widgets; a button for each form."""

    buttons: Mapping[Form, gr.Button]
    said: gr.HTML
    download: gr.DownloadButton


def build() -> Whole:
    """Lay it out in the current column; out of sight until a training that taught to write is done."""
    with gr.Row():
        buttons = {
            form: gr.Button(w(f"take_along.{form}"), visible=False, size="sm", elem_id=f"finetune-take-{form}")
            for form in FORMS
        }
    said = gr.HTML(elem_id="take-along-said", padding=False)
    return Whole(buttons, said, hidden_button("take-along-download"))


def wire(services: Services, opened: Callable[..., Any], panel: Panel, whole: Whole) -> None:
    """Show the buttons where they can be pressed; make the file, and give it."""
    seen, outputs = bind(_seen, services, whole, said=whole.said), [*whole.buttons.values(), whole.said]
    for event in (panel.ended.change, opened):
        event(seen, [panel.chosen], outputs, **QUIET)
    for form, button in whole.buttons.items():
        first = (services, whole, form)
        wire_download(button, whole.download, _taken, first, [panel.chosen], [whole.said], whole.said)


def whole_file(services: Services, job: str, form: Form, request: gr.Request | None, report: Report) -> Path:
    """The zip of a training in this form, made where it is not there yet. Raises Refused for strangers, NotFound."""
    services.guard.manage(request)
    return take_along(form, *taught(services, job, form, request), services.sources, report)


def taught(
    services: Services, job: str, file: str, request: gr.Request | None
) -> tuple[Path, Mapping[str, Any], Model]:
    """The result folder of a training that made an adapter, its report and its base. Raises NotFound, naming `file`."""
    owner = owner_of(services.settings, request)
    made = services.supervisor.report(job, owner)
    if "adapter" not in made.get("files", {}):
        raise NotFound("job_no_file", job=job, file=file, files=", ".join(made.get("files", {})) or "-")
    return services.supervisor.result_path(job, owner), made, services.catalog.model(made["base"])


def _seen(services: Services, whole: Whole, job: str | None, request: gr.Request) -> dict[Any, Any]:
    try:
        made = services.supervisor.report(job or "", owner_of(services.settings, request))
    except NotFound:
        made = {}
    wrote = "adapter" in made.get("files", {}) and "asked_as" in made
    return {button: gr.update(visible=wrote) for button in whole.buttons.values()} | {whole.said: ""}


def _taken(services: Services, whole: Whole, form: Form, job: str, request: gr.Request) -> Iterator[dict[Any, Any]]:
    """How far it is, in words; in the end the file."""
    language, found = language_of(request), list[Path]()

    def make(report: Report) -> None:
        found.append(whole_file(services, job, form, request, report))

    yield {whole.said: notice(say("take_along.start", language)), whole.download: None}
    for progress in told(f"take along {job}", make):
        yield {whole.said: notice(making(progress, language))}
    path = found[0]
    said = tell(request, "take_along.made", name=path.name, gb=path.stat().st_size / GB)
    yield {whole.download: offer(services, request, path.name, path), whole.said: notice(said, "good")}


def making(progress: Progress, language: str) -> str:
    """How far the making of the whole model is."""
    return say("take_along.busy", language, done=progress.done / GB, total=progress.total / GB)
