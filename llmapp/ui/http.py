"""Below the page: cookies that name a browser, headers that protect it, and whether MCP clients may come."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, RedirectResponse

from ..errors import CanNotRun
from ..settings import AppSettings
from .owners import KEY_COOKIE, OWNER_COOKIE, TOKEN, new_token
from .services import Services

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
LOCAL_NAMES = {"127.0.0.1", "localhost", "[::1]", "::1"}
YEAR_S = 31_536_000
# Pictures and requests stay here: text of a model can not call home. Gradio's own scripts are inline.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)


def app_options(services: Services) -> dict[str, Any]:
    """Keyword arguments for the FastAPI app that Gradio makes."""
    return {"middleware": [Middleware(Doorkeeper, settings=services.settings, key=services.manager_key)]}


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
    """ASGI middleware: names browsers, lets the manager in by key, refuses foreign host names, sets headers."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], settings: AppSettings, key: str) -> None:
        self._app, self._settings, self._key = app, settings, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)  # type: ignore[arg-type]
        if self._settings.private and self._host(headers) not in {*LOCAL_NAMES, self._settings.host}:
            # Another site that points its name at 127.0.0.1 must not reach this page (DNS rebinding).
            await PlainTextResponse("Unknown host name.", 421)(scope, receive, send)
            return
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("key", [""])[0]
        if given and scope["path"] == "/":
            answer = RedirectResponse("./", 303)
            self._cookie(answer.headers, scope, KEY_COOKIE, given)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, self._sending(scope, headers, send))

    def _sending(self, scope: Scope, headers: Headers, send: Send) -> Send:
        held = SimpleCookie(headers.get("cookie", "")).get(OWNER_COOKIE)
        named = held is not None and TOKEN.fullmatch(held.value)

        async def sent(event: MutableMapping[str, Any]) -> None:
            if event["type"] == "http.response.start":
                out = MutableHeaders(scope=event)  # type: ignore[arg-type]
                out.setdefault("X-Content-Type-Options", "nosniff")
                out.setdefault("Referrer-Policy", "same-origin")
                if out.get("content-type", "").startswith("text/html"):
                    out["Content-Security-Policy"] = POLICY
                    if not named and self._settings.owners != "one":
                        self._cookie(out, scope, OWNER_COOKIE, new_token())
            await send(event)

        return sent

    def _cookie(self, headers: MutableHeaders, scope: Scope, name: str, value: str) -> None:
        # A Space shows the page in a frame of another site: only a Secure, partitioned cookie comes back there.
        place = "SameSite=None; Secure; Partitioned" if self._settings.on_space else "SameSite=Lax"
        if scope.get("scheme") == "https" and not self._settings.on_space:
            place += "; Secure"
        safe = value if TOKEN.fullmatch(value) else ""
        headers.append("Set-Cookie", f"{name}={safe}; Path=/; Max-Age={YEAR_S}; HttpOnly; {place}")

    @staticmethod
    def _host(headers: Headers) -> str:
        host = headers.get("host", "")
        return host if host.endswith("]") else host.rsplit(":", 1)[0]
