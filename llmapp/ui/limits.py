"""What a stranger may ask for: how often, how much, and what only the owner of the app may do.

Nothing is limited for the person at the keyboard of a loopback address.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque

import gradio as gr

from ..errors import Busy, Refused, TooLong
from ..settings import AppSettings
from ..store import Store
from .owners import may_manage, owner_of

WINDOW_S = 60.0
# An address may stand for a school or an office: several owners' worth.
ADDRESS_FACTOR = 5
MB = 1_000_000


class Guard:
    """Counts requests of each owner and address in a sliding minute, and sizes what they bring."""

    def __init__(self, settings: AppSettings, store: Store, key: str) -> None:
        self._settings, self._store, self._key = settings, store, key
        self._asked: dict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def request(self, request: gr.Request | None) -> None:
        """Count one request. Raises Busy for more than allowed in a minute."""
        if self._settings.private:
            return
        self._count(owner_of(self._settings, request), self._settings.max_requests)
        if request and request.client:
            self._count(f"address {request.client.host}", self._settings.max_requests * ADDRESS_FACTOR)

    def _count(self, who: str, allowed: int) -> None:
        now = time.monotonic()
        with self._lock:
            asked = self._asked[who]
            while asked and now - asked[0] > WINDOW_S:
                asked.popleft()
            if len(asked) >= allowed:
                raise Busy("too_many_requests", allowed=allowed, seconds=round(WINDOW_S - (now - asked[0])) + 1)
            asked.append(now)
            for name in [name for name, times in self._asked.items() if not times or now - times[-1] > WINDOW_S]:
                del self._asked[name]

    def characters(self, text: str) -> None:
        """Raises TooLong for a text over the limit."""
        if not self._settings.private and len(text) > self._settings.max_chars:
            raise TooLong("too_many_characters", characters=len(text), allowed=self._settings.max_chars)

    def size(self, request: gr.Request | None, size: int) -> None:
        """Raises TooLong for a file over the limit, or one that would fill this owner's share of the disk."""
        if size > self._settings.max_upload_mb * MB:
            raise TooLong("file_too_large", size_mb=size / MB, allowed_mb=self._settings.max_upload_mb)
        if self._settings.private:
            return
        held = self._held(owner_of(self._settings, request))
        if held + size > self._settings.max_disk_mb * MB:
            raise TooLong("disk_share", held_mb=held / MB, allowed_mb=self._settings.max_disk_mb)

    def manage(self, request: gr.Request | None) -> None:
        """Raises Refused for who may not load, unload, download, delete or train here."""
        if not may_manage(self._settings, self._key, request):
            raise Refused("not_the_manager")

    def _held(self, owner: str) -> int:
        with self._store.connect() as database:
            row = database.execute(
                "SELECT coalesce(sum(length(CAST(e.text AS BLOB)) + length(CAST(e.meta AS BLOB))), 0)"
                " FROM entries e JOIN conversations c ON c.id = e.conversation WHERE c.owner = ?",
                (owner,),
            ).fetchone()
        return int(row[0])
