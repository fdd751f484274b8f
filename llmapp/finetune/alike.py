"""When two texts are the same, or nearly: they must not stand on both sides of a split.

Knows texts only. Does not know labels, tables or models.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations

SHINGLE = 3
CHARACTERS = 6
"""Characters in a run, of texts without spaces: four runs in a row are nine characters, about six words."""
ALIKE, ENOUGH = 0.5, 4
"""Texts are alike where half of all their runs of three words are the same, or half of the shorter one's and at least
so many (six words in a row)."""
NEARLY = 0.6
"""Share of all their runs that two texts have in common which are nearly the same: another word or two."""
COMMON = 100
"""Holders looked at of one run of words: texts that are alike share rarer ones too."""

SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
"""A character of a language that sets no spaces between words."""

Runs = Callable[[str], frozenset[str]]


def text_key(text: str) -> str:
    """What two texts share that differ in case, punctuation, width of characters or blanks only."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(words) or text.strip()


def nearly_same(texts: Sequence[str]) -> list[str]:
    """A name for each text, the same for texts that a reader would call one: by `text_key`, or with a word changed."""
    keys = [text_key(text) for text in texts]
    different = list(dict.fromkeys(keys))
    names = dict(zip(different, families(different, runs, NEARLY, None), strict=True))
    return [names[key] for key in keys]


def families(
    texts: Sequence[str],
    parts_of: Runs | None = None,
    share: float = ALIKE,
    enough: int | None = ENOUGH,
) -> list[str]:
    """A name for each text, the same for texts that are alike.

    `parts_of` gives what a text is compared by (None: runs of words), `share` how much of it must be the same
    (Jaccard), `enough` the least number of a shorter text's runs where half of those suffice (None: they do not).
    """
    shingles = [(parts_of or runs_of_words)(text) for text in texts]
    holders: dict[str, list[int]] = defaultdict(list)
    for i, parts in enumerate(shingles):
        for part in parts:
            holders[part].append(i)
    head = list(range(len(texts)))

    def root(i: int) -> int:
        while head[i] != i:
            i = head[i]
        return i

    for members in holders.values():
        for one, other in combinations(members[:COMMON], 2):
            if root(one) != root(other) and _alike(shingles[one], shingles[other], share, enough):
                head[max(root(one), root(other))] = min(root(one), root(other))
    names: dict[int, str] = {}
    for i, text in enumerate(texts):
        names[root(i)] = min(names.get(root(i), text_key(text)), text_key(text))
    return [names[root(i)] for i in range(len(texts))]


def runs(text: str) -> frozenset[str]:
    """By words, or by characters where a text is written without spaces."""
    return runs_of_characters(text) if SPACELESS.search(text) else runs_of_words(text)


def runs_of_words(text: str) -> frozenset[str]:
    """Three words each."""
    words = text_key(text).split()
    return frozenset(" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1)))


def runs_of_characters(text: str) -> frozenset[str]:
    """Six characters each."""
    key = text_key(text).replace(" ", "")
    return frozenset(key[i : i + CHARACTERS] for i in range(max(1, len(key) - CHARACTERS + 1)))


def _alike(one: frozenset[str], other: frozenset[str], share: float, enough: int | None) -> bool:
    shared = len(one & other)
    if shared >= share * len(one | other):
        return True
    return enough is not None and shared >= max(enough, share * min(len(one), len(other)))
