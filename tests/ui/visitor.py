"""Somebody without our page: talks HTTP to a running app as an attacker or a script would."""

from __future__ import annotations

import html
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

FILE_MARK = {"_type": "gradio.FileData"}


@dataclass(frozen=True)
class Outcome:
    """What came back: `data` when it went well, else the sentence or whatever was said."""

    ok: bool
    data: Any = None
    said: str = ""

    @classmethod
    def of_page(cls, outputs: Any) -> Outcome:
        """Of a page's event: what went wrong stands among the outputs, as the page shows it."""
        found = re.search(r'<p class="notice bad">(.*?)</p>', str(outputs))
        return cls(not found, outputs, html.unescape(found[1]) if found else "")

    @property
    def everything(self) -> str:
        return f"{json.dumps(self.data, ensure_ascii=False)} {self.said}"


class Visitor:
    """One visitor with cookies of their own. `headers` go with every request."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.http = httpx.Client(base_url=url, headers=dict(headers or {}), timeout=60, trust_env=False)
        self.session = secrets.token_hex(6)

    def open_page(self, path: str = "/") -> httpx.Response:
        return self.http.get(path, follow_redirects=True)

    def config(self) -> dict[str, Any]:
        return dict(self.http.get("/config").json())

    def api(self, name: str, body: bytes = b"", **arguments: Any) -> Outcome:
        """A public endpoint by its name, as scripts call it; `body` is sent as it is."""
        sent = body or json.dumps(arguments).encode()
        address, kind = f"/gradio_api/call/v2/{name}", {"Content-Type": "application/json"}
        joined = self.http.post(address, content=sent, headers=kind)
        if joined.status_code != 200:
            return Outcome(False, said=joined.text)
        with self.http.stream("GET", f"/gradio_api/call/{name}/{joined.json()['event_id']}") as answer:
            event = ""
            for line in answer.iter_lines():
                kind, _, value = line.partition(": ")
                event = value if kind == "event" else event
                if kind == "data" and event == "complete":
                    return Outcome(True, json.loads(value)[0])
                if kind == "data" and event == "error":
                    return Outcome(False, said=str((json.loads(value) or {}).get("error")))
        return Outcome(False, said="the stream ended")

    def join(self, fn_index: int, data: list[Any], event_data: Any = None) -> Outcome:
        """Any event of the page, private ones too, through the queue."""
        body = {"fn_index": fn_index, "data": data, "event_data": event_data, "session_hash": self.session}
        joined = self.http.post("/gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            return Outcome(False, said=joined.text)
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as answer:
            outputs: list[Any] = []
            for line in answer.iter_lines():
                message = json.loads(line.removeprefix("data: ") or "{}")
                if message.get("msg") == "process_generating":
                    outputs.append(message["output"])
                if message.get("msg") == "process_completed":
                    outputs.append(message["output"])
                    if not message["success"]:
                        return Outcome(False, outputs, str(message["output"].get("error", "")))
                    return Outcome.of_page(outputs)
        return Outcome(False, said="the stream ended")

    def run(self, fn_index: int, data: list[Any]) -> Outcome:
        """The same past the queue, as the page does for what never waits."""
        body = {"fn_index": fn_index, "data": data, "session_hash": self.session}
        answer = self.http.post("/gradio_api/run/predict", json=body)
        if answer.status_code != 200:
            return Outcome(False, said=answer.text)
        return Outcome.of_page(answer.json()["data"])

    def upload(self, name: str, content: bytes) -> httpx.Response:
        return self.http.post("/gradio_api/upload", files={"files": (name, content)})

    def uploaded(self, name: str, content: bytes) -> dict[str, Any]:
        """A file given properly, as endpoints and widgets take it."""
        return file(self.upload(name, content).json()[0])


def file(path: str | Path) -> dict[str, Any]:
    """A file as endpoints and widgets take it: what an attacker writes by hand."""
    return {"path": str(path), "meta": FILE_MARK, "orig_name": Path(path).name}


def event_of(config: Mapping[str, Any], elem_id: str, kind: str) -> tuple[int, list[dict[str, Any]]]:
    """The index of a widget's event that reaches the app, and the components that it reads."""
    parts = {part["id"]: part for part in config["components"]}
    for event in (each for each in config["dependencies"] if each["backend_fn"]):
        for target, name in event["targets"]:
            if name == kind and target in parts and parts[target]["props"].get("elem_id") == elem_id:
                return event["id"], [parts[i] for i in event["inputs"]]
    raise LookupError(f"{elem_id}.{kind}")
