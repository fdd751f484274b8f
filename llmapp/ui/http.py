"""Below the page: who may knock at which address, cookies that name a browser, headers that protect it; MCP.

Stands before all of Gradio's addresses and refuses what this app has no use for. Knows no tab and no model.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from gradio_client.utils import is_http_url_like
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from ..errors import BadInput, Busy, CanNotRun, LlmappError, NotFound, Refused, TooLong
from ..settings import AppSettings
from . import libretranslate
from .early_script import EarlyScript
from .limits import MB, Guard
from .owners import KEY_COOKIE, OWNER_COOKIE, TOKEN, new_token
from .services import Services
from .words import language_of

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
LOCAL_NAMES = {"127.0.0.1", "localhost", "[::1]"}
YEAR_S = 31_536_000
API = "/gradio_api/"
UPLOAD = f"{API}upload"
FILE = f"{API}file="
# All that page, clients and sign-in need. Gradio has more: links that store a page's state, recordings, runs kept
# elsewhere, an editor of the app's own code. Who needs none of them is not hurt by a hole in one.
PAGES = {"/", "/config", "/config/", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"}
SIGN_IN = {"/login/huggingface", "/login/callback", "/logout"}
PARTS = ("/assets/", "/static/", "/svelte/", FILE)
CALLS = {
    *("info", "info/", "openapi.json", "theme.css", "app_id", "login_check", "startup-events"),
    *("queue/join", "queue/data", "queue/status", "cancel", "reset", "upload", "upload_progress"),
}
WORK = ("call/", "run/", "api/", "heartbeat/", "mcp")
# The longest way to write a character in JSON, as two \uXXXX.
JSON_BYTES = 12
# Pictures and requests stay here: text of a model can not call home. Gradio's own scripts are inline.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
# A Space is shown in a frame of the Hub.
SPACE_FRAMES = " https://huggingface.co https://*.hf.space"
STATUS = {"length_missing": 411, "unknown_host": 421}
STATUS_OF = ((NotFound, 404), (TooLong, 413), (Busy, 429), (BadInput, 400))


def app_options(services: Services) -> dict[str, Any]:
    """Keyword arguments for the FastAPI app that Gradio makes."""
    doorkeeper = Middleware(Doorkeeper, settings=services.settings, guard=services.guard)
    script = (Path(__file__).parent / "language.js").read_text(encoding="utf-8")
    middleware = [doorkeeper, Middleware(EarlyScript, script=script)]
    return {"middleware": middleware, "routes": libretranslate.routes(services)}


def mcp_wanted(settings: AppSettings) -> bool:
    """True when asked for and possible. Raises CanNotRun where the package is missing or of the wrong major.

    With mcp 2 Gradio starts and silently serves no MCP, so the version is looked at first.
    """
    if not settings.mcp:
        return False
    try:
        version = importlib.metadata.version("mcp")
    except importlib.metadata.PackageNotFoundError:
        raise CanNotRun("mcp_missing") from None
    if not version.startswith("1."):
        raise CanNotRun("mcp_version", version=version)
    return True


class Doorkeeper:
    """ASGI middleware: refuses foreign pages, unknown addresses and too much at once; names browsers; sets headers."""

    def __init__(
        self, app: Callable[[Event, Receive, Send], Awaitable[None]], settings: AppSettings, guard: Guard
    ) -> None:
        self._app, self._settings, self._guard = app, settings, guard
        self._policy = POLICY + (SPACE_FRAMES if settings.on_space else "")
        self._longest = settings.max_chars * JSON_BYTES + MB

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        send = self._sending(request, send)
        try:
            self._admit(request)
            if answer := self._let_in(request):
                await answer(scope, receive, send)
                return
            if request.method == "POST" and scope["path"].startswith(API) and scope["path"] != UPLOAD:
                receive = await _without_addresses(receive)
        except LlmappError as error:
            await _refusal(error, request)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admit(self, request: Request) -> None:
        """Raises one of the LlmappError family for what may not come in."""
        # Not `request.url.path`, which depends on the Host header.
        path = request.scope["path"]
        if self._settings.private and _name(request.headers.get("host", "")) not in {
            *LOCAL_NAMES,
            self._settings.host,
        }:
            # Another site that points its name at 127.0.0.1 must not reach this page (DNS rebinding).
            raise Refused("unknown_host")
        if _foreign(request):
            raise Refused("foreign_page")
        if not _known(path, sign_in=self._settings.can_sign_in):
            raise NotFound("no_page")
        if path.startswith(FILE) and is_http_url_like(path.removeprefix(FILE).strip().lower()):
            # Gradio would fetch that for anyone, and an answer of a model can hold such a picture.
            raise Refused("no_addresses")
        if request.method == "POST":
            self._measure(request)

    def _measure(self, request: Request) -> None:
        """How much and how often strangers send."""
        if self._settings.private:
            return
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            raise BadInput("length_missing")
        asker = gr.Request(request)
        self._guard.event(asker)
        if request.scope["path"] == UPLOAD:
            self._guard.transfer(asker, int(length))
        elif int(length) > self._longest:
            raise TooLong("message_too_large", size_mb=int(length) / MB, allowed_mb=self._longest / MB)

    def _let_in(self, request: Request) -> Response | None:
        """The answer to the manager's link: a cookie, and the page without the key in its address."""
        given = request.query_params.get("key", "")
        if not given or request.scope["path"] != "/":
            return None
        if not self._guard.opens(gr.Request(request), given):
            raise Refused("wrong_key")
        answer = RedirectResponse("./", 303)
        self._cookie(answer.headers, request, KEY_COOKIE, given)
        return answer

    def _sending(self, request: Request, send: Send) -> Send:
        named = TOKEN.fullmatch(request.cookies.get(OWNER_COOKIE, ""))

        async def sent(event: Event) -> None:
            if event["type"] == "http.response.start":
                headers = MutableHeaders(scope=event)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "same-origin")
                if headers.get("content-type", "").startswith("text/html"):
                    headers["Content-Security-Policy"] = self._policy
                    if not named and self._settings.owners != "one":
                        self._cookie(headers, request, OWNER_COOKIE, new_token())
            await send(event)

        return sent

    def _cookie(self, headers: MutableHeaders, request: Request, name: str, value: str) -> None:
        # A Space shows the page in a frame of another site: only a Secure, partitioned cookie comes back there.
        place = "SameSite=None; Secure; Partitioned" if self._settings.on_space else "SameSite=Lax"
        if request.scope["scheme"] == "https" and not self._settings.on_space:
            place += "; Secure"
        headers.append("Set-Cookie", f"{name}={value}; Path=/; Max-Age={YEAR_S}; HttpOnly; {place}")


def _known(path: str, sign_in: bool) -> bool:
    if path in PAGES or path in libretranslate.ADDRESSES or path.startswith(PARTS):
        return True
    if path in SIGN_IN:
        return sign_in
    call = path.removeprefix(API)
    return path.startswith(API) and (call in CALLS or call.startswith(WORK))


def _name(host: str) -> str:
    """A host without its port."""
    return host if host.endswith("]") else host.rsplit(":", 1)[0]


def _foreign(request: Request) -> bool:
    """True for a script or form of another site's page; a link from there, which has no origin, is none.

    Browsers say it themselves in Sec-Fetch-Site, but to plain http addresses only on this machine.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return False
    site = request.headers.get("sec-fetch-site")
    if site:
        return site not in ("same-origin", "none")
    return urlsplit(origin).netloc not in (request.headers.get("host"), request.headers.get("x-forwarded-host"))


async def _without_addresses(receive: Receive) -> Receive:
    """Read a call, refuse files named by a web address, which Gradio would fetch, and hand it on as it came."""
    parts, more = [], True
    while more:
        event = await receive()
        parts.append(event.get("body", b""))
        more = event.get("more_body", False)
    body, given = b"".join(parts), False
    try:
        call = json.loads(body) if body else None
    except (ValueError, RecursionError):
        raise BadInput("not_json") from None
    if any(is_http_url_like(path.strip().lower()) for path in _paths(call)):
        raise Refused("no_addresses")

    async def again() -> Event:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _paths(value: Any) -> Iterator[str]:
    """Every file that a call names, at any depth."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.values()
            if "meta" in item and isinstance(item.get("path"), str):
                yield item["path"]
        elif isinstance(item, list):
            waiting += item


def _refusal(error: LlmappError, request: Request) -> Response:
    """One sentence in the caller's language, as Gradio's clients expect it: `detail` for calls, text for pages."""
    status = STATUS.get(error.code) or next((code for kind, code in STATUS_OF if isinstance(error, kind)), 403)
    sentence = error.text(language_of(gr.Request(request)))
    if request.method == "GET":
        return PlainTextResponse(sentence, status)
    return JSONResponse({"detail": sentence, "error": sentence}, status)
