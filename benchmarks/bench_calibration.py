"""How honest the probabilities of the shipped sentiment adapter are: `python -m benchmarks.bench_calibration`.

Expected calibration error, negative log-likelihood and Brier score on the film snippets held out, as shipped and with a
temperature (Guo et al. 2017, arXiv:1706.04599) that is fitted on the rows that chose the best state, never on these.
With `--apply` the temperature goes into the adapter's head, and the numbers into its card. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmapp.backend.adapters import WEIGHTS, attach
from llmapp.backend.device import choose_precision, detect
from llmapp.backend.loader import load
from llmapp.catalog import CARD, Adapter
from llmapp.finetune.alike import families
from llmapp.finetune.objective import probabilities

from .calibration import calibration_error
from .data import Snippet, movie_snippets, side
from .house import catalog, packaged

ADAPTER = "sentiment-en"
BINS = 15
LEAST_GAIN = 0.005
"""Calibration error that a temperature must take off to be worth a change of what was shipped."""

Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apply", action="store_true")
    args = parser.parse_args()
    adapter = catalog().adapter(ADAPTER, "")
    snippets = movie_snippets()
    sides = [side(name) for name in families([snippet.text for snippet in snippets])]
    valid, test = ([s for s, where in zip(snippets, sides, strict=True) if where == w] for w in ("valid", "held out"))
    odds, truth = judged(adapter, [*valid, *test])
    fitted = temperature(odds[: len(valid)], truth[: len(valid)])
    before = honesty(odds[len(valid) :], truth[len(valid) :])
    after = honesty(tempered(odds[len(valid) :], fitted), truth[len(valid) :])
    found = {
        "temperature": round(fitted, 4),
        "fitted_on": len(valid),
        "rows": len(test),
        "before": before,
        "after": after,
    }
    print(json.dumps(found))
    if args.apply and before["ece"] - after["ece"] >= LEAST_GAIN:
        apply(adapter, fitted, found)


def judged(adapter: Adapter, snippets: Sequence[Snippet]) -> tuple[Floats, NDArray[np.int64]]:
    """Probabilities of the labels, and which label is true."""
    model, local = catalog().model(adapter.base), packaged(adapter.base)
    loaded = load(local, model, choose_precision(model, detect("cpu")))
    view = attach(loaded, adapter.folder, adapter.id)
    odds = probabilities(view.model, loaded.tokenizer([snippet.text for snippet in snippets])["input_ids"])
    truth = [view.labels.index(snippet.label) for snippet in snippets]
    return np.asarray(odds, dtype=np.float64), np.array(truth, dtype=np.int64)


def temperature(odds: Floats, truth: NDArray[np.int64]) -> float:
    """What logits are divided by so that these labels are likeliest: the likelihood is concave in its inverse."""
    low, high = 0.05, 10.0
    for _ in range(100):
        third = (high - low) / 3
        one, other = (likelihood_loss(tempered(odds, 1 / at), truth) for at in (low + third, high - third))
        low, high = (low, high - third) if one < other else (low + third, high)
    return 2 / (low + high)


def tempered(odds: Floats, by: float) -> Floats:
    """The probabilities at this temperature."""
    powers = np.maximum(odds, 1e-12) ** (1 / by)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def honesty(odds: Floats, truth: NDArray[np.int64]) -> dict[str, float]:
    """ECE over `BINS` equal widths of the likeliest label's probability, NLL, Brier score, and accuracy."""
    sure, right = odds.max(axis=1), odds.argmax(axis=1) == truth
    one_hot = np.eye(odds.shape[1])[truth]
    scores = {
        "ece": calibration_error(sure, right, BINS),
        "nll": likelihood_loss(odds, truth),
        "brier": ((odds - one_hot) ** 2).sum(axis=1).mean(),
        "accuracy": right.mean(),
        "mean_probability": sure.mean(),
    }
    return {name: round(float(value), 4) for name, value in scores.items()}


def likelihood_loss(odds: Floats, truth: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood."""
    return float(-np.log(np.maximum(odds[np.arange(len(truth)), truth], 1e-12)).mean())


def apply(adapter: Adapter, by: float, found: dict[str, Any]) -> None:
    """Divide the head's last layer, which is the same as dividing its logits."""
    from safetensors.numpy import load_file, save_file

    path = adapter.folder / WEIGHTS
    tensors = load_file(path)
    for name in tensors:
        if name.rpartition(".")[0].endswith(("classifier", "classifier.out_proj", "score")):
            tensors[name] = (tensors[name] / by).astype(tensors[name].dtype)
    save_file(tensors, path, metadata={"format": "pt"})
    card = json.loads((adapter.folder / CARD).read_text(encoding="utf-8"))
    card["report"]["calibration"] = found
    (adapter.folder / CARD).write_text(json.dumps(card, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
