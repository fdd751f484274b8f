"""One file from a URL to the disk: resumed, retried, checked, put in place whole.

Knows http(s) and file URLs. Does not know the Hub, wheels or models.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..errors import SourceError
from .disk import disk_errors
from .part import CHUNK, Cut, Damaged, Head, Part, Remote
from .progress import TICK_S, Meter
from .waiting import in_background, stop_when

if TYPE_CHECKING:
    import ssl

    import httpx2

CONNECT_S = 15.0
READ_S = 30.0  # then the connection is given up and another asked for the rest
STALL_LIMIT_S = 120.0  # without one byte: the fetch gives up
ATTEMPTS = 5  # in a row without one byte
BACKOFF_S = 1.0  # doubles with each attempt in a row
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


class Denied(Exception):
    """The server's final no, with its status; who asked knows what it means."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


def open_client(verify: ssl.SSLContext | bool = True, proxy: str = "") -> httpx2.Client:
    """An HTTP client for downloads: the system's proxy and certificates, unless told otherwise."""
    import httpx2

    timeout = httpx2.Timeout(READ_S, connect=CONNECT_S)
    return httpx2.Client(verify=verify, proxy=proxy or None, timeout=timeout, follow_redirects=True)


class Downloader:
    """Fetches files one after the other, with one client, one meter and one way to be stopped."""

    def __init__(self, client: httpx2.Client, meter: Meter, cancel: threading.Event) -> None:
        self._client, self._meter, self._cancel = client, meter, cancel

    def fetch(self, remote: Remote, target: Path) -> None:
        """Put `remote` at `target`, going on from what an earlier attempt left beside it (`*.part`).

        Raises Denied for a final HTTP status, SourceError when stopped, stalled, out of reach, out of disk or
        damaged twice.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with disk_errors(remote.name, target.parent):
            for _ in range(2):
                try:
                    return self._until_whole(remote, target)
                except Damaged:
                    continue
        raise SourceError("source_damaged", file=remote.name)

    def _until_whole(self, remote: Remote, target: Path) -> None:
        part = Part(target, remote)
        self._meter.skip(part.size)
        try:
            self._collect(remote, part)
            part.publish()
        except Damaged:
            self._meter.skip(-part.size)
            part.discard()
            raise
        finally:
            part.close()

    def _collect(self, remote: Remote, part: Part) -> None:
        in_a_row = 0
        while not part.complete:
            before = part.size
            try:
                self._one_connection(remote, part)
            except Cut as problem:
                in_a_row = 1 if part.size > before else in_a_row + 1
                if in_a_row >= ATTEMPTS:
                    raise SourceError("source_cut", file=remote.name, problem=str(problem)) from problem
                self._rest(BACKOFF_S * 2 ** (in_a_row - 1), remote)

    def _one_connection(self, remote: Remote, part: Part) -> None:
        stop, ask = threading.Event(), part.ask()
        source = _from_file if remote.url.startswith("file:") else self._from_network
        try:
            for piece in in_background(lambda: source(remote, ask, stop), stop):
                self._look_up(remote)
                if isinstance(piece, Head):
                    self._meter.skip(-part.start(piece))
                    if part.total is not None:
                        self._meter.expect(remote.name, part.total)
                elif piece is not None:
                    part.write(piece)
                    self._meter.add(len(piece))
            part.end()
        finally:
            stop.set()

    def _from_network(self, remote: Remote, ask: Mapping[str, str], stop: threading.Event) -> Iterator[Head | bytes]:
        import httpx2

        headers = {"Accept-Encoding": "identity", **remote.headers, **ask}
        try:
            with self._client.stream("GET", remote.url, headers=headers) as answer:
                yield _head(answer)
                for chunk in answer.iter_raw():
                    if stop.is_set():
                        return
                    yield chunk
        except (httpx2.RequestError, httpx2.StreamError) as problem:
            raise Cut(str(problem) or type(problem).__name__) from problem

    def _look_up(self, remote: Remote) -> None:
        stop_when(self._cancel, self._meter, remote.name)()
        if self._meter.stalled_s > STALL_LIMIT_S:
            raise SourceError("source_stalled", file=remote.name, seconds=round(self._meter.stalled_s))

    def _rest(self, seconds: float, remote: Remote) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._cancel.wait(min(TICK_S, left))
            self._look_up(remote)


def _head(answer: httpx2.Response) -> Head:
    status = answer.status_code
    if status == 416:  # what is here can not be a beginning of what is there
        raise Damaged
    if status in RETRIED:
        raise Cut(f"HTTP {status}")
    if status not in (200, 206):
        raise Denied(status)
    etag = answer.headers.get("ETag", "")
    strong = "" if etag.startswith("W/") else etag
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if status == 206 and span:
        return Head(int(span[1]), None if span[2] == "*" else int(span[2]), strong)
    length = answer.headers.get("Content-Length")
    return Head(0, int(length) if length else None, strong)


def _from_file(remote: Remote, ask: Mapping[str, str], stop: threading.Event) -> Iterator[Head | bytes]:
    path = Path(url2pathname(urlsplit(remote.url).path))
    if not path.is_file():
        raise Denied(404)
    etag = f'"{path.stat().st_mtime_ns}"'
    start = int(ask["Range"][6:-1]) if ask.get("If-Range") == etag else 0
    with path.open("rb") as file:
        file.seek(start)
        yield Head(start, path.stat().st_size, etag)
        while not stop.is_set() and (chunk := file.read(CHUNK)):
            yield chunk
