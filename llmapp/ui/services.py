"""Everything the page works on, built once in app.py and handed down."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from ..backend.device import Hardware
from ..backend.pool import Pool
from ..backend.sources import Sources
from ..catalog import Catalog
from ..conversations import Conversations
from ..examples import Examples
from ..glossaries import Glossaries
from ..jobs.drafts import Drafts
from ..jobs.supervisor import Supervisor
from ..messages import Message
from ..settings import AppSettings
from ..store import Store
from .background import Background
from .limits import Guard
from .turns import Turns


@dataclass(frozen=True)
class Services:
    """The app's parts; nothing here belongs to one person. `notices` are what every page says when it opens."""

    settings: AppSettings
    store: Store
    catalog: Catalog
    sources: Sources
    backend: Future[tuple[Hardware, Pool]]
    conversations: Conversations
    examples: Examples
    glossaries: Glossaries
    drafts: Drafts
    supervisor: Supervisor
    guard: Guard
    turns: Turns
    background: Background
    manager_key: str
    notices: tuple[Message, ...]

    @property
    def pool(self) -> Pool:
        """The owner of loaded models; waits for the moment that looking at the machine takes at start."""
        return self.backend.result()[1]

    @property
    def hardware(self) -> Hardware:
        """What this machine is; waits likewise."""
        return self.backend.result()[0]

    def forget(self, owner: str) -> int:
        """Delete everything of an owner; returns how many conversations there were."""
        for status in self.supervisor.jobs(owner):
            self.supervisor.discard(status.id, owner)
        for adapter in self.catalog.adapters(owner):
            if adapter.owner == owner:
                self.catalog.delete_adapter(adapter.id, owner)
        self.drafts.delete_all(owner)
        self.glossaries.delete_all(owner)
        self.examples.delete_all(owner)
        return self.conversations.delete_all(owner, alone=self.settings.owners == "one")

    def close(self) -> None:
        """End what runs behind the page; jobs go on in processes of their own."""
        self.pool.close()
