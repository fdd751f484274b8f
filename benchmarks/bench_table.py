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
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import torch
import transformers

from llmapp.backend.engine import Engine
from llmapp.bulk.judging import TABLE, judged, run
from llmapp.bulk.orders import TableOrder
from llmapp.tasks.splitting import paragraphs, sentences
from llmapp.tasks.tables import write_csv

from .data import movie_snippets
from .house import Order, leased, machine

ADAPTER = "sentiment-en"
ROWS, PAIR, PAIRS, BATCH = 10_000, 1000, 5, 32
SEED = 7

Judge = Callable[[Sequence[str]], Any]


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
        table = folder / "table.csv"
        write_csv(table, ["text"], ([row] for row in rows))
        began = time.perf_counter()
        run(Order(folder, asdict(TableOrder("text", ADAPTER)), {TABLE: table}), OnePool(engine))  # type: ignore[arg-type]
        seconds = time.perf_counter() - began
        kept = (folder / "checkpoints" / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    return seconds, [json.loads(line)["label"] for line in kept]


def main() -> None:
    rows = texts()
    with leased(ADAPTER) as engine:
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
