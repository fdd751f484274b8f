"""A web server on 127.0.0.1 that serves bytes as a real one does, and can be told to misbehave.

Ranges, ETags and If-Range work. Faults are taken from a list by file name, one for each GET of that file.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

PIECE = 16384


@dataclass(frozen=True)
class Fault:
    """What goes wrong: `cut` and `stall` after so many bytes, `corrupt` at that byte, `status` at once."""

    kind: Literal["cut", "stall", "corrupt", "no_range", "status"]
    after: int = 0
    status: int = 503


@dataclass
class Seen:
    """One request, as the server saw it; `sent` grows with the bytes of its answer."""

    method: str
    port: int
    path: str
    headers: dict[str, str]
    sent: int = 0
    body: bytes = b""


@dataclass
class FileServer:
    """Start with `with`. `faults[name]` is used up from the front; `rate` limits bytes/s of each answer."""

    rate: float = 0.0
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._closing = threading.Event()
        self._servers: list[ThreadingHTTPServer] = []
        self.port = self.listen()

    def listen(self) -> int:
        """One more port with the same behaviour."""
        server = self

        class Own(Handler):
            app = server

        web = ThreadingHTTPServer(("127.0.0.1", 0), Own)
        web.daemon_threads = True
        self._servers.append(web)
        threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return int(web.server_address[1])

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for web in self._servers:
            web.shutdown()
            web.server_close()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def gets(self, ending: str) -> list[Seen]:
        """GET requests whose path, without its query, has this ending."""
        return [s for s in self.seen if s.method == "GET" and s.path.partition("?")[0].endswith(ending)]

    def answer(self, handler: Handler) -> None:
        """What is at a path: subclasses say, with `handler.send_bytes` or `handler.send_plain`."""
        raise NotImplementedError

    def next_fault(self, name: str) -> Fault | None:
        """The fault for this GET, taken off the list."""
        waiting = self.faults.get(name, [])
        return waiting.pop(0) if waiting else None

    def stall(self) -> None:
        """Say nothing until the server closes."""
        self._closing.wait(60)


class Handler(BaseHTTPRequestHandler):
    app: FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._do()

    def do_HEAD(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def do_PUT(self) -> None:
        self._do()

    def log_message(self, *_: object) -> None:
        """Tests read `seen` instead."""

    @property
    def here(self) -> int:
        return int(self.server.server_address[1])

    def _do(self) -> None:
        self.log = Seen(self.command, self.here, self.path, dict(self.headers))
        self.app.seen.append(self.log)
        with contextlib.suppress(OSError):
            self.app.answer(self)

    def send_plain(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A short answer. Header names are given with `_` for `-`."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def take(self, name: str) -> bytes:
        """What came with a request; this name's next fault may cut it, or say another status."""
        fault, left = self.app.next_fault(name), int(self.headers.get("Content-Length", 0))
        if fault and fault.kind == "cut":
            self.rfile.read(min(fault.after, left))
            self.close_connection = True
            self.connection.close()
            raise ConnectionError
        self.log.body = self.rfile.read(left)
        if fault and fault.kind == "stall":
            self.app.stall()
        if fault:
            self.send_plain(fault.status)
            raise ConnectionError
        return self.log.body

    def send_bytes(self, content: bytes, name: str, faulty: bool = True, **headers: str) -> None:
        """A file, or the range of it that was asked for, with this file's next fault."""
        fault = self.app.next_fault(name) if self.command == "GET" and faulty else None
        if fault and fault.kind == "status":
            self.send_plain(fault.status)
            return
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        asked = None if fault and fault.kind == "no_range" else self._range(etag)
        start, end = asked or (0, len(content))
        end = min(end, len(content))
        if asked and start >= len(content):
            self.send_plain(416, Content_Range=f"bytes */{len(content)}")
            return
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        for key, value in {"ETag": etag, "Accept_Ranges": "bytes", **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if self.command == "GET":
            self._send(content[start:end], fault)

    def _range(self, etag: str) -> tuple[int, int] | None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked or self.headers.get("If-Range", etag) != etag:
            return None
        return int(asked[1]), int(asked[2]) + 1 if asked[2] else sys.maxsize

    def _send(self, body: bytes, fault: Fault | None) -> None:
        if fault and fault.kind == "corrupt":
            body = body[: fault.after] + bytes([body[fault.after] ^ 1]) + body[fault.after + 1 :]
        stop = fault.after if fault and fault.kind in ("cut", "stall") else len(body)
        for place in range(0, stop, PIECE):
            piece = body[place : min(place + PIECE, stop)]
            self.log.sent += len(piece)
            self.wfile.write(piece)
            if self.app.rate:
                time.sleep(len(piece) / self.app.rate)
        if fault and fault.kind == "stall":
            self.app.stall()
        if fault and fault.kind in ("cut", "stall"):
            self.close_connection = True
            self.connection.close()
