"""A tiny encoder, and rows that it can learn: what is praised and what is not, in words its tokenizer knows."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmapp.backend.engine import Precision
from llmapp.backend.sources import Local
from llmapp.finetune.adapter import Base
from llmapp.jobs.supervisor import Supervisor
from llmapp.messages import message
from llmapp.settings import AppSettings

from ..jobs.conftest import end_workers
from ..tiny import catalog_entry, tiny_encoder
from .faulty import worker_with

PRAISE, BLAME = ("love", "wonderful", "great"), ("hate", "terrible", "waste")
FILL = ("the", "film", "is", "and", "this", "story", "a", "of", "time", "actors", "are", "it", "capital", "fox", "dog")


def opinions(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Different texts of 4 to 12 words; one word in each tells the label."""
    dice, found = random.Random(seed), {}
    while len(found) < count:
        label, telling = dice.choice((("positive", PRAISE), ("negative", BLAME)))
        words = [dice.choice(FILL) for _ in range(dice.randint(3, 11))]
        words.insert(dice.randrange(len(words)), dice.choice(telling))
        found[" ".join(words)] = label
    return list(found.items())


def write_table(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("message", "label"), *rows])
    return path


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="session")
def base(tiny_folder: Path) -> Base:
    precision = Precision("fp32", "float32", "cpu", message("reason.cpu"))
    return Base(catalog_entry(tiny_folder, "encoder", "bert"), Local(tiny_folder, "1", "fp32", "folder"), precision)


@pytest.fixture
def data_dir(tiny_folder: Path, tmp_path: Path) -> Path:
    """A data folder whose catalog holds the tiny encoder, and a causal model that can not be taught so."""
    (tmp_path / "catalog").mkdir()
    for name, kind in (("tiny", "encoder"), ("writer", "causal")):
        (tmp_path / "catalog" / f"{name}.yaml").write_text(
            f"""
{{id: {name}, name: {name}, kind: {kind}, family: bert, tasks: [finetune], parameters: 150000, context: 512,
languages: [en], licence: Apache-2.0, licence_url: "https://www.apache.org/licenses/LICENSE-2.0",
memory_mb: {{fp32: 1}}, note: {{en: tiny, zh: tiny}}, sources: [{{folder: {{path: {tiny_folder}, weights: fp32}}}}]}}
"""
        )
    return tmp_path


@pytest.fixture
def table(tmp_path: Path) -> Callable[[int], Path]:
    """`table(300)`: a CSV file of that many opinions."""
    return lambda count: write_table(tmp_path / "opinions.csv", opinions(count))


@pytest.fixture
def workers(data_dir: Path) -> Iterator[Callable[..., Supervisor]]:
    """`workers("save")`: a supervisor over the data folder whose workers meet that fault."""
    homes = []

    def made(fault: str = "nothing", home: Path = data_dir, **settings: Any) -> Supervisor:
        homes.append(home)
        return Supervisor(home / "jobs", AppSettings(data_dir=home, device="cpu", **settings), worker_with(fault))

    yield made
    for home in homes:
        end_workers(home / "jobs")
