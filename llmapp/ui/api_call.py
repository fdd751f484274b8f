"""A result as a call of the public API: the lines of Python, or of a shell, that ask for it again, all of it.

Knows no tab; `docs/api.md` and a test hold what these lines use.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, TypeVar
from urllib.parse import urlsplit

import gradio as gr

from ..backend.engine import EngineInfo
from ..messages import Message, say
from ..transcripts import clean
from .facts import settings_line
from .notice import quiet
from .words import language_of

T = TypeVar("T")
Arguments = Mapping[str, Any]
MOST = 20
"""Calls that are shown for one result; beyond, a table is the way."""
GIVEN = ("text", "message", "history", "sampling", "model")
"""Arguments that are no settings, or are said elsewhere."""


class Call:
    """How one result of a tab is asked for again; which model made it is known once the result has begun."""

    def __init__(self, request: gr.Request, name: str, *asked: Arguments) -> None:
        """`asked`: the arguments of each call of the endpoint `name`, without the model."""
        self._request, self._name, self._asked = request, name, asked
        self._begun, self._again = False, dict[str, Any]()

    def hear(self, moments: Iterator[T]) -> Iterator[T]:
        """Pass a result's moments on; which model made them stands in their `info`, what else decided in `again`."""
        for moment in moments:
            if not isinstance(moment, Message):
                info: EngineInfo | None = getattr(moment, "info", None)
                self._begun, model = True, (info.adapter or info.model).id if info else ""
                self._again = {"model": model, **getattr(moment, "again", {})}
            yield moment

    @property
    def html(self) -> str:
        """The call, folded; empty where nothing was made."""
        asked = [{**each, **self._again} for each in self._asked] if self._begun else []
        return folded_call(self._request, self._name, asked)


def folded_call(request: gr.Request, name: str, asked: Sequence[Arguments]) -> str:
    """HTML: what was set, and both ways to call, folded away, each with a button that copies it.

    Empty for no call, or for too many.
    """
    if not 0 < len(asked) <= MOST:
        return ""
    language, base = language_of(request), address(request)
    given = [{key: value for key, value in each.items() if value not in ("", None, [], {})} for each in asked]
    copied, copy = (escape(say(f"api_call.{code}", language)) for code in ("copied", "copy"))
    button = f'<button type="button" data-done="{copied}">{copy}</button>'
    parts = "".join(
        f'<div><p>{title} {button}</p><pre dir="ltr">{escape(clean(write(base, name, given)))}</pre></div>'
        for title, write in (("Python", python_call), ("curl", curl_call))
    )
    set_by_person = {**asked[0], **asked[0].get("sampling", {})}
    settings = {name: value for name, value in set_by_person.items() if name not in GIVEN}
    title = f"<summary>{escape(say('api_call.title', language))}</summary>"
    return f'{quiet(settings_line(settings, language))}<details class="call">{title}{parts}</details>'


def python_call(base: str, name: str, asked: Sequence[Arguments]) -> str:
    """Lines for gradio_client that print each answer."""
    lines = ["from gradio_client import Client", "", f"client = Client({base!r}, verbose=False)"]
    for each in asked:
        given = "".join(f"    {key}={value!r},\n" for key, value in each.items())
        lines.append(f'print(client.predict(\n{given}    api_name="/{name}",\n))')
    return "\n".join(lines)


def curl_call(base: str, name: str, asked: Sequence[Arguments]) -> str:
    """Lines for a POSIX shell: the first command asks, the last one prints the answer when it is there.

    The arguments stand in a here-document, where nothing has to be quoted and nothing is too long for a command line;
    JSON is one line, so none of it can be taken for the end.
    """
    call, result = (shlex.quote(f"{base}/gradio_api/call/{path}{name}") for path in ("v2/", ""))
    return "\n".join(
        f"curl -sSf {call} -H 'Content-Type: application/json' --data-binary @- <<'JSON' |\n"
        f"{json.dumps(dict(each), ensure_ascii=False)}\nJSON\n"
        f'sed -n \'s/.*"event_id": *"\\([^"]*\\)".*/\\1/p\' | xargs -I {{}} curl -sSN {result}/{{}}'
        for each in asked
    )


def address(request: gr.Request) -> str:
    """Where the page is that asks, as its browser says it."""
    headers = request.headers
    origin = str(headers.get("origin") or "")
    if urlsplit(origin).netloc:
        return origin
    url = request.request.url if request.request else urlsplit("http://127.0.0.1:7860")
    return f"{url.scheme}://{headers.get('host') or url.netloc}"
