"""A training pushed to the Hugging Face Hub: name, for whom, a token where the app has none, and how far it is.

Asks for the push and tells how it goes; a process of its own sends. An access token is used once: it goes from the page
to that process, and is in nothing that is kept or sent back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from ..backend.hub_push import Pushed
from ..backend.progress import Progress, Report
from ..errors import NotFound
from ..finetune.to_hub import PUSH_FORMS, Wish, check_push_form, push_training, usual_name
from ..messages import say
from .events import FOLLOWED, QUIET, bind
from .facts import size
from .job_panel import Panel
from .loading import told
from .notice import notice
from .owners import owner_of
from .services import Services
from .take_along import making, taught
from .words import language_of, tell, w


@dataclass(frozen=True)
class Away:
    """The widgets."""

    box: gr.Accordion
    repo: gr.Textbox
    form: gr.Radio
    public: gr.Checkbox
    token: gr.Textbox
    press: gr.Button
    said: gr.HTML

    def outputs(self) -> list[Any]:
        """What another training changes."""
        return [self.box, self.repo, self.form, self.public, self.token, self.said]


@dataclass(frozen=True)
class Asked:
    """What a person or a script asks for, as it came."""

    repo: str
    form: str
    public: bool


def build() -> Away:
    """Lay it out in the current column; out of sight until a training is done."""
    with gr.Accordion(w("push.title"), open=False, visible=False, elem_id="push") as box:
        with gr.Row():
            repo = gr.Textbox("", label=w("push.name"), max_lines=1, elem_id="push-name")
            forms = [(w(f"push.{form}"), form) for form in PUSH_FORMS]
            form = gr.Radio(forms, value=PUSH_FORMS[0], label=w("push.form"), visible=False, elem_id="push-form")
        public = gr.Checkbox(False, label=w("push.public"), elem_id="push-public")
        token = gr.Textbox("", label=w("push.token"), type="password", visible=False, elem_id="push-token")
        press = gr.Button(w("push.button"), size="sm", elem_id="push-button")
        said = gr.HTML(elem_id="push-said", padding=False)
    return Away(box, repo, form, public, token, press, said)


def wire(services: Services, opened: Callable[..., Any], panel: Panel, away: Away) -> None:
    """Show it where there is something to push; push it."""
    seen = bind(_seen, services, away, said=away.said)
    for event in (panel.ended.change, opened):
        event(seen, [panel.chosen], away.outputs(), **QUIET)
    # What the Hub refused the app's own token, it may take from another.
    settled = {away.token: gr.update(visible=True)} if services.settings.may_use_hub else {}
    pushed = bind(_pushed, services, away, said=away.said, settled=settled)
    given = [panel.chosen, away.repo, away.form, away.public, away.token]
    away.press.click(pushed, given, [away.said, away.token], **FOLLOWED)


def push_job(
    services: Services, job: str, asked: Asked, token: str, request: gr.Request | None, report: Report
) -> Pushed:
    """Push what a training made. Raises LlmappError."""
    services.guard.manage(request)
    settings = replace(services.settings, hub_token=services.guard.hub_token(request, token))
    form, found = check_push_form(asked.form), taught(services, job, asked.form, request)
    wish = Wish(services.supervisor.name(job, owner_of(services.settings, request)), form, asked.repo, asked.public)
    return push_training(wish, *found, services.sources, settings, report)


def _seen(services: Services, away: Away, job: str | None, request: gr.Request) -> dict[Any, Any]:
    """Another training: its usual name, private, and nothing of what was typed for the last."""
    shown: dict[Any, Any] = {away.said: "", away.repo: "", away.public: False, away.form: gr.update(visible=False)}
    try:
        _, made, base = taught(services, job or "", PUSH_FORMS[0], request)
    except NotFound:
        return shown | {away.box: gr.update(visible=False), away.token: ""}
    name = usual_name(services.supervisor.name(job or "", owner_of(services.settings, request)), PUSH_FORMS[0], base)
    return shown | {
        away.box: gr.update(visible=True),
        away.repo: gr.update(value="", placeholder=name),
        away.form: gr.update(value=PUSH_FORMS[0], visible="asked_as" in made),
        away.token: gr.update(value="", visible=not services.guard.hub_token(request, "")),
    }


def _pushed(
    services: Services, away: Away, job: str, repo: str, form: str, public: bool, token: str, request: gr.Request
) -> Iterator[dict[Any, Any]]:
    """How far it is, in words; in the end where it is. The token leaves the page with that."""
    language, found = language_of(request), list[Pushed]()

    def work(report: Report) -> None:
        found.append(push_job(services, job, Asked(repo, form, public), token, request, report))

    yield {away.said: notice(say("push.start", language))}
    for progress in told(f"push {job}", work):
        yield {away.said: notice(_busy(progress, language))}
    done = found[0]
    code = "push.done_private" if done.private else "push.done_public"
    yield {away.said: notice(tell(request, code, url=done.url), "good"), away.token: ""}


def _busy(progress: Progress, language: str) -> str:
    if progress.phase == "converting":
        return making(progress, language)
    if progress.phase == "uploading":
        return say("push.busy", language, done=size(progress.done / 1e6), total=size(progress.total / 1e6))
    return say("push.checking" if progress.phase == "checking" else "push.start", language)
