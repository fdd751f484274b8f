"""LibreTranslate's HTTP API, so that programs made for it work with this app: its addresses, fields and codes.

The model is Auto's. Who waits here waits in a line of its own, of which one at a time asks for the model,
so that the page never stands behind more than one of these. Knows no tab.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import gradio as gr
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..backend.engine import Engine
from ..errors import BadInput, Busy, LlmappError, Refused
from ..messages import say
from ..tasks.encodings import Decoded
from ..tasks.formats.translating import translate_layout
from ..tasks.formats.web import web_layout
from ..tasks.language import UNDETERMINED, Detection, detect, name, normalise
from ..tasks.translate import TranslationUpdate, default_target, sides, translate
from ..transcripts import clean
from .model_choice import AUTO, auto
from .services import Services
from .words import language_of
from .work import Made, page_key, stream

T = TypeVar("T")
POSTS = ("/translate", "/detect", "/translate_file", "/suggest")
ADDRESSES = {*POSTS, "/languages", "/frontend/settings", "/health"}
THEIRS = {"zh": "zh-Hans", "no": "nb"}
"""Codes that LibreTranslate writes in another way than BCP-47 as used here."""
OURS = {"zt": "zh-Hant", "pb": "pt"}
"""Codes of its own models, which it takes too."""
STATUS_OF = ((Busy, 429), (Refused, 403), (BadInput, 400))
LINE = 64
"""So many may wait, as in the page's line."""
LOOK_S = 0.25
"""How often is looked whether who asked is still there."""
FORM_BYTES = 10**9  # the Doorkeeper has measured what strangers send
TYPING_MS = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """What is to be translated. `several`: it came as a list and goes back as one. No source: to be found."""

    texts: tuple[str, ...]
    several: bool
    source: str
    target: str
    alternatives: int
    html: bool = False


def routes(services: Services) -> list[Route]:
    """All addresses, for the app that Gradio makes."""
    libre = LibreTranslate(services)
    posts = (libre.translate, libre.detect, libre.not_offered, libre.not_offered)
    gets = {"/languages": libre.languages, "/frontend/settings": libre.settings, "/health": libre.health}
    found = [Route(path, _spoken(act), methods=["POST"]) for path, act in zip(POSTS, posts, strict=True)]
    return found + [Route(path, _spoken(act), methods=["GET"]) for path, act in gets.items()]


class LibreTranslate:
    """What each address answers, as plain values."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._line = asyncio.Semaphore(1)
        self._waiting = 0

    async def translate(self, request: Request) -> dict[str, Any]:
        """One text or several, each judged by itself where the source is to be found. Ends when the caller goes."""
        wish = read_wish(await read_fields(request))
        self._services.guard.characters("".join(wish.texts))
        asker = gr.Request(request, session_hash=secrets.token_hex(16))

        def stop() -> None:
            self._services.turns.stop(page_key(asker, "translate"))

        return answer(wish, await self._in_line(request, lambda: self._translated(asker, wish), stop))

    async def detect(self, request: Request) -> list[dict[str, Any]]:
        """Candidates for the language of a text, or of several taken together."""
        texts, _ = _texts(await read_fields(request))
        text = "\n".join(texts)
        self._services.guard.request(gr.Request(request))
        self._services.guard.characters(text)
        found = await asyncio.to_thread(detect, text)
        return [_found(tag, p) for tag, p in found.candidates] or [_found(UNDETERMINED, 0.0)]

    async def languages(self, request: Request) -> list[dict[str, Any]]:
        """What the model of Auto translates, and from each what it translates to, itself included."""
        sources, targets = await asyncio.to_thread(self._sides)
        language = language_of(gr.Request(request))
        return [
            {
                "code": _theirs(tag),
                "name": name(tag, language),
                "targets": sorted(map(_theirs, {tag, *(targets if tag in sources else ())})),
            }
            for tag in dict.fromkeys((*sources, *targets))
        ]

    async def settings(self, request: Request) -> dict[str, Any]:
        """What LibreTranslate's own page, and programs like it, ask for first."""
        language = language_of(gr.Request(request))
        target = default_target("en" if language == "zh" else "zh")
        return {
            "charLimit": -1 if self._services.settings.private else self._services.settings.max_chars,
            "frontendTimeout": TYPING_MS,
            "apiKeys": False,
            "keyRequired": False,
            "suggestions": False,
            "filesTranslation": False,
            "supportedFilesFormat": [],
            "language": {
                "source": {"code": AUTO, "name": say("translate.auto", language)},
                "target": {"code": _theirs(target), "name": name(target, language)},
            },
        }

    async def health(self, _request: Request) -> dict[str, str]:
        """That the app answers."""
        return {"status": "ok"}

    async def not_offered(self, request: Request) -> None:
        """As a LibreTranslate answers that has files and suggestions switched off."""
        raise Refused("libre_not_offered", address=request.url.path)

    async def _in_line(self, request: Request, work: Callable[[], T], stop: Callable[[], None]) -> T:
        """Wait for one's turn, then work beside the event loop; who asked may go at any time."""
        if self._waiting >= LINE:
            raise Busy("line_full", waiting=LINE)
        self._waiting += 1
        try:
            place = asyncio.ensure_future(self._line.acquire())
            await _until(place, request, place.cancel)
        finally:
            self._waiting -= 1
        try:
            return await _until(asyncio.ensure_future(asyncio.to_thread(work)), request, stop)
        finally:
            self._line.release()

    def _translated(self, asker: gr.Request, wish: Wish) -> list[TranslationUpdate]:
        last: dict[int, TranslationUpdate] = {}
        for moment in stream(self._services, asker, "translate", AUTO, lambda engine: _each(engine, wish)):
            if isinstance(moment, Made):
                place, update = moment.value
                last[place] = update
        if len(last) < len(wish.texts):
            raise ClientDisconnect  # only who left is stopped
        return [last[place] for place in range(len(wish.texts))]

    def _sides(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return sides(auto(self._services, "translate").model)


async def read_fields(request: Request) -> Mapping[str, Any]:
    """What was sent: JSON, or a form and the address's own fields; one that a form holds several times is a list.

    Raises BadInput for what is neither.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            given = json.loads(await request.body())
        except (ValueError, RecursionError):
            raise BadInput("not_json") from None
        if not isinstance(given, dict):
            raise BadInput("not_json")
        return given
    try:
        form = await request.form(max_files=0, max_part_size=FORM_BYTES)
    except HTTPException:
        raise BadInput("libre_form") from None
    return _gathered([*form.multi_items(), *request.query_params.multi_items()])


def read_wish(fields: Mapping[str, Any]) -> Wish:
    """The fields of /translate, checked. Raises BadInput."""
    texts, several = _texts(fields)
    source, target = (_word(fields, side) for side in ("source", "target"))
    layout = fields.get("format") or "text"
    if layout not in ("text", "html"):
        raise BadInput("libre_format", format=f"{layout!s:.40}")
    alternatives = fields.get("alternatives") or 0
    try:
        wanted = int(alternatives)
    except (ValueError, TypeError, OverflowError):
        raise BadInput("api_type", name="alternatives", value=f"{alternatives!r:.80}", wanted="int") from None
    source = "" if source.lower() == AUTO else _tag(source)
    return Wish(texts, several, source, _tag(target), wanted, layout == "html")


def answer(wish: Wish, found: Iterable[TranslationUpdate]) -> dict[str, Any]:
    """The translations as LibreTranslate shapes them; there are no alternatives to the likeliest one."""
    updates = list(found)
    fields: dict[str, list[Any]] = {"translatedText": [update.text for update in updates]}
    if not wish.source:
        fields["detectedLanguage"] = [_found(each.source, _confidence(each)) for each in updates]
    if wish.alternatives > 0:
        fields["alternatives"] = [[] for _ in updates]
    return {field: values if wish.several else values[0] for field, values in fields.items()}


def _each(engine: Engine, wish: Wish) -> Iterator[tuple[int, TranslationUpdate]]:
    for place, text in enumerate(wish.texts):
        work = _page if wish.html else translate
        for update in work(engine, text, wish.target, wish.source):
            yield place, update


def _page(engine: Engine, html: str, target: str, source: str) -> Iterator[TranslationUpdate]:
    """A piece of HTML; its tags stay as they are."""
    layout = web_layout(Decoded(html, "UTF-8"), "q")
    for update in translate_layout(engine, layout, target, source):
        made = layout.filled(update.texts()[0]).data.decode() if update.finished else ""
        yield replace(update.said, text=made)


async def _until(task: asyncio.Future[T], request: Request, leave: Callable[[], Any]) -> T:
    """The result of a task; once nobody waits for it, `leave` is called until it has ended."""
    while not task.done():
        await asyncio.wait({task}, timeout=LOOK_S)
        if not task.done() and await request.is_disconnected():
            leave()
    if task.cancelled():
        raise ClientDisconnect
    return task.result()


def _spoken(act: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    """An address: values as JSON; what goes wrong as a sentence in `error`, with LibreTranslate's status."""

    async def endpoint(request: Request) -> Response:
        language = language_of(gr.Request(request))
        try:
            return JSONResponse(await act(request))
        except ClientDisconnect:
            return Response(status_code=400)  # read by nobody
        except LlmappError as error:
            status = next((status for kind, status in STATUS_OF if isinstance(error, kind)), 500)
            return JSONResponse({"error": error.text(language)}, status)
        except Exception:
            log.exception("a LibreTranslate address failed")
            return JSONResponse({"error": say("error.bug", language)}, 500)

    return endpoint


def _gathered(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for field, value in items:
        # A browser's form writes line ends as CRLF, whatever was typed.
        found.setdefault(field, []).append(value.replace("\r\n", "\n") if isinstance(value, str) else value)
    return {field: values[0] if len(values) == 1 else values for field, values in found.items()}


def _texts(fields: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    """The texts, and whether they came as a list."""
    given = fields.get("q")
    if not given:
        raise BadInput("libre_missing", name="q")
    texts = given if isinstance(given, list) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise BadInput("api_type", name="q", value=f"{given!r:.80}", wanted="str | list[str]")
    return tuple(map(clean, texts)), isinstance(given, list)


def _word(fields: Mapping[str, Any], field: str) -> str:
    value = fields.get(field)
    if not value:
        raise BadInput("libre_missing", name=field)
    if not isinstance(value, str):
        raise BadInput("api_type", name=field, value=f"{value!r:.80}", wanted="str")
    return value


def _tag(code: str) -> str:
    return normalise(OURS.get(code.lower(), code))


def _theirs(tag: str) -> str:
    return THEIRS.get(tag, tag)


def _confidence(update: TranslationUpdate) -> float:
    """How probable the language is that was translated from, which may be another than the likeliest."""
    found = update.detection or Detection(UNDETERMINED, 0.0, (), certain=False)
    return dict(found.candidates).get(update.source, 0.0)


def _found(tag: str, probability: float) -> dict[str, Any]:
    """A language with its confidence in percent; LibreTranslate says English, 0, where nobody can tell."""
    return {"confidence": float(round(100 * probability)), "language": "en" if tag == UNDETERMINED else _theirs(tag)}
