"""A job as who has its private link sees it: how it goes, what it made, Stop. Out of sight on every other page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from ..jobs.job import ENDED
from ..messages import say
from .downloads import hidden_button, offer, wire_download
from .events import QUIET, bind
from .job_panel import TICK_S, Kind, made_files, report_html, result_file
from .services import Services
from .words import language_of, w


@dataclass(frozen=True)
class View:
    """The widgets. `place` is "job id:secret" of the link that this page was opened with."""

    kinds: Mapping[str, Kind]
    box: gr.Column
    place: gr.Textbox
    report: gr.HTML
    said: gr.HTML
    stop: gr.Button
    files: Mapping[str, gr.Button]
    download: gr.DownloadButton
    clock: gr.Timer

    def outputs(self) -> list[Any]:
        """What the clock redraws."""
        return [self.report, self.said, self.stop, *self.files.values()]


def build(services: Services, demo: gr.Blocks, kinds: Mapping[str, Kind]) -> None:
    """Lay it out and wire it; it stays out of sight on a page that was opened without a link."""
    made = dict.fromkeys(file for kind in kinds.values() for file in kind.files)
    place = gr.Textbox("", visible=False)
    with gr.Column(visible=False, elem_id="shared-job") as box:
        report = gr.HTML(elem_id="shared-report", padding=False)
        said = gr.HTML(elem_id="shared-said", padding=False)
        with gr.Row():
            files = {
                file: gr.Button(w(f"job.take_{file}"), visible=False, size="sm", elem_id=f"shared-take-{file}")
                for file in made
            }
            stop = gr.Button(w("work.stop"), variant="stop", visible=False, size="sm", elem_id="shared-stop")
    clock = gr.Timer(TICK_S, active=False)
    view = View(kinds, box, place, report, said, stop, files, hidden_button("shared-download"), clock)
    opened = bind(_opened, services, view, said=said, settled={box: gr.update(visible=True)})
    demo.load(opened, None, [box, place, clock, *view.outputs()], **QUIET)
    hidden = dict.fromkeys((stop, *files.values()), gr.update(visible=False))
    withdrawn: dict[str, Any] = {"said": said, "settled": {report: "", **hidden}}
    clock.tick(bind(_look, services, view, **withdrawn), [place], view.outputs(), **QUIET)
    stop.click(bind(_stop, services, view, **withdrawn), [place], view.outputs(), **QUIET)
    for file, button in files.items():
        wire_download(button, view.download, _take, (services, view, file), [place], [said], said)


def _opened(services: Services, view: View, request: gr.Request) -> dict[Any, Any]:
    job, secret = (str(request.query_params.get(name) or "") for name in ("job", "link"))
    if not job or not secret:
        return {view.said: ""}
    place = f"{job}:{secret}"
    seen = {view.box: gr.update(visible=True), view.place: place, view.clock: gr.update(active=True)}
    return seen | _look(services, view, place, request)


def _look(services: Services, view: View, place: str, request: gr.Request) -> dict[Any, Any]:
    job, owner = _whose(services, place)
    status, language = services.supervisor.status(job, owner), language_of(request)
    name = services.supervisor.name(job, owner)
    title = f"<h3>{escape(say('job.shared', language, name=name))}</h3>"
    made = made_files(services, status, owner)
    return {button: gr.update(visible=file in made) for file, button in view.files.items()} | {
        view.report: title + report_html(services, view.kinds[status.kind], status, owner, language),
        view.said: "",
        view.stop: gr.update(visible=status.state not in ENDED),
    }


def _stop(services: Services, view: View, place: str, request: gr.Request) -> dict[Any, Any]:
    services.supervisor.stop(*_whose(services, place))
    return _look(services, view, place, request)


def _take(services: Services, view: View, file: str, place: str, request: gr.Request) -> dict[Any, Any]:
    path = result_file(services, *_whose(services, place), file)
    return {view.download: offer(services, request, path.name, path), view.said: ""}


def _whose(services: Services, place: str) -> tuple[str, str]:
    """The job of a link, and its owner. Raises NotFound once the link was withdrawn."""
    job, _, secret = place.partition(":")
    return job, services.supervisor.owner_by_link(job, secret)
