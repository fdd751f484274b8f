"""What a stranger may ask for: how often, how much, and what only the owner of the app may do.

Nothing is limited for the person at the keyboard of a loopback address. Knows no tab and no route.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import gradio as gr

from ..catalog import Catalog
from ..errors import Busy, Refused, TooLong
from ..jobs.supervisor import Supervisor
from ..settings import AppSettings
from ..store import Store
from .owners import address_of, is_manager, may_manage, owner_of

MINUTE_S = 60.0
# Files that came or were made for download are swept when a day old, once an hour (`delete_cache` of the page).
DAY_S = 90_000.0
# An address may stand for a school or an office: several owners' worth.
ADDRESS_FACTOR = 5
# A page asks every few seconds how models and jobs are, in each tab that is open, and shows what it is told.
PAGE_FACTOR = 20
KEY_TRIES = 10
# Kinds of jobs that change what the app holds.
FOR_THE_MANAGER = ("finetune",)
MB = 1_000_000


class Guard:
    """Counts what each owner and address asks for and brings, and sizes what an owner keeps."""

    def __init__(self, settings: AppSettings, store: Store, catalog: Catalog, supervisor: Supervisor, key: str) -> None:
        self._settings, self._key = settings, key
        self._store, self._catalog, self._supervisor = store, catalog, supervisor
        self._asked, self._sent, self._tried = (Window(MINUTE_S) for _ in range(3))
        self._moved = Window(DAY_S)

    def request(self, request: gr.Request | None) -> None:
        """Count one request for work. Raises Busy for more than allowed in a minute."""
        self._count(self._asked, request, self._settings.max_requests)

    def event(self, request: gr.Request | None) -> None:
        """Count one message of a page, small ones too. Raises Busy for more than pages send."""
        self._count(self._sent, request, self._settings.max_requests * PAGE_FACTOR)

    def transfer(self, request: gr.Request | None, size: int) -> None:
        """Count the bytes of a file that comes or is made to be fetched: it lies here for a day.

        Raises Busy for more than an owner may keep.
        """
        if self._settings.private:
            return
        for who, times in self._whom(request):
            wait = self._moved.spend(who, self._settings.max_disk_mb * MB * times, size)
            if wait is not None:
                raise Busy("too_many_uploads", allowed_mb=self._settings.max_disk_mb, hours=wait / 3600)

    def characters(self, text: str) -> None:
        """Raises TooLong for a text over the limit."""
        if not self._settings.private and len(text) > self._settings.max_chars:
            raise TooLong("too_many_characters", characters=len(text), allowed=self._settings.max_chars)

    def document(self, request: gr.Request | None, text: str) -> None:
        """Raises TooLong for a stranger's document over the limit; the manager's may be a book."""
        if not may_manage(self._settings, self._key, request):
            self.characters(text)

    def size(self, request: gr.Request | None, size: int) -> None:
        """Raises TooLong for a file over the limit, or one that would fill this owner's share of the disk."""
        self._small_enough(size)
        if self._settings.private:
            return
        held = self.held(owner_of(self._settings, request))
        if held + size > self._settings.max_disk_mb * MB:
            raise TooLong("disk_share", held_mb=held / MB, allowed_mb=self._settings.max_disk_mb)

    def held(self, owner: str) -> int:
        """Bytes that an owner keeps here: conversations, kept examples, jobs with their data, adapters."""
        jobs = (self._supervisor.result_path(job.id, owner).parent for job in self._supervisor.jobs(owner))
        adapters = (adapter.folder for adapter in self._catalog.adapters(owner) if adapter.owner == owner)
        return (
            self._conversations(owner) + self._examples(owner) + sum(_bytes_in(folder) for folder in (*jobs, *adapters))
        )

    def manage(self, request: gr.Request | None) -> None:
        """Raises Refused for who may not load, unload, download, delete or train here."""
        if not may_manage(self._settings, self._key, request):
            raise Refused("not_the_manager")

    def hub_token(self, request: gr.Request | None, given: str) -> str:
        """The access token to write to the Hub with: what a person gave, else the app's own, which is the manager's."""
        own = self._settings.hub_token if is_manager(self._settings, self._key, request) else ""
        return given.strip() or own

    def job(self, request: gr.Request | None, kind: str) -> None:
        """Raises Refused for who may not start this kind of job, Busy for who may have one and has it."""
        if may_manage(self._settings, self._key, request):
            return
        if kind in FOR_THE_MANAGER:
            raise Refused("not_the_manager")
        mine = self._supervisor.jobs(owner_of(self._settings, request))
        if any(status.state in ("queued", "running") for status in mine):
            raise Busy("one_job")

    def opens(self, request: gr.Request, given: str) -> bool:
        """True when this is the manager's key. Raises Busy for an address that tries one after the other."""
        if secrets.compare_digest(given.encode(), self._key.encode()):
            return True
        wait = self._tried.spend(address_of(self._settings, request), KEY_TRIES)
        if wait is not None:
            raise Busy("too_many_requests", allowed=KEY_TRIES, seconds=round(wait) + 1)
        return False

    def _count(self, window: Window, request: gr.Request | None, allowed: int) -> None:
        if self._settings.private:
            return
        for who, times in self._whom(request):
            wait = window.spend(who, allowed * times)
            if wait is not None:
                raise Busy("too_many_requests", allowed=allowed, seconds=round(wait) + 1)

    def _whom(self, request: gr.Request | None) -> Iterator[tuple[str, int]]:
        """Who is counted, and how many owners they may stand for."""
        yield f"address {address_of(self._settings, request)}", ADDRESS_FACTOR
        yield owner_of(self._settings, request), 1

    def _small_enough(self, size: int) -> None:
        if size > self._settings.max_upload_mb * MB:
            raise TooLong("file_too_large", size_mb=size / MB, allowed_mb=self._settings.max_upload_mb)

    def _conversations(self, owner: str) -> int:
        with self._store.connect() as database:
            row = database.execute(
                "SELECT coalesce(sum(length(CAST(e.text AS BLOB)) + length(CAST(e.meta AS BLOB))), 0)"
                " FROM entries e JOIN conversations c ON c.id = e.conversation WHERE c.owner = ?",
                (owner,),
            ).fetchone()
        return int(row[0])

    def _examples(self, owner: str) -> int:
        with self._store.connect() as database:
            row = database.execute(
                "SELECT coalesce(sum(length(CAST(input AS BLOB)) + length(CAST(output AS BLOB))), 0)"
                " FROM examples WHERE owner = ?",
                (owner,),
            ).fetchone()
        return int(row[0])


class Window:
    """What each one has spent within the last so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._spent: dict[str, deque[tuple[float, int]]] = {}
        self._lock = threading.Lock()

    def spend(self, who: str, allowed: int, amount: int = 1) -> float | None:
        """Spend, and return None; or, where that is more than allowed, spend nothing and return seconds to wait."""
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            spent = self._spent.setdefault(who, deque())
            if sum(cost for _, cost in spent) + amount > allowed:
                return self._seconds - (now - spent[0][0]) if spent else self._seconds
            spent.append((now, amount))
        return None

    def _forget(self, now: float) -> None:
        for who, spent in list(self._spent.items()):
            while spent and now - spent[0][0] > self._seconds:
                spent.popleft()
            if not spent:
                del self._spent[who]


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # a worker writes and deletes here meanwhile
            total += path.stat().st_size if path.is_file() else 0
    return total
