"""How good what is taught here is, beside what a statistician would try first. `python -m benchmarks.bench_finetune`

  sms      text messages, ham or spam, quick effort: the test of the report card
  movies   2,000 sentences of film reviews, thorough: 1,000 others, none nearly the same
Beside each the usual TF-IDF with logistic regression (scikit-learn's own settings), on the rows that were learned from
and chosen with, tested on the same rows. Prints one JSON object: accuracy, macro-F1, McNemar's p, minutes of the whole
training. `--part german`: GNOME's help from English to German with Gemma 3 270M, chrF of the report card (an hour).
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from llmapp.backend.device import detect
from llmapp.backend.pool import Pool
from llmapp.finetune.alike import families
from llmapp.finetune.evaluate import mcnemar
from llmapp.finetune.order import ROWS, TESTED, LessonOrder, order_for
from llmapp.finetune.run import run
from llmapp.settings import read_settings
from llmapp.tasks.metrics import score
from llmapp.tasks.sentiment import sentiment

from .data import movie_snippets, sms
from .house import BUILD, Order, catalog, machine, sources
from .parallel import gnome_help

LEARNED, HELD_OUT, SEED = 2000, 1000, 7
GERMAN_ROWS = 2200
HEADER = (" SMS text ", "Spam?")
"""As people name their columns: blanks around one, a question mark in the other."""

Row = tuple[str, str]


class Taught(NamedTuple):
    """A training that has ended: its folder, its report, and minutes from the table to the adapter."""

    place: Path
    report: Mapping[str, Any]
    minutes: float

    def result(self, name: str) -> Any:
        """A file of its result."""
        return json.loads((self.place / "result" / name).read_text(encoding="utf-8"))

    def learned(self, rows: Sequence[Row]) -> list[Row]:
        """The rows of its table that it learned from or was chosen with."""
        parts = self.result("split.json")
        return [rows[i] for side in ("train", "valid") for i in parts[side]]

    def cost(self) -> dict[str, Any]:
        """Steps, minutes of learning, and of the whole."""
        learning = self.report["minutes"]
        return {"steps": self.report["steps"], "learning_minutes": learning, "minutes": round(self.minutes, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", nargs="+", default=["sms", "movies"], choices=tuple(PARTS))
    given = parser.parse_args()
    print(json.dumps({"machine": machine(), **{part: PARTS[part]() for part in given.part}}, ensure_ascii=False))


def spam() -> dict[str, Any]:
    """Text messages, tested on the rows that the training kept for it."""
    rows = sms()
    done = taught("sms", rows, LessonOrder(effort="quick"))
    tested = done.result(TESTED)
    kept, answers = [(row["text"], row["label"]) for row in tested], [row["answer"] for row in tested]
    return beside(done.learned(rows), kept, answers) | done.cost()


def movies() -> dict[str, Any]:
    """Film snippets: as many to learn from as people have, and a larger test than they would have."""
    rows = [(snippet.text, snippet.label) for snippet in movie_snippets()]
    names = families([text for text, _ in rows])
    order = random.Random(SEED).sample(range(len(rows)), len(rows))
    chosen, taken = order[:LEARNED], {names[i] for i in order[:LEARNED]}
    kept = [rows[i] for i in order[LEARNED:] if names[i] not in taken][:HELD_OUT]
    learned = [rows[i] for i in chosen]
    done = taught("movies", learned, LessonOrder(effort="thorough"))
    return beside(done.learned(learned), kept, judged(done.place, [text for text, _ in kept])) | done.cost()


def german() -> dict[str, Any]:
    """Lines of GNOME's help, as the report card has them: chrF before and after, with its paired bootstrap."""
    rows = random.Random(SEED).sample(gnome_help("de"), GERMAN_ROWS)
    wish = LessonOrder("gemma-3-270m", effort="quick", goal="rewrite")
    done = taught("german", rows, wish, ("English", "German"))
    shown = ("test_rows", "train_rows", "before", "after", "p")
    return {name: done.report[name] for name in shown} | done.cost()


def taught(name: str, rows: Sequence[Row], wish: LessonOrder, header: Row = HEADER) -> Taught:
    """The whole way of a table through a training."""
    place = BUILD / "bench_finetune" / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    table = place / f"{name}.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    began = time.perf_counter()
    order = order_for(table, wish)
    settings = read_settings(["--data-dir", str(place)], {"HF_HUB_OFFLINE": "1"})
    run(Order(place, asdict(order), {ROWS: table}), catalog(), sources(), settings)
    report = json.loads((place / "result" / "report.json").read_text(encoding="utf-8"))
    return Taught(place, report, (time.perf_counter() - began) / 60)


def judged(place: Path, texts: Sequence[str]) -> list[str]:
    """The labels that the trained adapter gives, as the Sentiment tab asks it."""
    pool = Pool(catalog().with_adapters(place / "adapters"), sources(), detect("cpu"), "fp32")
    try:
        with pool.lease(Order.id, Order.owner) as engine:
            return [found.label for found in sentiment(engine, texts)]
    finally:
        pool.close()


def beside(learned: Sequence[Row], kept: Sequence[Row], answers: Sequence[str]) -> dict[str, Any]:
    """Both sides' scores on the same rows."""
    peer = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    peer.fit(*map(list, zip(*learned, strict=True)))
    texts, truth = (list(side) for side in zip(*kept, strict=True))
    theirs = [str(label) for label in peer.predict(texts)]
    labels = sorted(set(truth))
    hits = [[said == true for said, true in zip(side, truth, strict=True)] for side in (theirs, answers)]
    return {
        "learned": len(learned),
        "tested": len(kept),
        **{name: scored(truth, side, labels) for name, side in (("here", answers), ("tfidf_lr", theirs))},
        "p": mcnemar(*hits),
    }


def scored(truth: Sequence[str], answers: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """Accuracy and macro-F1."""
    found = score([labels.index(each) for each in truth], [labels.index(each) for each in answers], labels)
    return {"accuracy": round(found.accuracy, 4), "macro_f1": round(found.macro_f1, 4)}


PARTS: Mapping[str, Callable[[], dict[str, Any]]] = {"sms": spam, "movies": movies, "german": german}


if __name__ == "__main__":
    main()
