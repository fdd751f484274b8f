"""Long work as a tab shows it: one's own jobs of a kind, how the chosen one is, stop, go on, delete, take out.

Reads the jobs' folders through the supervisor. Does not know what the work is: each tab draws its own report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import NotFound
from ..jobs.job import ENDED, JobStatus
from ..messages import say
from .downloads import hidden_button, offer, wire_download
from .events import QUIET, bind, clock_from
from .notice import notice, quiet
from .owners import owner_of
from .services import Services
from .words import language_of, w

TICK_S = 1.5
PRESSED = """
const press = (event) => {
  const cell = event.target.closest("[data-cell]");
  if (!cell || (event.type === "keydown" && !["Enter", " "].includes(event.key))) return;
  event.preventDefault();
  trigger("click", { cell: cell.dataset.cell });
};
const mark = () => element.querySelectorAll("[data-cell]").forEach((cell) => {
  cell.tabIndex = 0;
  cell.setAttribute("role", "button");
});
element.addEventListener("click", press);
element.addEventListener("keydown", press);
watch("value", mark);
mark();
"""
"""Numbers of a report that can be pressed, by mouse or keyboard, where a tab listens to its `report.click`."""
WHOLE_ADDRESS = "path => path && new URL(path, location.origin + location.pathname).href"

Act = Callable[[Services, str, gr.Request], None]
Draw = Callable[[Mapping[str, Any], str], str]
"""A tab's own report card: (report, language) -> HTML."""
Tell = Callable[[Sequence[Mapping[str, Any]], bool, str], str]
"""What a tab tells of a job's events: (events, whether it has ended, language) -> HTML."""


@dataclass(frozen=True)
class Kind:
    """One kind of job: its name, which is the section of its words too, what it makes, and how its report is drawn.

    `tell` draws what has happened so far, where there is more to see than how far it is.
    """

    name: str
    files: tuple[str, ...]
    draw: Draw
    tell: Tell | None = None


@dataclass(frozen=True)
class Panel:
    """The widgets; `files` is a button for each file that a job of this kind makes.

    `ended` says which job is shown and how it ended, nothing while it has not: what follows from a result listens to
    that, for the report changes with every look. `chosen` is the id of the job that is shown. Where the clock asks
    about one that was deleted a moment ago, Gradio would refuse the value of `jobs` itself, with a traceback logged.
    """

    kind: Kind
    jobs: gr.Dropdown
    chosen: gr.Textbox
    ended: gr.Textbox
    report: gr.HTML
    said: gr.HTML
    stop: gr.Button
    resume: gr.Button
    delete: gr.Button
    share: gr.Button
    unshare: gr.Button
    link: gr.Textbox
    files: Mapping[str, gr.Button]
    download: gr.DownloadButton

    def buttons(self) -> list[gr.Button]:
        """What can be done with a job."""
        return [self.stop, self.resume, self.delete, self.share, self.unshare, *self.files.values()]

    def outputs(self) -> list[Any]:
        """What the clock redraws."""
        return [self.jobs, self.chosen, self.ended, self.report, self.said, *self.buttons()]


def build_panel(kind: Kind) -> Panel:
    """Lay the panel out in the current column."""
    name = kind.name
    jobs = gr.Dropdown([], label=w(f"{name}.runs"), elem_id=f"{name}-runs", visible=False)
    chosen = gr.Textbox("", visible=False)
    ended = gr.Textbox("", visible="hidden")
    report = gr.HTML(elem_id=f"{name}-report", padding=False, js_on_load=PRESSED)
    said = gr.HTML(elem_id=f"{name}-said", padding=False)
    with gr.Row():
        files = {
            file: gr.Button(w(f"job.take_{file}"), visible=False, size="sm", elem_id=f"{name}-take-{file}")
            for file in kind.files
        }
        stop = gr.Button(w("work.stop"), variant="stop", visible=False, size="sm", elem_id=f"{name}-stop-job")
        resume = gr.Button(w("job.resume"), visible=False, size="sm", elem_id=f"{name}-resume")
        delete = gr.Button(w("job.delete"), visible=False, size="sm", elem_id=f"{name}-delete")
        share = gr.Button(w("job.share"), visible=False, size="sm", elem_id=f"{name}-share")
        unshare = gr.Button(w("job.unshare"), visible=False, size="sm", elem_id=f"{name}-unshare")
    link = gr.Textbox(
        "",
        visible=False,
        interactive=False,
        label=w("job.link"),
        info=w("job.link_info"),
        buttons=["copy"],
        elem_id=f"{name}-link",
    )
    hidden = hidden_button(f"{name}-download")
    return Panel(kind, jobs, chosen, ended, report, said, stop, resume, delete, share, unshare, link, files, hidden)


def wire_panel(services: Services, opened: Callable[..., Any], panel: Panel) -> None:
    """Redraw it when its tab is opened, when another job is chosen, and as time goes by."""
    drawn = bind(_seen_again, services, panel, said=panel.said)
    panel.jobs.input(None, [panel.jobs], [panel.chosen], js="job => job", **QUIET)
    panel.jobs.input(drawn, [panel.jobs], panel.outputs(), **QUIET)
    for event in (opened, clock_from(opened, TICK_S).tick):
        event(drawn, [panel.chosen], panel.outputs(), **QUIET)
    for button, act in ((panel.stop, _stop), (panel.resume, _resume), (panel.delete, _delete)):
        button.click(bind(_act, services, panel, act, said=panel.said), [panel.chosen], panel.outputs(), **QUIET)
    _wire_link(services, panel)
    for file, button in panel.files.items():
        first = (services, panel, file)
        wire_download(button, panel.download, _take, first, [panel.chosen], [panel.said], panel.said)


def _wire_link(services: Services, panel: Panel) -> None:
    """A link is shown once, when it is made: of its secret only the hash is kept."""
    shown = [panel.link, panel.said, panel.share, panel.unshare]
    made = panel.share.click(bind(_share, services, panel, said=panel.said), [panel.chosen], shown, **QUIET)
    made.then(None, [panel.link], [panel.link], js=WHOLE_ADDRESS, **QUIET)
    panel.unshare.click(bind(_unshare, services, panel, said=panel.said), [panel.chosen], shown, **QUIET)
    panel.jobs.input(lambda: gr.update(value="", visible=False), None, [panel.link], **QUIET)


def _seen_again(services: Services, panel: Panel, job: str | None, request: gr.Request) -> dict[Any, Any]:
    """As `look`; the choice is left as it is: another may have been made while this was on its way."""
    seen = look(services, panel, job, request)
    return seen | ({panel.chosen: gr.skip()} if seen[panel.chosen] == job else {})


def look(services: Services, panel: Panel, job: str | None, request: gr.Request) -> dict[Any, Any]:
    """This person's jobs of the kind, and how the chosen one is; the newest where none is chosen."""
    owner, language = owner_of(services.settings, request), language_of(request)
    jobs = [status for status in services.supervisor.jobs(owner) if status.kind == panel.kind.name]
    if not jobs:
        hidden = gr.update(visible=False)
        empty = {panel.chosen: "", panel.ended: "", panel.report: notice(say(f"{panel.kind.name}.no_runs", language))}
        none = empty | {panel.jobs: gr.update(choices=[], value=None, visible=False)}
        return none | dict.fromkeys(panel.buttons(), hidden)
    status = next((s for s in jobs if s.id == job), jobs[0])
    choices = [(_title(services, s, owner, language), s.id) for s in jobs]
    made = made_files(services, status, owner)
    return {button: gr.update(visible=file in made) for file, button in panel.files.items()} | {
        panel.jobs: gr.update(choices=choices, value=status.id, visible=True),
        panel.chosen: status.id,
        panel.ended: f"{status.id} {status.state}" if status.state in ENDED else "",
        panel.report: report_html(services, panel.kind, status, owner, language),
        panel.stop: gr.update(visible=status.state not in ENDED),
        panel.resume: gr.update(visible=status.resumable),
        panel.delete: gr.update(visible=status.state in ENDED),
        panel.share: gr.update(visible=True),
        panel.unshare: gr.update(visible=services.supervisor.shared(status.id, owner)),
    }


def report_html(services: Services, kind: Kind, status: JobStatus, owner: str, language: str) -> str:
    """How it is, and what the tab has to tell of how it went."""
    told = kind.tell(services.supervisor.events(status.id, owner), status.state in ENDED, language) if kind.tell else ""
    return _state_html(services, kind, status, owner, language) + told


def _state_html(services: Services, kind: Kind, status: JobStatus, owner: str, language: str) -> str:
    """Progress while it works; the tab's own report when it is done; what to do when it is not."""
    if status.state == "done":
        return kind.draw(services.supervisor.report(status.id, owner), language)
    if status.problem:
        kept = notice(say("job.kept", language)) if status.resumable else ""
        sentences = notice(status.problem.text(language), "bad") + kept
        return sentences + _inside(services.supervisor.traceback(status.id, owner), status, language)
    if status.state in ("stopped", "interrupted"):
        return notice(say(f"job.{status.state}_at", language, step=status.step, steps=status.steps))
    if status.state == "queued":
        ahead = services.supervisor.ahead(status.id, owner)
        return notice(say("job.ahead", language, ahead=ahead)) + _may_close(language)
    return _progress(status, language) + _may_close(language)


def _inside(trace: str, status: JobStatus, language: str) -> str:
    """Where in the program it failed, folded: for who is asked for help."""
    if not trace or status.state != "failed":
        return ""
    title = escape(say("job.inside", language))
    return f"<details class='call trace'><summary>{title}</summary><pre>{escape(trace)}</pre></details>"


def _progress(status: JobStatus, language: str) -> str:
    phase = say(f"job.phase_{status.phase}", language) if status.phase else say(f"job.{status.state}", language)
    share = round(100 * status.step / status.steps) if status.steps else 0
    counted = status.steps and status.phase != "loading"  # which counts bytes
    at = say("job.at", language, step=status.step, steps=status.steps) if counted else ""
    left = say("job.left", language, minutes=max(1, round((status.eta_s or 0) / 60))) if status.eta_s else ""
    bar = f'<div class="progress" role="progressbar" aria-valuenow="{share}"><i style="width:{share}%"></i></div>'
    return notice(f"{phase} {at} {left}") + bar


def _may_close(language: str) -> str:
    return quiet(say("job.may_close", language))


def _title(services: Services, status: JobStatus, owner: str, language: str) -> str:
    name = services.supervisor.name(status.id, owner)
    return f"{name} · {say(f'job.{status.state}', language)}"


def _act(services: Services, panel: Panel, act: Act, job: str, request: gr.Request) -> dict[Any, Any]:
    """A button below a job was pressed; what went wrong with the one before is no longer said."""
    act(services, job, request)
    return look(services, panel, job, request) | {panel.said: ""}


def _take(services: Services, panel: Panel, file: str, job: str, request: gr.Request) -> dict[Any, Any]:
    path = result_file(services, job, owner_of(services.settings, request), file)
    return {panel.download: offer(services, request, path.name, path), panel.said: ""}


def made_files(services: Services, status: JobStatus, owner: str) -> Mapping[str, str]:
    """What there is to take out of a job that has ended; some of it where it was stopped."""
    try:
        report = services.supervisor.report(status.id, owner) if status.state in ENDED else {}
    except NotFound:
        report = {}
    return dict(report.get("files", {}))


def _share(services: Services, panel: Panel, job: str, request: gr.Request) -> dict[Any, Any]:
    secret = services.supervisor.share(job, owner_of(services.settings, request))
    address = f"?job={job}&link={secret}"
    return {panel.link: gr.update(value=address, visible=True), panel.said: "", panel.unshare: gr.update(visible=True)}


def _unshare(services: Services, panel: Panel, job: str, request: gr.Request) -> dict[Any, Any]:
    services.supervisor.unshare(job, owner_of(services.settings, request))
    said = notice(say("job.unshared", language_of(request)))
    gone = gr.update(visible=False)
    return {panel.link: gr.update(value="", visible=False), panel.said: said, panel.unshare: gone}


def _stop(services: Services, job: str, request: gr.Request) -> None:
    services.supervisor.stop(job, owner_of(services.settings, request))


def _resume(services: Services, job: str, request: gr.Request) -> None:
    owner = owner_of(services.settings, request)
    services.guard.job(request, services.supervisor.status(job, owner).kind)
    services.supervisor.resume(job, owner)


def _delete(services: Services, job: str, request: gr.Request) -> None:
    services.supervisor.delete(job, owner_of(services.settings, request))


def result_file(services: Services, job: str, owner: str, file: str) -> Path:
    """A file that a job made, by what it is for ("csv"; empty: the first). Raises NotFound as long as there is none."""
    made = services.supervisor.report(job, owner).get("files", {})
    file = file or next(iter(made), "")
    if file not in made:
        raise NotFound("job_no_file", job=job, file=file, files=", ".join(made) or "-")
    return services.supervisor.result_path(job, owner) / str(made[file])
