"""The chat tab's widgets as values that its parts hand to each other; lays nothing out and does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..backend.engine import Sampling
from ..errors import BadInput
from .chat_turn import Asked

Given = Mapping[Any, Any]
Updates = dict[Any, Any]


@dataclass(frozen=True)
class Shelf:
    """The widgets beside the chat."""

    new: gr.Button
    search: gr.Textbox
    list: gr.Radio
    title: gr.Textbox
    rename: gr.Button
    delete: gr.Button
    export_json: gr.Button
    export_markdown: gr.Button
    export_kept: gr.Button
    download: gr.DownloadButton
    bring_in: gr.UploadButton
    sure: gr.Textbox
    delete_all: gr.Button


@dataclass(frozen=True)
class Page:
    """The chat's widgets. `place` is "conversation id:version", kept by the page so that it outlives a restart."""

    chatbot: gr.Chatbot
    box: gr.MultimodalTextbox
    status: gr.HTML
    proceed: gr.Button
    place: gr.Textbox
    model: gr.Dropdown
    system: gr.Textbox
    knobs: Mapping[str, Any]
    shelf: Shelf

    def inputs(self) -> set[Any]:
        """What every action reads."""
        return {self.box, self.place, self.model, self.system, *self.knobs.values()}

    def outputs(self) -> list[Any]:
        """What every action may change."""
        return [self.chatbot, self.box, self.status, self.proceed, self.place, self.shelf.list]

    def asked(self, given: Given) -> Asked:
        """The settings as the answer wants them. Raises BadInput for one out of range."""
        values = {name: given[widget] for name, widget in self.knobs.items()}
        seed = values.pop("seed")
        whole = ("max_new_tokens", "top_k")
        try:
            numbers: dict[str, Any] = {k: int(v) if k in whole else float(v) for k, v in values.items()}
        except TypeError:
            raise BadInput("sampling_empty") from None
        sampling = Sampling(**numbers, seed=int(seed) if seed is not None else None)
        return Asked(model=given[self.model], system=(given[self.system] or "").strip(), sampling=sampling)
