"""How often a summary's sentence is marked as resting on nothing: true ones wrongly, false ones rightly.

On the rows that benchmarks/bench_summaries.py reports. `python -m benchmarks.bench_receipts` prints one JSON object, by
set and by what compares (words, encoder), the share of sentences that are marked:
  lead     the text's own first sentence: none should be
  told     what a person wrote of the text in other words (the abstract, the short description): few should be
  other    the same of another text: all should be
  number   the text's own sentences with another number in them: all should be
`--bounds` prints, on other rows, what chose `ENCODED` and `WORDS`: for each bound the share of a text's own sentences
that are less like any other of it, and of another text's.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmapp.backend.engine import Engine
from llmapp.tasks.extract import sentences_of
from llmapp.tasks.receipts import likeness_of, receipts
from llmapp.tasks.summarize import SummaryUpdate
from llmapp.tasks.vectors import Vectors

from .bench_summaries import ENCODER, OPTIONS, encoded, rows
from .data import Summarized
from .house import leased, machine

TEXTS = {"descriptions": 200, "articles": 12}
BOUNDS = {"words": np.arange(0.05, 0.5, 0.05), "encoder": np.arange(0.3, 0.8, 0.05)}
MADE = SummaryUpdate("", 1, 1, 1, 1, "stop")
DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Pair:
    """A text and what is said of it, of which `kind`."""

    kind: str
    text: str
    said: str


def pairs(given: Sequence[Summarized]) -> Iterator[Pair]:
    """Of each text what is true of it and what is not; another text is the next one."""
    for row, other in zip(given, [*given[1:], given[0]], strict=True):
        own = sentences_of(row.text, "en")
        yield Pair("lead", row.text, own[0])
        yield Pair("told", row.text, row.summary)
        yield Pair("other", row.text, other.summary)
        numbered = next((each for each in own if changed(each) not in (each, "")), None)
        if numbered:
            yield Pair("number", row.text, changed(numbered))


def changed(sentence: str) -> str:
    """Its first number, another one: four digits that no text here is likely to have."""
    return re.sub(r"(?<![\w.,-])\d+(?![\w-])", "7919", sentence, count=1) if DIGIT.search(sentence) else ""


def marked(given: Sequence[Summarized], engine: Engine | None) -> dict[str, dict[str, float]]:
    """The share that is marked, and of how many sentences."""
    found: dict[str, list[bool]] = {}
    for pair in pairs(given):
        for receipt in receipts(replace(MADE, text=pair.said), pair.text, engine):
            found.setdefault(pair.kind, []).append(not receipt.supported)
    return {kind: {"marked": round(float(np.mean(each)), 3), "sentences": len(each)} for kind, each in found.items()}


def bounds(given: Sequence[Summarized], engine: Engine | None) -> dict[str, dict[str, float]]:
    """By bound, the share of a text's own sentences that are below it to the rest of it, and of those of the next."""
    texts = [sentences_of(row.text, "en") for row in given]
    best: dict[str, list[float]] = {"own": [], "other": []}
    for text, other in zip(texts, [*texts[1:], texts[0]], strict=True):
        own = _likeness(text, text, engine)
        np.fill_diagonal(own, -1)
        best["own"] += own.max(axis=1).tolist()
        best["other"] += _likeness(other, text, engine).max(axis=1).tolist()
    steps = BOUNDS["encoder" if engine else "words"]
    return {
        f"{bound:.2f}": {kind: round(float(np.mean(np.array(each) < bound)), 3) for kind, each in best.items()}
        for bound in steps
    }


def _likeness(said: Sequence[str], text: Sequence[str], engine: Engine | None) -> Vectors:
    return encoded(said, engine) @ encoded(text, engine).T if engine else likeness_of(said, text, None)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bounds", action="store_true")
    parser.add_argument("--methods", nargs="+", default=["words", "encoder"])
    chosen = parser.parse_args()
    measure: Callable[[Sequence[Summarized], Engine | None], object] = bounds if chosen.bounds else marked
    result: dict[str, object] = {}
    for name in OPTIONS:
        given = rows(name)[1 if chosen.bounds else 0][: TEXTS[name]]
        if "words" in chosen.methods:
            result[f"{name}, words"] = measure(given, None)
        if "encoder" in chosen.methods:
            with leased(ENCODER) as engine:
                result[f"{name}, encoder"] = measure(given, engine)
    print(json.dumps({**result, "machine": machine()}, indent=1))


if __name__ == "__main__":
    main()
