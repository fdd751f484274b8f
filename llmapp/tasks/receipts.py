"""What each sentence of a summary rests on: the sentences of the text that say the same, and what is in none of them.

Sentences are compared by an encoder, or by the words they share; numbers and names are looked up exactly. This finds
what comes from nowhere. It is no proof that a sentence is true: one that twists what the text says is like it, too.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from text_to_num import alpha2digit

from ..backend.engine import Engine
from .extract import sentences_of
from .summarize import SummaryUpdate, own_language
from .vectors import Vectors, by_encoder, by_words

SOURCES = 3
"""Sentences of the text shown for one of the summary, at most."""

CANDIDATES = 24
"""Sentences of a long text that share most words with one of the summary: only these are given to the encoder."""

ENCODED, WORDS = (0.27, 0.03), (0.05, 0.02)
"""Likeness (a cosine) from which a sentence rests on another, by the encoder and by words: what it is for a text of one
sentence, and what each doubling of its sentences adds, since the best of many is likelier to be like it by chance.
Chosen by `benchmarks.bench_receipts --bounds`.
"""

COUNTED = frozenset({"da", "de", "en", "es", "fr", "it", "nl", "pt"})
"""Languages whose numbers in words text2num reads."""

NEARLY = 0.8
"""Share of the best likeness from which further sources are shown."""

_THOUSANDS = re.compile(r"[.,](?=[0-9]{3}(?![0-9]))")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<![\w'’])[^\W\d_][\w&]*(?:[-'’][^\W\d_]\w*)*")


@dataclass(frozen=True)
class Source:
    """A sentence of the text: which one, counted from 0, of how many."""

    text: str
    place: int
    of: int


@dataclass(frozen=True)
class Receipt:
    """A sentence of the summary, what it rests on (best first; nothing where nothing is like it), and what is missing.

    `missing`: numbers and names that stand nowhere in the text.
    """

    sentence: str
    sources: tuple[Source, ...]
    missing: tuple[str, ...]

    @property
    def supported(self) -> bool:
        """Whether there is something that it rests on, and nothing in it that is nowhere in the text."""
        return bool(self.sources) and not self.missing


def receipts(update: SummaryUpdate, text: str, engine: Engine | None = None) -> tuple[Receipt, ...]:
    """A receipt for each sentence of a summary; by words alone without an encoder. Sentences taken are their own."""
    if not update.text.strip():
        return ()
    language = own_language(text)
    given = sentences_of(text, language)
    if update.places:
        return tuple(Receipt(given[i], (Source(given[i], i, len(given)),), ()) for i in update.places)
    found = sentences_of(update.text, own_language(update.text))
    likeness = likeness_of(found, given, engine)
    least, more = ENCODED if engine else WORDS
    bound = least + more * math.log2(max(1, len(given)))
    known = _Known(text, given, language)
    return tuple(_receipt(each, given, row, bound, known) for each, row in zip(found, likeness, strict=True))


class _Known:
    """The numbers and words of a text; a number that is written in words is known as one, too."""

    def __init__(self, text: str, sentences: Sequence[str], language: str) -> None:
        plain = _plain(text)
        self._words = set(re.findall(r"\w+", plain))
        digits = [plain, *(_in_digits(sentence, language) for sentence in sentences)]
        self._numbers = {_bare(number) for each in digits for number in _NUMBER.findall(each)}

    def number(self, number: str) -> bool:
        return _bare(number) in self._numbers

    def name(self, name: str) -> bool:
        return all(part in self._words for part in re.findall(r"\w+", _plain(name).removesuffix("'s")))


def _in_digits(sentence: str, language: str) -> str:
    """With 10 for ten, in languages that the library knows. A sentence at a time: its time grows with the square."""
    return str(alpha2digit(sentence, language, threshold=0)) if language in COUNTED else ""


def missing(sentence: str, known: _Known) -> tuple[str, ...]:
    """Numbers and names of a sentence that stand nowhere in the text, in their order."""
    numbers = [number for number in _NUMBER.findall(_plain(sentence)) if not known.number(number)]
    return tuple(dict.fromkeys([*numbers, *(name for name in names(sentence) if not known.name(name))]))


def names(sentence: str) -> list[str]:
    """Words that are written like names: with a capital inside of a sentence, or with one further on in the word.

    The first word only where the second is one too; none in a title, where every word has a capital.
    """
    found = list(_NAME.finditer(sentence))
    capitals = [_like_a_name(word[0]) for word in found]
    longer = [capital for word, capital in zip(found, capitals, strict=True) if len(word[0]) > 3]
    if len(longer) > 2 and all(longer):
        return []
    first = capitals[1:2] == [True] and len(found) > 2
    words = [word[0] for word, capital in zip(found, capitals, strict=True) if capital and len(word[0]) > 1]
    plain_start = capitals[:1] == [True] and found[0][0].istitle() and not first
    return words[1:] if plain_start and words[:1] == [found[0][0]] else words


def _like_a_name(word: str) -> bool:
    return any(letter.isupper() for letter in word)


def _receipt(sentence: str, given: Sequence[str], likeness: Vectors, bound: float, known: _Known) -> Receipt:
    """The likest sentences, and of those with its numbers the likest of each."""
    best = float(likeness.max(initial=0))
    order = [int(i) for i in np.argsort(-likeness, kind="stable")[:SOURCES]]
    chosen = [i for i in order if likeness[i] >= max(bound, NEARLY * best)] if best >= bound else []
    sources = tuple(Source(given[i], i, len(given)) for i in chosen)
    return Receipt(sentence, sources, missing(sentence, known))


def likeness_of(found: Sequence[str], given: Sequence[str], engine: Engine | None) -> Vectors:
    """How like each sentence of the summary is to each of the text, shape (found, given); 0 for what was left out."""
    words = by_words([*given, *found])
    by_word = words[len(given) :] @ words[: len(given)].T
    if engine is None:
        return np.asarray(by_word)
    near = np.argsort(-by_word, axis=1, kind="stable")[:, :CANDIDATES]
    places = sorted(set(near.ravel().tolist()))
    vectors = np.concatenate(list(by_encoder(engine, [*(given[i] for i in places), *found])))
    result = np.zeros_like(by_word)
    result[:, places] = vectors[len(places) :] @ vectors[: len(places)].T
    return result


def _plain(text: str) -> str:
    """One spelling for what is written in several: full width, letters large and small, quotes."""
    return unicodedata.normalize("NFKC", text).casefold().replace("’", "'")


def _bare(number: str) -> str:
    """1,000 and 1.000 and 1000 are one number, 1.5 and 1,5 too; 15 is another."""
    return _THOUSANDS.sub("", number).replace(",", ".").replace(":", ".")
