"""What the three text tabs share: text given on the left, a result on the right, run and stop."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..catalog import Task
from ..errors import BadInput
from ..messages import Message
from ..tasks.documents import KINDS, Document, read_document
from .api_call import Call
from .events import QUIET, bind
from .facts import facts_line
from .line import Waiter, Work, wire_line
from .model_choice import model_choices, offered_models
from .notice import notice, quiet
from .services import Services
from .words import language_of, tell, w
from .work import Made


@dataclass(frozen=True)
class Given:
    """The left side of a text tab."""

    text: gr.Textbox
    upload: gr.UploadButton
    model: gr.Dropdown
    run: gr.Button
    stop: gr.Button


def build_text(task: Task) -> tuple[gr.Textbox, gr.UploadButton]:
    """The box to paste into and the button that fills it from a file."""
    text = gr.Textbox(
        label=w(f"{task}.text"),
        placeholder=w(f"{task}.placeholder"),
        lines=12,
        max_lines=24,
        elem_id=f"{task}-text",
    )
    upload = gr.UploadButton(w("file.open"), file_types=list(KINDS), size="sm", elem_id=f"{task}-file")
    return text, upload


def build_model(services: Services, task: Task, elem_id: str = "") -> gr.Dropdown:
    """Which model does it; Auto takes what suits the machine."""
    choices, chosen = model_choices(services, task, "")
    return gr.Dropdown(
        choices, value=chosen, label=w("model.label"), elem_id=elem_id or f"{task}-model", filterable=False
    )


def build_buttons(task: Task) -> tuple[gr.Button, gr.Button]:
    """The one primary button, and Stop beside it."""
    with gr.Row():
        run = gr.Button(w(f"{task}.run"), variant="primary", elem_id=f"{task}-run", scale=3)
        stop = gr.Button(w("work.stop"), visible=False, variant="stop", elem_id=f"{task}-stop", scale=1)
    return run, stop


def wire_given(
    services: Services,
    demo: gr.Blocks,
    tab: gr.Tab,
    task: Task,
    given: Given,
    status: gr.HTML | gr.Markdown,
    work: Work,
) -> None:
    """Run and its place in the line, Stop, file to text, and the models that there are now."""
    given.upload.upload(bind(_opened, services, task, said=status), [given.upload], [given.text, status], **QUIET)
    waiter = Waiter(task, status, running(given), settled(given))
    wire_line(services, demo, waiter, work, given.stop.click)
    tab.select(bind(offered_models, services, task), [given.model], [given.model], **QUIET)


def running(given: Given) -> dict[Any, Any]:
    """Run gives way to Stop."""
    return {given.run: gr.update(interactive=False), given.stop: gr.update(visible=True)}


def settled(given: Given) -> dict[Any, Any]:
    """Stop gives way to Run."""
    return {given.run: gr.update(interactive=True), given.stop: gr.update(visible=False)}


def made_line(made: Made[Any], language: str, *more: str) -> str:
    """What made a result, in the quiet line below it."""
    return quiet(*more, facts_line(made.info.facts(), language))


def need_text(services: Services, text: str | None) -> str:
    """The text to work on. Raises BadInput for an empty or over-long one."""
    if not text or not text.strip():
        raise BadInput("text_empty")
    services.guard.characters(text)
    return text


def with_buttons(
    given: Given, updates: Iterator[dict[Any, Any]], made: gr.HTML | None = None, call: Call | None = None
) -> Iterator[dict[Any, Any]]:
    """The moments of a result between Run and Stop; at the end `made` also says how to call for it.

    The last one holds all that was shown: Gradio's page loses values that are followed at once by an update without
    them (it reads a message while the next one is already changing it). Copies, for Gradio empties what it is given.
    """
    yield running(given)
    shown: dict[Any, Any] = {}
    for update in updates:
        shown |= {widget: copy(value) for widget, value in update.items()}
        yield update
    if made is not None and call is not None:
        shown[made] = shown.get(made, "") + call.html
    yield shown | settled(given)


def waiting(moment: Message, language: str) -> str:
    """A sentence while the model is made ready."""
    return notice(moment.text(language))


def _opened(services: Services, task: Task, path: str, request: gr.Request) -> tuple[str, str]:
    """What is read of a file; to be translated, Markdown stays Markdown."""
    document = read_document(Path(path), services.settings.max_upload_mb)
    text = document.text if task == "translate" else document.plain
    services.guard.characters(text)
    return text, file_read(document, request)


def file_read(document: Document, request: gr.Request) -> str:
    """What was read of a file, and what a person must know about the reading."""
    sentence = tell(
        request,
        "file.read",
        name=document.name,
        characters=len(document.text),
        words=document.words,
        encoding=document.encoding.upper() or document.kind.upper(),
    )
    return notice(sentence, "good") + "".join(notice(note.text(language_of(request))) for note in document.notes)
