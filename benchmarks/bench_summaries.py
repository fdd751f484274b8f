"""Summaries beside those of people: ROUGE of the lead, of sumy's LexRank, of what the app takes and of what it writes.

Two sets of benchmarks/data.py. Descriptions: one sentence each. Articles: 250 words each, the length of an abstract.
Every method gets the same sentences and stops by the same rule. `python -m benchmarks.bench_summaries` prints one JSON
object, mean F1 of ROUGE-1, 2 and L (stemmed) by set and method, and the seconds a text:
  lead      the first sentences
  lexrank   sumy 0.12.0, its own threshold and stemmer, with our words
  words     the extractive mode without a model
  encoder   the extractive mode with the packaged encoder (and words)
  written   the packaged chat model, on as many texts as fit its minutes; `same_rows` has all methods on these
`--tune` scores settings of the extractive mode on other rows, which choose them; `--lengths` tells on how many of 50
texts, half of each set, a number of words is kept (40, 150). `--sets`, `--methods`, `--minutes`.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np
from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
from sumy.nlp.stemmers import Stemmer
from sumy.summarizers.lex_rank import LexRankSummarizer

from llmapp.backend.engine import Engine
from llmapp.finetune.alike import families
from llmapp.tasks.documents import count_words
from llmapp.tasks.extract import Budget, Weights, choose, extract, sentences_of
from llmapp.tasks.rouge import KINDS, rouge
from llmapp.tasks.summarize import SummaryOptions, summarize
from llmapp.tasks.vectors import Vectors, both, by_encoder, by_words

from .data import CACHE, Summarized, debian_descriptions, plos_articles, side
from .house import leased, machine

Method = Callable[[str, SummaryOptions], str]
OPTIONS = {"descriptions": SummaryOptions(length="sentence"), "articles": SummaryOptions(length="250")}
REPORTED = {"descriptions": 200, "articles": 12}
TUNED = {"descriptions": 200, "articles": 8}
ENCODER, WRITER = "all-minilm-l6-v2", "smollm2-135m-instruct"
SHOWN, LENGTHS_OF = 20, 50
GRID = {
    "floor": (0.0, 0.05, 0.1, 0.2),
    "before": (-0.5, 0.0, 0.5),
    "first": (1.0, 2.0, 3.0),
    "new": (0.0, 0.5, 1.0),
}


def mixed(name: str) -> list[Summarized]:
    """The rows of a set, by hash, so that no order of theirs counts."""
    found = debian_descriptions() if name == "descriptions" else plos_articles()
    return sorted(found, key=lambda row: hashlib.sha256(row.name.encode()).hexdigest())[:1500]


def rows(name: str) -> tuple[list[Summarized], list[Summarized]]:
    """What is reported and what chooses the settings; near-duplicates on one side."""
    found = mixed(name)
    if name == "articles":
        return found[: REPORTED[name]], found[50:][: TUNED[name]]
    sides = [side(family) for family in families([row.text for row in found])]
    reported, tuned = (
        [r for r, s in zip(found, sides, strict=True) if s == wanted] for wanted in ("held out", "train")
    )
    return reported[: REPORTED[name]], tuned[: TUNED[name]]


def taken(order: Sequence[int], texts: Sequence[str], options: SummaryOptions) -> str:
    """Sentences in an order of preference, up to the length, in their own order."""
    budget = Budget(options, len(texts))
    chosen = [i for i in order if budget.left() and budget.take(count_words(texts[i]))]
    return " ".join(texts[i] for i in sorted(chosen))


def lead(text: str, options: SummaryOptions) -> str:
    """The first sentences."""
    texts = sentences_of(text, "en")
    return taken(range(len(texts)), texts, options)


class _Words:
    """What sumy asks of a tokenizer."""

    def to_words(self, text: str) -> list[str]:
        """Lower-case words."""
        return re.findall(r"\w+", text.lower())


def lexrank(text: str, options: SummaryOptions) -> str:
    """By sumy's own summarizer, best first."""
    texts = sentences_of(text, "en")
    given = [Sentence(each, _Words()) for each in texts]
    order: list[int] = []

    def ranked(infos: Sequence[Any]) -> Sequence[Any]:
        order.extend(info.order for info in infos)
        return infos

    LexRankSummarizer(Stemmer("english"))(ObjectDocumentModel([Paragraph(given)]), ranked)
    return taken(order, texts, options)


def by_extraction(engine: Engine | None, text: str, options: SummaryOptions) -> str:
    """As the app does it."""
    *_, last = extract(text, options, engine)
    return last.text


def by_writing(engine: Engine, text: str, options: SummaryOptions) -> str:
    """As the app does it."""
    *_, last = summarize(engine, text, options)
    return last.text


def scores(summaries: Sequence[str], given: Sequence[Summarized]) -> dict[str, float]:
    """Mean F1 of each kind."""
    found = [rouge(summary, row.summary) for summary, row in zip(summaries, given, strict=False)]
    return {kind: round(fmean(each[kind] for each in found), 4) for kind in KINDS}


def run(
    method: Method, given: Sequence[Summarized], options: SummaryOptions, seconds: float
) -> tuple[list[str], float]:
    """Summaries of as many texts as fit the time, and the seconds a text."""
    begun, made = time.monotonic(), []
    for row in given:
        made.append(method(row.text, options))
        if time.monotonic() - begun > seconds:
            break
    return made, (time.monotonic() - begun) / len(made)


def compared(name: str, methods: Mapping[str, Method], minutes: float) -> dict[str, Any]:
    """Every method on the reported rows of a set."""
    given, _ = rows(name)
    made: dict[str, list[str]] = {}
    result: dict[str, Any] = {"texts": len(given)}
    for method, use in methods.items():
        made[method], pace = run(use, given, OPTIONS[name], 60 * minutes if method == "written" else float("inf"))
        result[method] = {**scores(made[method], given), "texts": len(made[method]), "s_a_text": round(pace, 3)}
    few = min(map(len, made.values()))
    if few < len(given):
        result["same_rows"] = {method: scores(texts[:few], given) for method, texts in made.items()}
    return result


def lengths(methods: Mapping[str, Method], seconds: float) -> dict[str, Any]:
    """Of 50 texts, on how many a number of words was kept: within a quarter of it, or the longest sentence."""
    half = LENGTHS_OF // 2
    asked = [(row, "40") for row in rows("descriptions")[0][:half]] + [(row, "150") for row in mixed("articles")[:half]]
    result = {}
    for name, use in methods.items():
        begun, kept = time.monotonic(), []
        for row, words in asked:
            made = use(row.text, SummaryOptions(length=words))
            longest = max(map(count_words, sentences_of(made, "en")))
            kept.append(abs(count_words(made) - int(words)) <= max(0.25 * int(words), longest))
            if name == "written" and time.monotonic() - begun > seconds:
                break
        result[name] = {"kept": sum(kept), "of": len(kept)}
    return result


def settings() -> Iterator[dict[str, float]]:
    """Every setting of the grid."""
    return (dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values()))


def tuned(name: str, engine: Engine | None) -> list[dict[str, Any]]:
    """The best settings on the rows that are not reported, best mean of the three kinds first."""
    _, given = rows(name)
    texts = [sentences_of(row.text, "en") for row in given]
    vectors = [_vectors(each, engine) for each in texts]
    found = []
    for setting in settings():
        weights = Weights(**setting, focus=0.0)
        made = [
            " ".join(each[i] for i in choose(each, rows_, OPTIONS[name], None, weights))
            for each, rows_ in zip(texts, vectors, strict=True)
        ]
        result = scores(made, given)
        found.append({"mean": round(fmean(result.values()), 4), **setting, **result})
    return sorted(found, key=lambda each: -each["mean"])


def _vectors(texts: Sequence[str], engine: Engine | None) -> Vectors:
    return both(encoded(texts, engine), by_words(texts)) if engine else by_words(texts)


def encoded(texts: Sequence[str], engine: Engine) -> Vectors:
    """From the cache where the encoder has read these before."""
    key = hashlib.sha256("\n".join((ENCODER, *texts)).encode()).hexdigest()
    path = CACHE / "vectors" / f"{key}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.concatenate(list(by_encoder(engine, texts))))
    return np.asarray(np.load(path))


def main() -> None:
    """Read the command line, compare or tune, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--lengths", action="store_true")
    parser.add_argument("--sets", nargs="+", choices=tuple(OPTIONS), default=list(OPTIONS))
    parser.add_argument("--methods", nargs="+", default=["lead", "lexrank", "words", "encoder", "written"])
    parser.add_argument("--minutes", type=float, default=10.0)
    chosen = parser.parse_args()
    needed = [model for method, model in (("encoder", ENCODER), ("written", WRITER)) if method in chosen.methods]
    with ExitStack() as stack:
        engines = {model: stack.enter_context(leased(model)) for model in needed}
        every: dict[str, Method] = {"lead": lead, "lexrank": lexrank, "words": partial(by_extraction, None)}
        if ENCODER in engines:
            every["encoder"] = partial(by_extraction, engines[ENCODER])
        if WRITER in engines:
            every["written"] = partial(by_writing, engines[WRITER])
        if chosen.tune:
            print(json.dumps({name: tuned(name, engines.get(ENCODER))[:SHOWN] for name in chosen.sets}, indent=1))
            return
        methods = {name: every[name] for name in chosen.methods}
        if chosen.lengths:
            print(json.dumps(lengths(methods, 60 * chosen.minutes), indent=1))
            return
        result = {name: compared(name, methods, chosen.minutes) for name in chosen.sets}
    print(json.dumps({**result, "machine": machine()}, indent=1))


if __name__ == "__main__":
    main()
