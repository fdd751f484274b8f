"""A whole document in a text tab: choose it, and a job works on it though the page is closed.

Starts jobs; what summarizes or translates is a process of its own and does not know this page. Options are the tab's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from ..bulk.orders import SummaryOrder, TranslationOrder
from ..bulk.writing import DOCUMENT
from ..catalog import Task
from ..tasks.documents import KINDS, read_document
from .events import QUIET, bind
from .facts import facts_line
from .job_panel import Kind, Panel, build_panel, wire_panel
from .model_choice import offered_models
from .notice import notice, quiet
from .owners import owner_of
from .services import Services
from .text_tab import build_model, file_read
from .words import w


@dataclass(frozen=True)
class Deed:
    """What is done to a document: the tab's task, and the kind of job."""

    task: Task
    kind: Kind


@dataclass(frozen=True)
class Page:
    """The widgets."""

    file: gr.File
    found: gr.HTML
    model: gr.Dropdown
    start: gr.Button
    panel: Panel


def build(
    services: Services,
    tab: gr.Tab,
    deed: Deed,
    widgets: Callable[[], Sequence[Any]],
    start: Callable[..., dict[Any, Any]],
) -> Page:
    """Lay it out and wire it. `widgets` makes the tab's own options, which `start` is given after file and model."""
    name = deed.kind.name
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            file = gr.File(label=w(f"{name}.file"), file_types=list(KINDS), elem_id=f"{name}-file", height=150)
            found = gr.HTML(elem_id=f"{name}-found", padding=False)
            own = widgets()
            with gr.Accordion(w("work.more"), open=False):
                model = build_model(services, deed.task, f"{name}-model")
            button = gr.Button(w(f"{name}.start"), variant="primary", interactive=False, elem_id=f"{name}-start")
        with gr.Column(min_width=320):
            panel = build_panel(deed.kind)
    page = Page(file, found, model, button, panel)
    started = bind(start, services, page, said=found)
    button.click(started, [file, model, *own], [found, *panel.outputs()], **QUIET)
    _wire(services, tab.select, deed, page)
    return page


def _wire(services: Services, opened: Callable[..., Any], deed: Deed, page: Page) -> None:
    refused = {"said": page.found, "settled": {page.start: gr.update(interactive=False)}}
    page.file.change(bind(_opened, services, page, **refused), [page.file], [page.found, page.start], **QUIET)
    opened(bind(offered_models, services, deed.task), [page.model], [page.model], **QUIET)
    wire_panel(services, opened, page.panel)


def _opened(services: Services, page: Page, path: str | None, request: gr.Request) -> dict[Any, Any]:
    """A file was chosen: read it, to say what it is."""
    if not path:
        return {page.found: "", page.start: gr.update(interactive=False)}
    document = read_document(Path(path), services.settings.max_upload_mb)
    return {page.found: file_read(document, request), page.start: gr.update(interactive=True)}


def start_job(
    services: Services,
    request: gr.Request | None,
    path: Path,
    deed: Deed,
    order: Callable[[str], SummaryOrder | TranslationOrder],
) -> str:
    """Start it and return its job id at once; `order` depends on the text. Raises BadInput, TooLong, Refused, Busy."""
    services.guard.job(request, deed.kind.name)
    services.guard.size(request, path.stat().st_size)
    text = read_document(path, services.settings.max_upload_mb).text
    services.guard.document(request, text)
    owner = owner_of(services.settings, request)
    return services.supervisor.start(deed.kind.name, owner, asdict(order(text)), {DOCUMENT: path})


def written_card(report: Mapping[str, Any], language: str, done: str, text: str, more: str, *facts: str) -> str:
    """What was written of a document: that it is done, what to know of it, the text, more to unfold, what made it."""
    return (
        notice(done, "good")
        + "".join(map(notice, report["notes"]))
        + f'<div class="result" dir="auto">{escape(text)}</div>'
        + more
        + quiet(*facts, facts_line(report["made"], language))
    )


def folded(kind: Literal["ol", "ul"], title: str, items: Sequence[str]) -> str:
    """A list to unfold; nothing where there are no items."""
    if not items:
        return ""
    rows = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<details><summary>{escape(title)}</summary><{kind}>{rows}</{kind}></details>"
