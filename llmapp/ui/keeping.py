"""Keep as example: a person corrects a result, keeps it, sees what they kept, takes it out as CSV, deletes it.

For every tab: the tab brings the widget that holds the corrected answer. Does not know what a task does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from ..catalog import Task
from ..tasks.tables import write_csv, write_xlsx
from .downloads import hidden_button, offer, wire_download
from .events import QUIET, bind
from .notice import notice
from .owners import owner_of
from .services import Services
from .words import tell, w

LABELLED = ("text", "label")
PAIRS = ("input", "output")
"""Columns of a table of examples: the Fine-tune tab looks for the first, where a task gives labels."""
SHOWN, CUT = 200, 80
"""Examples offered for deletion, and characters shown of one."""


@dataclass(frozen=True)
class Keeping:
    """The widgets; `row` is shown once there is a result to correct, `shelf` once something is kept.

    `given` is what the shown result was made of, whatever stands in the tab's box by now.
    """

    task: Task
    row: gr.Column | gr.Accordion
    given: gr.State
    right: gr.Dropdown | gr.Textbox
    keep: gr.Button
    said: gr.HTML
    shelf: gr.Accordion
    which: gr.Dropdown
    delete: gr.Button
    delete_all: gr.Button
    take: gr.Button
    download: gr.DownloadButton

    def outputs(self) -> list[Any]:
        """What changes when something is kept or deleted."""
        return [self.said, self.shelf, self.which]

    def offers(self) -> list[Any]:
        """What `offered` changes."""
        return [self.row, self.given]

    def offered(self, given: str) -> dict[Any, Any]:
        """A result of `given` can be corrected now; of an empty one there is none."""
        return {self.row: gr.update(visible=bool(given)), self.given: given}


def build_keeping(task: Task, right: Callable[[], gr.Dropdown | gr.Textbox] | gr.Textbox) -> Keeping:
    """Lay it out below a result; `right` makes the widget with the corrected answer, or is the result itself.

    Below a chat it is folded: not every answer is to be corrected.
    """
    with _row(task) as row:
        if isinstance(right, gr.Textbox):
            answer: gr.Dropdown | gr.Textbox = right
            gr.Markdown(w("keep.hint"), elem_classes="quiet")
        else:
            answer = right()
        keep = gr.Button(w("keep.keep"), size="sm", elem_id=f"{task}-keep")
    said = gr.HTML(elem_id=f"{task}-kept-said", padding=False)
    with gr.Accordion(w("keep.shelf"), open=False, visible=False, elem_id=f"{task}-kept") as shelf:
        which = gr.Dropdown([], label=w("keep.which"), elem_id=f"{task}-kept-which")
        with gr.Row():
            delete = gr.Button(w("keep.delete"), size="sm", elem_id=f"{task}-kept-delete")
            delete_all = gr.Button(w("keep.delete_all"), size="sm", variant="stop", elem_id=f"{task}-kept-delete-all")
            take = gr.Button(w("job.take_csv"), size="sm", elem_id=f"{task}-kept-take")
    download = hidden_button(f"{task}-kept-download")
    given = gr.State("")
    return Keeping(task, row, given, answer, keep, said, shelf, which, delete, delete_all, take, download)


def _row(task: Task) -> gr.Column | gr.Accordion:
    name = f"{task}-keep-row"
    if task == "chat":
        return gr.Accordion(w("keep.correct"), open=False, visible=False, elem_id=name)
    return gr.Column(visible=False, elem_id=name)


def wire_keeping(services: Services, opens: Sequence[Callable[..., Any]], keeping: Keeping) -> None:
    """What its buttons do, and the shelf as it is when the page or the tab is opened."""
    said = keeping.said
    kept = bind(_keep, services, keeping, said=said)
    keeping.keep.click(kept, [keeping.given, keeping.right], keeping.outputs(), **QUIET)
    for event in opens:
        event(bind(shelf, services, keeping, said=said), None, keeping.outputs(), **QUIET)
    deleted = bind(_delete, services, keeping, said=said)
    keeping.delete.click(deleted, [keeping.which], keeping.outputs(), **QUIET)
    keeping.delete_all.click(bind(_delete_all, services, keeping, said=said), None, keeping.outputs(), **QUIET)
    wire_download(keeping.take, keeping.download, _take, (services, keeping), [], [said], said)


def shelf(services: Services, keeping: Keeping, request: gr.Request) -> dict[Any, Any]:
    """What this person has kept."""
    found = services.examples.list(owner_of(services.settings, request), keeping.task)
    title = tell(request, "keep.shelf_of", count=len(found))
    lines = [(f"{_short(each.output)}: {_short(each.input)}", each.id) for each in found[:SHOWN]]
    return {
        keeping.shelf: gr.update(visible=bool(found), label=title),
        keeping.which: gr.update(choices=lines, value=lines[0][1] if lines else None),
        keeping.said: "",
    }


def kept_table(services: Services, request: gr.Request, task: Task) -> str:
    """One's examples of a task as a workbook, which changes no character, at a place that the page may read."""
    found = services.examples.list(owner_of(services.settings, request), task)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{tell(request, 'keep.file')}.xlsx"
        write_xlsx(path, _columns(task), ((each.input, each.output) for each in reversed(found)))
        return offer(services, request, path.name, path, "examples")


def _keep(services: Services, keeping: Keeping, given: str, right: str | None, request: gr.Request) -> dict[Any, Any]:
    services.guard.request(request)
    given, right = given or "", right or ""
    services.guard.characters(given + right)
    services.guard.size(request, len(f"{given}{right}".encode()))
    count = services.examples.keep(owner_of(services.settings, request), keeping.task, given, right)
    shown = {"text": _short(given), "output": _short(right)}
    labelled = keeping.task == "sentiment"
    said = notice(tell(request, "keep.kept" if labelled else "keep.kept_pair", **shown, count=count), "good")
    teach = notice(tell(request, "keep.teach")) if labelled else ""
    return shelf(services, keeping, request) | {keeping.said: said + teach}


def _short(text: str) -> str:
    return " ".join(text.split())[:CUT]


def _columns(task: Task) -> tuple[str, str]:
    return LABELLED if task == "sentiment" else PAIRS


def _delete(services: Services, keeping: Keeping, which: int | None, request: gr.Request) -> dict[Any, Any]:
    services.examples.delete(owner_of(services.settings, request), int(which or 0))
    return shelf(services, keeping, request)


def _delete_all(services: Services, keeping: Keeping, request: gr.Request) -> dict[Any, Any]:
    count = services.examples.delete_all(owner_of(services.settings, request), keeping.task)
    return shelf(services, keeping, request) | {keeping.said: notice(tell(request, "keep.deleted", count=count))}


def _take(services: Services, keeping: Keeping, request: gr.Request) -> dict[Any, Any]:
    found = services.examples.list(owner_of(services.settings, request), keeping.task)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{tell(request, 'keep.file')}.csv"
        write_csv(path, _columns(keeping.task), ((each.input, each.output) for each in reversed(found)))
        return {keeping.download: offer(services, request, path.name, path), keeping.said: ""}
