"""The shelf beside the chat: kept conversations to find, rename, take out, bring in and delete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import BadInput
from . import chat_view
from .chat_page import Page, Shelf
from .downloads import hidden_button, offer, wire_download
from .events import QUIET, bind
from .notice import notice
from .owners import owner_of
from .services import Services
from .words import language_of, tell, w
from .work import page_key

Show = Callable[[Services, Page, str, str, str], dict[Any, Any]]
Write = Callable[[Services, str, gr.Request], str]
# The address keeps the conversation, so that a reload of this very tab comes back to it.
REMEMBER = """(place) => {
  const id = (place || "").split(":")[0], url = new URL(location.href);
  if (id) url.searchParams.set("chat", id); else url.searchParams.delete("chat");
  history.replaceState(null, "", url);
}"""


def build_shelf(has_kept: bool) -> Shelf:
    """Lay the shelf out in the current column; `has_kept` where a file was set aside that may hold conversations."""
    new = gr.Button(w("chat.new"), variant="secondary", elem_id="new-chat")
    search = gr.Textbox(
        show_label=False,
        label=w("chat.search"),
        placeholder=w("chat.search"),
        elem_id="search",
        container=False,
    )
    kept = gr.Radio([], show_label=False, label=w("chat.conversations"), elem_id="conversations", container=False)
    with gr.Accordion(w("chat.manage"), open=False, elem_id="manage"):
        title = gr.Textbox("", label=w("chat.title"), elem_id="title")
        with gr.Row():
            rename = gr.Button(w("chat.rename"), size="sm", min_width=80, elem_id="rename")
            delete = gr.Button(w("chat.delete"), size="sm", min_width=80, variant="stop", elem_id="delete")
        export_markdown = gr.Button(w("chat.export_markdown"), size="sm", elem_id="export-markdown")
        export_json = gr.Button(w("chat.export_json"), size="sm", elem_id="export-json")
        export_kept = gr.Button(w("chat.export_kept"), size="sm", visible=has_kept, elem_id="export-kept")
        download = hidden_button("download")
        bring_in = gr.UploadButton(w("chat.import"), size="sm", file_types=[".json", ".md"], elem_id="import")
        sure = gr.Textbox("", label=w("chat.delete_all_sure"), elem_id="sure")
        delete_all = gr.Button(w("chat.delete_all"), size="sm", variant="stop", elem_id="delete-all")
    return Shelf(
        new,
        search,
        kept,
        title,
        rename,
        delete,
        export_json,
        export_markdown,
        export_kept,
        download,
        bring_in,
        sure,
        delete_all,
    )


def wire_shelf(services: Services, page: Page, show: Show) -> None:
    """Connect the shelf to the conversation shown beside it."""
    shelf, outputs = page.shelf, page.outputs()
    # Emptied in the browser at once: a message sent before the server answers must not land in the old one.
    leaving = gr.Textbox("", visible=False)
    emptied = shelf.new.click(
        None, [page.place], [leaving, page.place, page.chatbot, page.status], js="place => [place, '', [], '']", **QUIET
    )
    emptied.then(bind(_open_new, services, page, show, said=page.status), [leaving], outputs, **QUIET)
    shelf.list.input(
        bind(_open, services, page, show, said=page.status), [shelf.list], [*outputs, shelf.title], **QUIET
    )
    shelf.search.change(bind(_search, services, page, said=page.status), [shelf.search, page.place], outputs, **QUIET)
    shelf.rename.click(
        bind(_rename, services, page, show, said=page.status), [page.place, shelf.title], outputs, **QUIET
    )
    shelf.delete.click(bind(_delete, services, page, show, said=page.status), [page.place], outputs, **QUIET)
    for button, export in (
        (shelf.export_json, _export_json),
        (shelf.export_markdown, _export_markdown),
        (shelf.export_kept, _export_kept),
    ):
        first = (services, page, show, export)
        wire_download(button, shelf.download, _export, first, [page.place], outputs, page.status)
    shelf.bring_in.upload(bind(_bring_in, services, page, show, said=page.status), [shelf.bring_in], outputs, **QUIET)
    shelf.delete_all.click(
        bind(_delete_all, services, page, show, said=page.status), [shelf.sure], [*outputs, shelf.sure], **QUIET
    )
    page.place.change(None, [page.place], None, js=REMEMBER, **QUIET)


def _identity(place: str) -> str:
    return place.partition(":")[0]


def _open_new(services: Services, page: Page, show: Show, leaving: str, request: gr.Request) -> dict[Any, Any]:
    """What the page empties itself; a message that was sent before this came stays, with its place in the line."""
    key = page_key(request, "chat")
    services.turns.leave(key, _identity(leaving or ""))
    if services.turns.running(key):
        return {page.proceed: gr.update(visible=False)}
    updates = show(services, page, owner_of(services.settings, request), "", language_of(request))
    return {widget: update for widget, update in updates.items() if widget is not page.status}


def _open(services: Services, page: Page, show: Show, chosen: str, request: gr.Request) -> dict[Any, Any]:
    owner = owner_of(services.settings, request)
    services.turns.leave(page_key(request, "chat"))
    updates = show(services, page, owner, chosen, language_of(request))
    return updates | {page.shelf.title: services.conversations.get(owner, chosen).title}


def _search(services: Services, page: Page, query: str, place: str, request: gr.Request) -> dict[Any, Any]:
    found = services.conversations.list(owner_of(services.settings, request), query or "")
    chosen = _identity(place or "")
    value = chosen if any(h.id == chosen for h in found) else None
    return {page.shelf.list: gr.update(choices=chat_view.choices(found, language_of(request)), value=value)}


def _rename(services: Services, page: Page, show: Show, place: str, title: str, request: gr.Request) -> dict[Any, Any]:
    owner, language = owner_of(services.settings, request), language_of(request)
    if not place:
        raise BadInput("no_conversation_open")
    services.conversations.rename(owner, _identity(place), title)
    updates = show(services, page, owner, _identity(place), language)
    return {widget: updates[widget] for widget in (page.shelf.list, page.status)}


def _delete(services: Services, page: Page, show: Show, place: str, request: gr.Request) -> dict[Any, Any]:
    owner = owner_of(services.settings, request)
    services.turns.leave(page_key(request, "chat"))
    if place:
        services.conversations.delete(owner, _identity(place))
    return show(services, page, owner, "", language_of(request))


def _export(
    services: Services, page: Page, show: Show, write: Write, place: str, request: gr.Request
) -> dict[Any, Any]:
    owner = owner_of(services.settings, request)
    status = show(services, page, owner, _identity(place or ""), language_of(request))[page.status]
    return {page.shelf.download: write(services, place, request), page.status: status}


def _export_json(services: Services, _place: str, request: gr.Request) -> str:
    text = services.conversations.export_json(owner_of(services.settings, request))
    return offer(services, request, "conversations.json", text.encode())


def _export_markdown(services: Services, place: str, request: gr.Request) -> str:
    owner = owner_of(services.settings, request)
    if not place:
        raise BadInput("no_conversation_open")
    conversation = services.conversations.get(owner, _identity(place))
    text = services.conversations.export_markdown(owner, conversation.id)
    return offer(services, request, f"{conversation.title}.md", text.encode())


def _export_kept(services: Services, _place: str, request: gr.Request) -> str:
    copy = services.store.kept[-1]
    text, _ = services.conversations.export_kept(owner_of(services.settings, request), copy)
    return offer(services, request, f"{copy.name}.json", text.encode())


def _bring_in(services: Services, page: Page, show: Show, path: str, request: gr.Request) -> dict[Any, Any]:
    owner, language = owner_of(services.settings, request), language_of(request)
    file = Path(path)
    services.guard.size(request, file.stat().st_size)
    services.turns.leave(page_key(request, "chat"))
    brought = services.conversations.import_text(owner, file.read_text(encoding="utf-8-sig"), file.name)
    updates = show(services, page, owner, brought[0].id if brought else "", language)
    return updates | {page.status: notice(tell(request, "chat.imported", count=len(brought)))}


def _delete_all(services: Services, page: Page, show: Show, sure: str, request: gr.Request) -> dict[Any, Any]:
    owner, language = owner_of(services.settings, request), language_of(request)
    if sure.strip().lower() not in ("delete", "删除"):
        raise BadInput("delete_all_unsure")
    services.turns.leave(page_key(request, "chat"))
    count = services.forget(owner)
    updates = show(services, page, owner, "", language)
    return updates | {
        page.shelf.sure: "",
        page.status: notice(tell(request, "chat.deleted_all", count=count)),
    }
