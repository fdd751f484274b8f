"""A table of 10,000 sentences judged as the Sentiment tab's job does it, beside `transformers.pipeline(batch_size=32)`.

Same model (the packaged encoder with the shipped English adapter), same weights in memory, same threads, one process.
Sentences: the movie snippets of benchmarks/data.py, filled up from Python's own documentation, in an order that mixes
them. `python -m benchmarks.bench_table` prints one JSON object:
  ratio           judging over the peer, median of pairs of 1,000 rows, turn about
  ratios          the pairs
  job_ratio       the whole job (table read, rows kept on disk as they come, CSV and XLSX written) over the peer
  rows_per_s      by the job, by the peer
  same_labels     share of rows on which both say the same
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any, Literal

import torch
import transformers

from llmapp.backend.device import detect
from llmapp.backend.engine import Engine
from llmapp.backend.pool import Pool
from llmapp.backend.sources import Sources
from llmapp.bulk.judging import TABLE, judged, run
from llmapp.catalog import Catalog
from llmapp.messages import Message
from llmapp.settings import read_settings
from llmapp.tasks.splitting import paragraphs, sentences
from llmapp.tasks.tables import write_csv

from .bench_chat import machine
from .data import movie_snippets

ROOT = Path(__file__).parent.parent
ADAPTER = "sentiment-en"
ROWS, PAIR, PAIRS, BATCH = 10_000, 1000, 5, 32
SEED = 7

Judge = Callable[[Sequence[str]], Any]


@dataclass
class Order:
    """The job's folder, and nobody who watches or stops."""

    place: Path
    table: Path
    todo: Mapping[str, Any]
    id: str = "1"
    owner: str = "me"

    def file(self, name: str) -> Path:
        assert name == TABLE
        return self.table

    def file_name(self, name: str) -> str:
        return f"{name}.csv"

    def folder(self, name: Literal["checkpoints", "result"]) -> Path:
        folder = self.place / name
        folder.mkdir(exist_ok=True)
        return folder

    def phase(self, name: str) -> None:
        print(name, file=sys.stderr)

    def say(self, words: Message) -> None:
        print(words.text(), file=sys.stderr)

    def point(self, name: str, step: int, **values: float) -> None:
        pass

    def progress(self, step: int, steps: int) -> None:
        pass

    def stop_asked(self) -> bool:
        return False


class OnePool:
    """A pool whose model is loaded already, so that loading is on neither side."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def lease(self, *_: Any) -> Iterator[Engine]:
        yield self._engine


def texts() -> list[str]:
    """`ROWS` different sentences of mixed length."""
    documentation = (
        sentence for topic in topics.values() for part in paragraphs(topic) for sentence in sentences(part, "en")
    )
    others = [" ".join(each.split()) for each in documentation if len(each.split()) > 3]
    rows = list(dict.fromkeys([snippet.text for snippet in movie_snippets()] + others))[:ROWS]
    random.Random(SEED).shuffle(rows)
    return rows


def timed(judge: Judge, rows: Sequence[str]) -> tuple[float, list[str]]:
    """Seconds, and the labels."""
    began = time.perf_counter()
    labels = [row["label"] for row in judge(rows)]
    return time.perf_counter() - began, labels


def pairs(ours: Judge, peer: Judge, rows: Sequence[str]) -> Iterator[float]:
    """How much faster, by parts of the rows; each begins in turn."""
    for judge in (ours, peer):
        timed(judge, rows[:64])
    for i in range(PAIRS):
        part = rows[i * PAIR : (i + 1) * PAIR]
        seconds = {judge: timed(judge, part)[0] for judge in ((ours, peer) if i % 2 else (peer, ours))}
        yield seconds[peer] / seconds[ours]


def whole_job(engine: Engine, rows: Sequence[str]) -> tuple[float, list[str]]:
    """Seconds from the table to the files, and the labels."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_csv(folder / "upload", ["text"], ([row] for row in rows))
        todo = {"column": "text", "model": ADAPTER, "labels": [], "language": "en"}
        began = time.perf_counter()
        run(Order(folder, folder / "upload", todo), OnePool(engine))  # type: ignore[arg-type]
        seconds = time.perf_counter() - began
        kept = (folder / "checkpoints" / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    return seconds, [json.loads(line)["label"] for line in kept]


def main() -> None:
    settings = read_settings(["--data-dir", str(ROOT / "build")], {})
    sources = Sources(settings.data_dir / "models", settings)
    pool = Pool(Catalog.read(ROOT / "models"), sources, detect("cpu"), "fp32")
    rows = texts()
    with pool.lease(ADAPTER) as engine:
        # The usual way to classify many texts.
        peer = transformers.pipeline(
            "text-classification",
            model=engine._model,  # type: ignore[attr-defined]
            tokenizer=engine._tokens.tokenizer,  # type: ignore[attr-defined]
            batch_size=BATCH,
        )
        ratios = list(pairs(lambda part: judged(engine, part), lambda part: peer(list(part)), rows))
        peer_s, theirs = timed(lambda part: peer(list(part)), rows)
        job_s, ours = whole_job(engine, rows)
    print(json.dumps(report(ratios, (job_s, ours), (peer_s, theirs))))


def report(ratios: Sequence[float], job: tuple[float, list[str]], peer: tuple[float, list[str]]) -> dict[str, object]:
    """The figures, and the facts of the machine."""
    rows = len(job[1])
    return {
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "job_ratio": round(peer[0] / job[0], 2),
        "rows_per_s": {"job": round(rows / job[0], 1), "peer": round(rows / peer[0], 1)},
        "same_labels": sum(a == b for a, b in zip(job[1], peer[1], strict=True)) / rows,
        "rows": rows,
        "model": ADAPTER,
        "precision": "fp32",
        "threads": torch.get_num_threads(),
        "machine": machine(),
    }


if __name__ == "__main__":
    main()
