"""Apps as people run them, each started once for all tests here."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from llmapp.conversations import Conversations, Entry
from llmapp.finetune.adapter import publish
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import read_settings
from llmapp.store import Store

from ..running_app import App
from ..tiny_app import app_of_tiny_models
from .visitor import Visitor

MODELS = ("smollm2-135m-instruct", "all-minilm-l6-v2", "gemma-3-270m")


@pytest.fixture(scope="package")
def home_app(packaged: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """On this machine only, for the person at the keyboard, with real models; MCP on."""
    data = tmp_path_factory.mktemp("home")
    for model in MODELS:
        source, target = packaged(model) / "models" / model, data / "models" / model
        shutil.copytree(source, target, copy_function=lambda a, b: Path(b).hardlink_to(a))
    app = App(data, ("--mcp",))
    app.start()
    yield app
    app.end()


@pytest.fixture(scope="package")
def tiny_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """At home, with tiny models that answer nonsense at once, the same nonsense each time."""
    app = app_of_tiny_models(tmp_path_factory.mktemp("tiny"))
    app.start()
    yield app
    app.end()


@dataclass(frozen=True)
class Victim:
    """Somebody whose things lie in the app that strangers reach, by the ids that a stranger may have got hold of."""

    token: str
    conversation: str
    job: str
    adapter: str

    secret: ClassVar[str] = "SWORDFISH-the-secret-of-somebody-else"


@dataclass(frozen=True)
class PublicApp:
    """The app as on a network: reached by strangers, with the things of one victim on its disk."""

    app: App
    victim: Victim

    def stranger(self) -> Visitor:
        """A new browser at an address of its own, which has opened the page."""
        visitor = Visitor(self.app.url, {"X-Forwarded-For": an_address()})
        visitor.open_page()
        return visitor

    def caller(self, token: str = "", key: str = "") -> Visitor:
        """A script that names itself by headers."""
        named = {"X-Llmapp-Owner": token, "X-Llmapp-Key": key}
        return Visitor(self.app.url, {**named, "X-Forwarded-For": an_address()})


def an_address() -> str:
    """An address as a proxy on this machine would tell it; the app believes nobody else."""
    return "198.51." + ".".join(str(byte) for byte in secrets.token_bytes(2))


def victims_things(data: Path) -> Victim:
    """A conversation, an ended job and an adapter of somebody, made by the app's own parts."""
    token = secrets.token_urlsafe(32)
    owner = f"browser-{hashlib.sha256(token.encode()).hexdigest()[:32]}"
    conversations = Conversations(Store(data / "llmapp.db"))
    kept = conversations.create(owner, Victim.secret)
    conversations.save(owner, kept.id, (Entry("user", Victim.secret),), kept.version)
    rows = data / "rows.csv"
    rows.write_text(f"text,label\n{Victim.secret},a\n", encoding="utf-8")
    settings = read_settings(["--data-dir", str(data)], {})
    # The work of this job is to end at once: it is there, interrupted, and can be asked for, resumed and deleted.
    supervisor = Supervisor(data / "jobs", settings, command=(sys.executable, "-c", "pass"))
    job = supervisor.start("finetune", owner, {"name": Victim.secret}, {"rows.csv": rows})
    deadline = time.monotonic() + 30
    while supervisor.status(job, owner).state == "queued" and time.monotonic() < deadline:
        supervisor.dispatch()
        time.sleep(0.1)
    folder = data / "adapters" / "victims-adapter"
    folder.mkdir(parents=True)
    card = {"id": folder.name, "name": Victim.secret, "base": MODELS[1], "task": "sentiment", "owner": owner}
    publish(folder, card)
    return Victim(token, kept.id, job, folder.name)


@pytest.fixture(scope="package")
def public_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicApp]:
    """Bound to every address, each browser an owner of its own, small limits, no network and no models; MCP on."""
    data = tmp_path_factory.mktemp("public")
    victim = victims_things(data)
    limits = ("--max-upload-mb", "1", "--max-disk-mb", "2", "--max-chars", "2000", "--max-requests", "30")
    app = App(data, ("--host", "0.0.0.0", "--owners", "browser", "--offline", "--mcp", *limits))
    app.start()
    yield PublicApp(app, victim)
    app.end()


SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "alice/app",
    "SPACE_AUTHOR_NAME": "alice",
    "SPACE_HOST": "alice-app.hf.space",
    "OAUTH_CLIENT_ID": "id",
    "OAUTH_CLIENT_SECRET": "only the Space knows",
    "OAUTH_SCOPES": "openid profile",
    # Nobody listens there: a Space starts without asking who signs people in.
    "OPENID_PROVIDER_URL": "http://127.0.0.1:9",
    "GRADIO_SERVER_NAME": "127.0.0.1",
}


@pytest.fixture(scope="package")
def space_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """As on a Hugging Face Space with sign-in, but on this machine's own address; its database was damaged."""
    data = tmp_path_factory.mktemp("space")
    (data / "llmapp.db").write_bytes(b"SQLite format 3\0 and then nothing that makes sense" * 50)
    app = App(data, ("--offline",), SPACE)
    app.start()
    yield app
    app.end()
