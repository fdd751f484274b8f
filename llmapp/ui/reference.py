"""Folded below a translation: compare it with one that a person trusts."""

from __future__ import annotations

import gradio as gr

from ..errors import BadInput
from ..tasks.compare import compare
from ..tasks.language import detect
from .events import QUIET, bind
from .notice import notice, quiet
from .services import Services
from .words import tell, w


def build(services: Services, translation: gr.Textbox) -> None:
    """Lay it out and wire it; what stands in `translation` is compared, a person's corrections included."""
    with gr.Accordion(w("reference.title"), open=False, elem_id="reference"):
        trusted = gr.Textbox(label=w("reference.text"), lines=4, max_lines=12, elem_id="reference-text")
        press = gr.Button(w("reference.compare"), elem_id="reference-compare")
        said = gr.HTML(elem_id="reference-said", padding=False)
    press.click(bind(_compared, services, said=said), [translation, trusted], [said], **QUIET)


def _compared(services: Services, translation: str, trusted: str, request: gr.Request) -> str:
    if not (translation or "").strip() or not (trusted or "").strip():
        raise BadInput("reference_missing")
    services.guard.request(request)
    services.guard.characters(translation + trusted)
    near = compare(translation, trusted, detect(trusted).language)
    told = tell(request, "reference.near", bleu=near.bleu, chrf=near.chrf, lines=near.lines)
    return notice(told) + quiet(near.signature)
