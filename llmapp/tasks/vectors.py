"""Sentences as unit vectors, to be compared: by an encoder that knows their language, by the words they share, or both.

Knows no weights. The product of two vectors of one kind is their likeness.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..backend.engine import Engine
from ..catalog import Model
from .language import detect
from .splitting import chunks

Vectors = NDArray[np.float32]

TOGETHER = 64
"""Sentences encoded at once: some tenths of a second on two cores, after which who waits hears of it."""

WIDTH = 2048
"""Length of a vector of words: a text of thousands of sentences stays within some 60 MB."""

STEM = 6
"""Letters of a word that count, so that its endings do not: as good as a stemmer in many languages (McNamee and
Mayfield 2004, "Character N-Gram Tokenization for European Language Text Retrieval")."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def knows(model: Model, text: str) -> bool:
    """Whether an encoder was made for the language of a text; a text too short to tell is taken for known."""
    found = detect(text)
    return not found.certain or found.language in model.languages


def by_encoder(engine: Engine, texts: Sequence[str]) -> Iterator[Vectors]:
    """Vectors of the texts, some at a time, in order; the mean of its pieces where one is longer than the context."""
    for start in range(0, len(texts), TOGETHER):
        pieces = [_pieces(engine, text) for text in texts[start : start + TOGETHER]]
        rows = engine.encode([piece for each in pieces for piece in each])
        ends = np.cumsum([0, *map(len, pieces)])
        yield _unit(np.stack([rows[a:b].mean(axis=0) for a, b in pairwise(ends)]))


def by_words(texts: Sequence[str]) -> Vectors:
    """Vectors of TF-IDF over the words of these texts, over pairs of characters where a script has no spaces.

    A term takes a place and a sign by its hash (Weinberger et al. 2009, arXiv:0902.2206). A text without words is 0.
    """
    counts = np.zeros((len(texts), WIDTH), dtype=np.float32)
    within = np.zeros(WIDTH, dtype=np.float32)
    for row, text in zip(counts, texts, strict=True):
        places = [_place(term) for term in terms(text)]
        for place, sign in places:
            row[place] += sign
        within[list({place for place, _ in places})] += 1
    weights = np.log((1 + len(texts)) / np.maximum(within, 1))
    return _unit(np.sign(counts) * np.log1p(np.abs(counts)) * weights)


def both(encoded: Vectors, worded: Vectors) -> Vectors:
    """Vectors whose likeness is the mean of the two: rare words, names and numbers count, too."""
    return np.asarray(np.concatenate([encoded, worded], axis=1) / np.sqrt(2), dtype=np.float32)


def terms(text: str) -> list[str]:
    """What counts as a word when texts are compared: beginnings of words, and pairs of characters."""
    found = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        if _SPACELESS.match(word):
            found += [word[i : i + 2] for i in range(max(1, len(word) - 1))]
        else:
            found.append(word[:STEM])
    return found


def _pieces(engine: Engine, text: str) -> list[str]:
    return chunks(text, engine.info.model.context - 1, engine.count_tokens)


def _place(term: str) -> tuple[int, int]:
    code = zlib.crc32(term.encode())
    return code % WIDTH, 1 if code >> 31 else -1


def _unit(rows: Vectors) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), dtype=np.float32)
