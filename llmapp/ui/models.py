"""The models tab: what there is, what it costs, what is on disk and loaded; download, load, unload, delete."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from ..backend.progress import Report
from ..catalog import Model
from ..messages import say
from .events import QUIET, bind, clock_from
from .facts import size
from .loading import progress_message
from .notice import notice
from .owners import owner_of
from .services import Services
from .words import language_of, tell, w

# The table is drawn anew this often while the tab is open.
TICK_S = 2


@dataclass(frozen=True)
class Page:
    """The tab's widgets."""

    table: gr.HTML
    chosen: gr.Dropdown
    said: gr.HTML
    status: gr.HTML


def build(services: Services, _demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it."""
    gr.Markdown(w("models.intro"), elem_classes="quiet")
    with gr.Row(equal_height=False):
        chosen = gr.Dropdown(_names(services, "", "en"), label=w("models.chosen"), elem_id="models-chosen", scale=3)
        with gr.Column(scale=4, min_width=320), gr.Row():
            download = gr.Button(w("models.download"), variant="primary", elem_id="models-download", min_width=90)
            load = gr.Button(w("models.load"), elem_id="models-load", min_width=90)
            unload = gr.Button(w("models.unload"), elem_id="models-unload", min_width=90)
            delete = gr.Button(w("models.delete"), variant="stop", elem_id="models-delete", min_width=90)
            cancel = gr.Button(w("models.cancel"), elem_id="models-cancel", min_width=90)
    said = gr.HTML(elem_id="models-said", padding=False)
    status = gr.HTML(elem_id="models-status", padding=False)
    table = gr.HTML(elem_id="models-table", padding=False)
    page = Page(table, chosen, said, status)
    for button, action in (
        (download, _download),
        (load, _load),
        (unload, _unload),
        (delete, _delete),
        (cancel, _cancel),
    ):
        button.click(bind(_act, services, page, action, said=said), [chosen], [said, status, table, chosen], **QUIET)
    tab.select(bind(_draw, services, page, said=said), [chosen], [said, status, table, chosen], **QUIET)
    clock = clock_from(tab.select, TICK_S)
    clock.tick(bind(_redraw, services, page, said=said), None, [said, status, table], **QUIET)


def _names(services: Services, owner: str, language: str) -> list[tuple[str, str]]:
    models = [(model.name, model.id) for model in services.catalog.models()]
    adapters = [
        (say("models.adapter", language, name=adapter.name), adapter.id)
        for adapter in services.catalog.adapters(owner)
        if adapter.owner
    ]
    return models + adapters


def _draw(services: Services, page: Page, chosen: str | None, request: gr.Request) -> dict[Any, Any]:
    owner, language = owner_of(services.settings, request), language_of(request)
    names = _names(services, owner, language)
    value = chosen if any(chosen == identity for _, identity in names) else names[0][1]
    return _redraw(services, page, request) | {page.chosen: gr.update(choices=names, value=value)}


def _redraw(services: Services, page: Page, request: gr.Request) -> dict[Any, Any]:
    language = language_of(request)
    return {page.table: models_table(services, language), page.status: _news(services, language)}


def _act(services: Services, page: Page, action: Any, chosen: str | None, request: gr.Request) -> dict[Any, Any]:
    """Every change needs the right to manage; what is said of it stays below the buttons until the next one."""
    services.guard.manage(request)
    said = action(services, chosen or "", request)
    return _draw(services, page, chosen, request) | {page.said: notice(said)}


def fetch(services: Services, model: Model) -> None:
    """Download a model behind the page."""

    def work(report: Report, cancel: threading.Event) -> None:
        services.sources.fetch(model, report, cancel)

    services.background.start(model.id, work)


def load(services: Services, name: str, owner: str) -> None:
    """Make a model ready behind the page, downloading it first where it is missing."""

    def work(report: Report, cancel: threading.Event) -> None:
        with services.pool.lease(name, owner, report=report, cancel=cancel):
            pass

    services.background.start(name, work)


def _download(services: Services, chosen: str, request: gr.Request) -> str:
    model, _ = services.catalog.resolve(chosen, owner_of(services.settings, request))
    if services.sources.where(model):
        return tell(request, "models.already", model=model.name)
    fetch(services, model)
    return ""


def _load(services: Services, chosen: str, request: gr.Request) -> str:
    owner = owner_of(services.settings, request)
    services.catalog.resolve(chosen, owner)
    load(services, chosen, owner)
    return ""


def _unload(services: Services, chosen: str, request: gr.Request) -> str:
    model, _ = services.catalog.resolve(chosen, owner_of(services.settings, request))
    services.pool.unload(model.id)
    return tell(request, "models.unloaded", model=model.name)


def _delete(services: Services, chosen: str, request: gr.Request) -> str:
    owner = owner_of(services.settings, request)
    model, adapter = services.catalog.resolve(chosen, owner)
    services.pool.unload(model.id)
    if adapter:
        services.catalog.delete_adapter(adapter.id, owner)
        return tell(request, "models.deleted", model=adapter.name)
    services.sources.delete(model)
    return tell(request, "models.deleted", model=model.name)


def _cancel(services: Services, chosen: str, _request: gr.Request) -> str:
    services.background.cancel(chosen)
    return ""


def _news(services: Services, language: str) -> str:
    lines = []
    for look in services.background.looks():
        moment = look.problem or progress_message(look.progress)
        lines.append(notice(f"{look.name}: {moment.text(language)}", "bad" if look.problem else ""))
    return "".join(lines)


def models_table(services: Services, language: str) -> str:
    """Every model as a row: what it is for, what it costs, where it stands."""
    loaded = {state.model_id for state in services.pool.loaded()}
    head = "".join(
        f"<th>{escape(say(f'models.{key}', language))}</th>" for key in ("name", "for", "costs", "licence", "state")
    )
    rows = "".join(map(partial(_row, services, loaded, language), services.catalog.models()))
    return f'<table class="models"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(services: Services, loaded: set[str], language: str, model: Model) -> str:
    state = "loaded" if model.id in loaded else "on_disk" if services.sources.where(model) else "absent"
    tasks = ", ".join(say(f"tab.{task}", language) for task in model.tasks)
    memory = size(model.memory_mb["fp32"])
    if downloads := [source.bytes for source in model.sources if hasattr(source, "bytes")]:
        costs = say("models.memory", language, download=size(min(downloads) / 1e6), fp32=memory)
    else:
        costs = say("models.memory_shipped", language, fp32=memory)
    cells = (
        f"<b>{escape(model.name)}</b><br><span class='quiet'>{escape(model.note.get(language, ''))}</span>",
        escape(tasks),
        escape(costs),
        f'<a href="{escape(model.licence_url)}" target="_blank" rel="noreferrer">{escape(model.licence)}</a>',
        f"<span class='state {state}'>{escape(say(f'models.state_{state}', language))}</span>",
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
