"""llmapp: settings -> services -> page -> launch."""

from __future__ import annotations

import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from llmapp.backend.device import Hardware, detect
from llmapp.backend.memory import LastWords
from llmapp.backend.pool import Pool
from llmapp.backend.sources import Sources
from llmapp.catalog import Catalog
from llmapp.conversations import Conversations
from llmapp.errors import LlmappError
from llmapp.examples import Examples
from llmapp.glossaries import Glossaries
from llmapp.jobs.drafts import Drafts
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import AppSettings, read_settings
from llmapp.store import Store
from llmapp.ui.background import Background
from llmapp.ui.launch import serve
from llmapp.ui.limits import Guard
from llmapp.ui.owners import manager_key
from llmapp.ui.services import Services
from llmapp.ui.turns import Turns

MODELS = Path(__file__).parent / "models"


def build(settings: AppSettings, models: Path = MODELS) -> Services:
    """All parts of the app. Looking at the machine may import torch, so that goes on behind the page."""
    data = settings.data_dir
    store, key = Store(data / "llmapp.db"), manager_key(data)
    catalog, sources = Catalog.read(models, data / "adapters"), Sources(data / "models", settings)
    conversations, last_words = Conversations(store), LastWords(data / "running")
    supervisor = Supervisor(data / "jobs", settings)
    conversations.recover()

    def look() -> tuple[Hardware, Pool]:
        hardware = detect(settings.device)
        return hardware, Pool(catalog, sources, hardware, settings.precision, last_words, supervisor.answering)

    return Services(
        settings=settings,
        store=store,
        catalog=catalog,
        sources=sources,
        backend=ThreadPoolExecutor(1, "backend").submit(look),
        conversations=conversations,
        examples=Examples(store),
        glossaries=Glossaries(store),
        drafts=Drafts(data / "drafts"),
        supervisor=supervisor,
        guard=Guard(settings, store, catalog, supervisor, key),
        turns=Turns(),
        background=Background(),
        manager_key=key,
        notices=tuple(note for note in (store.notice, *last_words.read()) if note),
    )


def main() -> int:
    """Start the app and serve until it is told to end. What goes wrong is one sentence."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # how systems end it: as tidy as Ctrl+C
    try:
        serve(build(read_settings()))
    except LlmappError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
