"""The chat tab: what it shows and what each button does. The answer itself is `chat_turn`, drawing is `chat_view`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from html import escape
from typing import Any

import gradio as gr

from ..backend.engine import Sampling
from ..conversations import Conversation, Entry
from ..errors import NotFound, Stale
from ..messages import say
from ..tasks.documents import KINDS
from . import chat_view
from .api_call import folded_call
from .chat_page import Given, Page, Updates
from .chat_shelf import build_shelf, wire_shelf
from .chat_turn import Shown, answer, attachments
from .events import PRIVATE, QUIET, bind
from .keeping import Keeping, build_keeping, wire_keeping
from .line import Waiter, Work, wire_line
from .model_choice import AUTO, auto, model_choices, offered_models, resolve, wanted
from .notice import notice
from .owners import owner_of
from .services import Services
from .words import language_of, tell, w
from .work import page_key

# How often a page looks at an answer that another page is getting.
FOLLOW_S = 0.5
LATEX = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]
# The message box while an answer is written, and when none is.
BUSY = {"submit_btn": False, "stop_btn": True}
IDLE = {"submit_btn": True, "stop_btn": False}
# The box shows an icon for a file; which one it is stands below.
NAME_FILES = """box => (box?.files ?? []).map(file => {
  const name = document.createElement("p");
  name.textContent = file.orig_name ?? "";
  return name.outerHTML;
}).join("")"""


def build(services: Services, demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=220, elem_id="chat-shelf"):
            shelf = build_shelf(bool(services.store.kept))
        with gr.Column(scale=7, min_width=320):
            chatbot = gr.Chatbot(
                elem_id="conversation",
                show_label=False,
                height="62vh",
                min_height=320,
                editable="user",
                buttons=["copy", "copy_all"],
                latex_delimiters=LATEX,
                allow_tags=False,
                layout="bubble",
                placeholder=w("chat.empty"),
            )
            status = gr.HTML(elem_id="chat-status", elem_classes="quiet", padding=False)
            proceed = gr.Button(w("chat.continue"), visible=False, size="sm", elem_id="continue")
            box = gr.MultimodalTextbox(
                {"text": "", "files": []},
                show_label=False,
                label=w("chat.message"),
                placeholder=w("chat.placeholder"),
                file_types=list(KINDS),
                file_count="multiple",
                elem_id="message",
                max_plain_text_length=20_000,
            )
            attached = gr.HTML(elem_id="attached", elem_classes="quiet", padding=False)
            box.change(None, [box], [attached], js=NAME_FILES, **QUIET)
            with gr.Row(elem_id="examples"):
                tries = [gr.Button(w(key), size="sm", min_width=160) for key in EXAMPLES]
            call = gr.HTML(elem_id="chat-call", padding=False)
            keeping = build_keeping("chat", _right_answer)
        with gr.Column(scale=2, min_width=220, elem_id="chat-options"):
            model, why, system, knobs = _options(services)
        place = gr.Textbox("", visible=False)
    # It changes when an answer begins and ends, and when another conversation is opened.
    shown = [call, *keeping.offers(), keeping.right]
    place.change(bind(_about_last, services, call, keeping), [place], shown, **QUIET)
    wire_keeping(services, (demo.load, tab.select), keeping)
    page = Page(chatbot, box, status, proceed, place, model, system, knobs, shelf)
    _wire(services, demo, page)
    for key, button in zip(EXAMPLES, tries, strict=True):
        button.click(bind(_example, services, key), None, [box], **QUIET)
    wire_shelf(services, page, show)
    outputs, said = page.outputs(), page.status
    loaded = demo.load(bind(opened, services, page, said=said), None, [*outputs, model], **QUIET)
    demo.unload(bind(_closed, services))
    followed = bind(follow, services, page, said=said)
    loaded.then(followed, [place], outputs, concurrency_limit=None, show_progress="hidden", **PRIVATE)
    model.input(bind(_suit, services, page, said=why), [model], [*knobs.values(), why], **QUIET)
    demo.load(bind(_why, services, said=why), [model], [why], **QUIET)
    tab.select(bind(offered_models, services, "chat"), [model], [model], **QUIET)


EXAMPLES = ("chat.example_fact", "chat.example_reply", "chat.example_explain")


def _example(services: Services, key: str, request: gr.Request) -> dict[str, Any]:
    """In the page's language where the model that answers knows it, else in English."""
    known = language_of(request) in auto(services, "chat").model.languages
    return {"text": tell(request, key) if known else say(key, "en"), "files": []}


def _options(services: Services) -> tuple[gr.Dropdown, gr.HTML, gr.Textbox, dict[str, Any]]:
    choices, chosen = model_choices(services, "chat", "")
    model = gr.Dropdown(choices, value=chosen, label=w("chat.model"), elem_id="chat-model", filterable=False)
    why = gr.HTML(elem_id="chat-why", elem_classes="quiet", padding=False)
    system = gr.Textbox("", label=w("chat.system"), info=w("chat.system_info"), lines=3, max_lines=8)
    usual = Sampling()
    knobs: dict[str, Any] = {
        "temperature": gr.Slider(
            0, 2, usual.temperature, step=0.05, label=w("chat.temperature"), info=w("chat.temperature_info")
        )
    }
    with gr.Accordion(w("chat.more"), open=False):
        knobs["max_new_tokens"] = gr.Slider(16, 4096, usual.max_new_tokens, step=16, label=w("chat.max_new_tokens"))
        knobs["top_p"] = gr.Slider(0.05, 1, usual.top_p, step=0.05, label=w("chat.top_p"), info=w("chat.top_p_info"))
        knobs["top_k"] = gr.Slider(0, 200, usual.top_k, step=1, label=w("chat.top_k"), info=w("chat.top_k_info"))
        knobs["repetition_penalty"] = gr.Slider(
            0.8, 1.8, usual.repetition_penalty, step=0.05, label=w("chat.repetition_penalty")
        )
        knobs["seed"] = gr.Number(None, precision=0, label=w("chat.seed"), info=w("chat.seed_info"))
    return model, why, system, knobs


def _suit(services: Services, page: Page, model: str, request: gr.Request) -> list[Any]:
    """Another model was picked: its own usual settings, and what there is to say about it."""
    owner = owner_of(services.settings, request)
    found, _ = services.catalog.resolve(resolve(services, "chat", model, owner), owner)
    usual = {**asdict(Sampling()), **found.sampling}
    return [*(usual[name] for name in page.knobs), _why(services, model, request)]


def _why(services: Services, model: str, request: gr.Request) -> str:
    """Why Auto took what it took, or what the picked model is good and bad at."""
    language = language_of(request)
    if model == AUTO:
        choice = auto(services, "chat")
        foreign = "" if language in choice.model.languages else choice.model.note.get(language, "")
        text = " ".join(filter(None, (choice.why.text(language), foreign)))
    else:
        found, _ = services.catalog.resolve(model, owner_of(services.settings, request))
        text = found.note.get(language, "")
    return f"<p>{escape(text)}</p>"


def _wire(services: Services, demo: gr.Blocks, page: Page) -> None:
    starts = (
        (page.box.submit, send),
        (page.proceed.click, go_on),
        (page.chatbot.retry, retry),
        (page.chatbot.edit, edit),
    )
    work = Work(starts, page, page.inputs(), page.outputs())
    waiter = Waiter("chat", page.status, {page.box: gr.update(**BUSY)}, {page.box: gr.update(**IDLE)})
    wire_line(services, demo, waiter, work, page.box.stop)


def send(services: Services, page: Page, given: Given, request: gr.Request) -> Iterator[Updates]:
    """Add the message and its files, then answer."""
    box = given[page.box] or {}
    text = str(box.get("text") or "").strip()
    files = attachments(list(box.get("files") or ()), services.settings.max_upload_mb)
    if not text and not files:
        yield {page.proceed: gr.skip()}
        return
    _within_limits(services, request, text + "".join(file["text"] for file in files))
    mine = Entry("user", text, meta={"attachments": files} if files else {})
    yield from _answer(services, page, given, request, lambda entries: (*entries, mine, _blank()), mine.text)


def retry(services: Services, page: Page, given: Given, data: gr.RetryData, request: gr.Request) -> Iterator[Updates]:
    """Answer the message again that the pressed answer belongs to."""
    language = language_of(request)

    def until_question(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        place = chat_view.entry_at(entries, _index(data.index), language)
        while entries[place].role != "user":
            place -= 1
        return (*entries[: place + 1], _blank())

    yield from _answer(services, page, given, request, until_question)


def edit(services: Services, page: Page, given: Given, data: gr.EditData, request: gr.Request) -> Iterator[Updates]:
    """Change an earlier message; what came after it is answered anew."""
    language = language_of(request)

    def changed(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        place = chat_view.entry_at(entries, _index(data.index), language)
        text = chat_view.typed(str(data.value))
        _within_limits(services, request, text)
        return (*entries[:place], replace(entries[place], text=text), _blank())

    yield from _answer(services, page, given, request, changed)


def go_on(services: Services, page: Page, given: Given, request: gr.Request) -> Iterator[Updates]:
    """Continue the last answer from where it ended."""

    def reopened(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        return (*entries[:-1], replace(entries[-1], state="writing"))

    yield from _answer(services, page, given, request, reopened)


def _within_limits(services: Services, request: gr.Request, text: str) -> None:
    """What a stranger says, files included, is limited in length and in what they keep here."""
    services.guard.characters(text)
    services.guard.size(request, len(text.encode("utf-8", "replace")))


def _blank() -> Entry:
    return Entry("assistant", "", state="writing")


def _index(index: int | tuple[int, int] | list[int]) -> int:
    return index if isinstance(index, int) else index[0]


def _answer(
    services: Services,
    page: Page,
    given: Given,
    request: gr.Request,
    change: Callable[[tuple[Entry, ...]], tuple[Entry, ...]],
    title_from: str = "",
) -> Iterator[Updates]:
    owner, language = owner_of(services.settings, request), language_of(request)
    services.guard.request(request)
    services.turns.wait_until_opened(page_key(request, "chat"))
    asked = page.asked(given)
    asked = replace(asked, model=wanted(services, "chat", asked.model, request))
    conversation = _conversation(services, owner, str(given[page.place] or ""), title_from)
    entries = change(conversation.entries)
    try:
        version = services.conversations.save(owner, conversation.id, entries, conversation.version)
    except Stale as stale:
        # The page knew an older version: it is shown the newer one, and its message stays in the box.
        said = notice(stale.text(language), "bad")
        yield show(services, page, owner, conversation.id, language) | {page.status: said}
        return
    conversation = replace(conversation, entries=entries, version=version)
    first: Updates = {
        page.box: gr.update(value={"text": "", "files": []}, **BUSY),
        page.proceed: gr.update(visible=False),
    }
    with services.turns.begin(page_key(request, "chat"), conversation.id) as turn:
        for shown in answer(services, owner, conversation, asked, turn.stop):
            if turn.left.is_set():
                if shown.finished:
                    yield {page.box: gr.update(**IDLE)}
                continue
            moment = _moment(page, conversation.id, shown, language) | first
            if len(entries) == 2 and (first or shown.finished):
                moment |= {page.shelf.list: _list(services, owner, conversation.id, language)}
            yield moment
            first = {}


def _conversation(services: Services, owner: str, place: str, title: str) -> Conversation:
    identity, _, version = place.partition(":")
    if not identity:
        return services.conversations.create(owner, title)
    conversation = services.conversations.get(owner, identity)
    return replace(conversation, version=int(version or 0))


def _moment(page: Page, identity: str, shown: Shown, language: str) -> Updates:
    updates: Updates = {page.chatbot: chat_view.messages(shown.entries, language)}
    updates[page.place] = f"{identity}:{shown.version}"
    updates[page.status] = chat_view.status(shown.notes, shown.failed, shown.entries, language)
    if shown.finished:
        updates[page.box] = gr.update(**IDLE)
        updates[page.proceed] = gr.update(visible=can_continue(shown.entries))
    return updates


def can_continue(entries: tuple[Entry, ...]) -> bool:
    """True when the last answer has a beginning and no end."""
    return bool(entries) and entries[-1].state == "unfinished" and bool(entries[-1].text)


def show(services: Services, page: Page, owner: str, identity: str, language: str) -> Updates:
    """Open a kept conversation; an empty id is a new one."""
    entries: tuple[Entry, ...] = ()
    place = ""
    if identity:
        conversation = services.conversations.get(owner, identity)
        entries, place = conversation.entries, f"{identity}:{conversation.version}"
    return {
        page.chatbot: chat_view.messages(entries, language),
        page.place: place,
        page.status: chat_view.status((), False, entries, language),
        page.proceed: gr.update(visible=can_continue(entries)),
        page.shelf.list: _list(services, owner, identity or None, language),
    }


def opened(services: Services, page: Page, request: gr.Request) -> Updates:
    """What a page shows when it opens: the conversation in its address, else the newest."""
    owner, language = owner_of(services.settings, request), language_of(request)
    choices, chosen = model_choices(services, "chat", owner)
    headings = services.conversations.list(owner)
    wanted = str(request.query_params.get("chat") or (headings[0].id if headings else ""))
    try:
        updates = show(services, page, owner, wanted, language)
    except NotFound:
        updates = show(services, page, owner, "", language)
    return updates | {page.model: gr.update(choices=choices, value=chosen)}


def follow(services: Services, page: Page, place: str, request: gr.Request) -> Iterator[Updates]:
    """While an answer is still being written (before a reload, in another tab), show how it grows and ends.

    That the browser asks for this proves that it has what `opened` returned: from now on it may be written to.
    """
    services.turns.opened(page_key(request, "chat"))
    yield {page.proceed: gr.skip()}
    owner, language = owner_of(services.settings, request), language_of(request)
    identity = place.partition(":")[0]
    with services.turns.watch(page_key(request, "chat")) as left:
        while identity and not left.is_set():
            entries = services.conversations.get(owner, identity).entries
            yield show(services, page, owner, identity, language)
            if not entries or entries[-1].state != "writing":
                return
            left.wait(FOLLOW_S)
    yield {page.proceed: gr.skip()}  # Gradio draws the last one again when it ends, over what the page turned to


def _right_answer() -> gr.Textbox:
    return gr.Textbox(
        label=w("keep.answer"), info=w("keep.answer_info"), lines=4, max_lines=12, elem_id="chat-right-answer"
    )


def _about_last(services: Services, call: gr.HTML, keeping: Keeping, place: str, request: gr.Request) -> Updates:
    """Below the conversation: the last answer as an API call, and to be corrected and kept."""
    owner = owner_of(services.settings, request)
    try:
        entries = services.conversations.get(owner, place.partition(":")[0]).entries
    except NotFound:  # a new one, or deleted meanwhile
        entries = ()
    asked, answered = chat_view.example(entries)
    code = folded_call(request, "chat", chat_view.asked_again(entries))
    return {call: code, keeping.right: answered, **keeping.offered(asked)}


def _closed(services: Services, request: gr.Request) -> None:
    services.turns.closed(page_key(request, "chat"))


def _list(services: Services, owner: str, chosen: str | None, language: str) -> Any:
    headings = services.conversations.list(owner)
    return gr.update(choices=chat_view.choices(headings, language), value=chosen)
