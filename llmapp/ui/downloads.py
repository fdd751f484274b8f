"""Files a person takes out: made or copied where only they find them, then given by a button that presses itself.

A download button gives what it held when it was pressed; so a plain button makes the file, fills a hidden one and
presses it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from inspect import isgeneratorfunction
from pathlib import Path
from shutil import copyfile, rmtree
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from .events import FOLLOWED, QUIET, bind
from .owners import owner_of
from .services import Services


def hidden_button(elem_id: str) -> gr.DownloadButton:
    """The button that gives the file."""
    return gr.DownloadButton(visible="hidden", elem_id=elem_id)


def wire_download(
    press: gr.Button,
    hidden: gr.DownloadButton,
    make: Callable[..., Any],
    first: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    said: gr.HTML,
) -> None:
    """`make(*first, *inputs)` returns updates with a path for `hidden` when `press` is pressed; then it is given.

    Where it yields such updates, the last has the path. Where it raises, `said` says why, and the file of the last time
    is not given again.
    """
    made = bind(make, *first, said=said, settled={hidden: None})
    how = FOLLOWED if isgeneratorfunction(make) else QUIET
    event = press.click(made, list(inputs), [hidden, *outputs], **how)
    event.then(None, [hidden], None, js=_PRESS % hidden.elem_id, **QUIET)


def offer(services: Services, request: gr.Request, name: str, content: bytes | Path, place: str = "") -> str:
    """The path of a file to give. Each owner has one place for it, which nobody guesses and which is written over.

    Another `place` is for a file that is read on while others are given.
    """
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    services.guard.transfer(request, size)
    secret = f"{services.manager_key} {owner_of(services.settings, request)} {place}"
    folder = Path(get_upload_folder()) / "exports" / hashlib.sha256(secret.encode()).hexdigest()
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stem = re.sub(r"[^\w\- ()]+", "_", Path(name).stem).strip(" _")[:60] or "llmapp"
    path = folder / f"{stem}{Path(name).suffix}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        copyfile(content, path)
    return str(path)


_PRESS = """file => file && setTimeout(() => {
  const holder = document.querySelector("#%s");
  (holder.querySelector("a, button") || holder).click();
}, 300)"""
