"""Puts a script before all of Gradio's: what `launch(head=...)` adds runs after the page has chosen its language."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Callable[[], Awaitable[Message]], Send], Awaitable[None]]
PLACE = b"<head>"


class EarlyScript:
    """ASGI middleware: HTML pages begin with this script."""

    def __init__(self, app: App, script: str) -> None:
        self._app, self._tag = app, PLACE + f"<script>{script}</script>".encode()

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        """Pass everything on; hold an HTML page back until it is whole."""
        start: Message | None = None
        body = b""

        async def sent(event: Message) -> None:
            nonlocal start, body
            if event["type"] == "http.response.start" and _is_html(event):
                start = event
            elif start is not None and event["type"] == "http.response.body":
                body += event.get("body", b"")
                if not event.get("more_body"):
                    page = body.replace(PLACE, self._tag, 1)
                    MutableHeaders(scope=start)["content-length"] = str(len(page))
                    await send(start)
                    await send({"type": "http.response.body", "body": page})
            else:
                await send(event)

        await self._app(scope, receive, sent if scope["type"] == "http" and scope["method"] == "GET" else send)


def _is_html(event: Message) -> bool:
    headers = dict(event["headers"])
    return headers.get(b"content-type", b"").startswith(b"text/html") and b"content-encoding" not in headers
