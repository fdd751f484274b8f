"""A summary of sentences taken from the text as they stand: nothing is written, so nothing can be made up.

What counts is how far the rest of the text says the same (centrality, LexRank: Erkan and Radev 2004, arXiv:1109.2128),
what comes after more than what came before (PacSum: Zheng and Lapata 2019, arXiv:1906.03508), and that no two say the
same (maximal marginal relevance: Carbonell and Goldstein 1998). Knows no page and no weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.engine import Engine
from ..errors import BadInput
from ..messages import Message, message
from .cleaning import formed
from .documents import count_words
from .splitting import sentences
from .summarize import SummaryOptions, SummaryUpdate, own_language
from .vectors import TOGETHER, Vectors, both, by_encoder, by_words

BLOCK = 1024
"""Sentences compared with all others at once: 8,000 of them take 33 MB, not 256."""


@dataclass(frozen=True)
class Weights:
    """What makes a sentence worth taking, found by `benchmarks.bench_summaries` on rows that it does not report.

    `floor`: likeness (a cosine) that does not count yet.
    `before`: what a sentence's likeness to those before it counts, where likeness to those after it counts 1.
    `first`: what the first sentence of a short text is given for its place, where there is no focus.
    `new`: what a sentence loses for being like one that was taken.
    `focus`: what the sentence that is most like the focus is given, where there is one.
    """

    floor: float
    before: float
    first: float
    new: float
    focus: float


ENCODED = Weights(floor=0.2, before=0.5, first=2.0, new=1.0, focus=4.0)
WORDS = Weights(floor=0.05, before=0.0, first=2.0, new=0.5, focus=4.0)

NOT_WHOLE = 100.0
"""What a heading or a cell of a table loses: it is taken only where there is nothing else."""

SHORT = 20
"""Sentences of a text up to which the first one says what it is about; of a longer one its place counts less."""

LEAST = 5
"""Words that a sentence must have to stand alone; a character of Chinese or Japanese is a word."""

SAME = 0.95
"""Likeness from which two sentences say the same: the second is not taken."""

NEAR, TRIES = 0.9, 10
"""Share of the words asked for that is enough, and how many sentences that are too long are passed over for it."""

_MARK = re.compile(r"^(?:[-*•#>]+|\d+[.)])\s+(?=\S)")
_ENDS = re.compile(r"[.!?…。！？][\"'”’»)\]」』]*$")


def extract(text: str, options: SummaryOptions | None = None, engine: Engine | None = None) -> Iterator[SummaryUpdate]:
    """The sentences of a text that say most of it, in their order; compared by an encoder and by their words, or by
    these alone.

    There is an update for every batch of sentences that is read. Raises BadInput for a blank text.
    """
    if not text.strip():
        raise BadInput("text_empty")
    options = options or SummaryOptions()
    language = own_language(text)
    found = sentences_of(text, language)
    batches = -(-len(found) // TOGETHER) if engine else 1
    update = SummaryUpdate("", 0, batches, 0, count_words(text), notes=_notes(options, language, engine))
    yield update
    asked = [*found, *([options.focus] if options.focus else [])]
    rows = []
    for each in by_encoder(engine, asked) if engine else [by_words(asked)]:
        rows.append(each)
        done = min(batches, len(rows))
        read = sum(map(count_words, found[: TOGETHER * done])) if done < batches else update.words_total
        update = replace(update, done_parts=done, words_read=read)
        if done < batches:
            yield update
    vectors = both(np.concatenate(rows), by_words(asked)) if engine else rows[0]
    about = vectors[len(found)] if options.focus else None
    taken = choose(found, vectors[: len(found)], options, about, ENCODED if engine else WORDS)
    made = formed([found[i] for i in taken], options.form, language)
    yield replace(update, text=made, finish="stop", places=tuple(taken))


def sentences_of(text: str, language: str) -> list[str]:
    """The sentences of a text on one line each, without the marks of lists and headings before them."""
    return [" ".join(_MARK.sub("", each).split()) for each in sentences(text, language)]


def choose(
    texts: Sequence[str], vectors: Vectors, options: SummaryOptions, about: Vectors | None, weights: Weights
) -> list[int]:
    """Which of the sentences to take, in their order. `vectors`: a row for each; `about`: one of the focus."""
    worth = centrality(vectors, weights)
    if about is None:
        worth[0] += weights.first * min(1, SHORT / len(texts))
    else:
        near = np.maximum(vectors @ about, 0)
        worth += weights.focus * near / max(float(near.max()), 1e-9)
    sizes = [count_words(text) for text in texts]
    worth[~_whole(texts, sizes)] -= NOT_WHOLE
    budget = Budget(options, len(texts))
    taken: list[int] = []
    likeness = np.zeros(len(texts), dtype=np.float32)
    while budget.left():
        best = int((worth - weights.new * likeness).argmax())
        if worth[best] == -np.inf:
            break
        worth[best] = -np.inf
        if budget.take(sizes[best]):
            taken.append(best)
            likeness = np.maximum(likeness, vectors @ vectors[best])
            worth[likeness > SAME] = -np.inf
    return sorted(taken)


def centrality(vectors: Vectors, weights: Weights) -> NDArray[np.float32]:
    """How far the rest of the text says what each sentence says: the mean likeness above the floor; the most is 1."""
    rows = np.zeros(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        likeness = np.maximum(block @ vectors.T - weights.floor, 0)
        after = np.triu(likeness, start + 1).sum(axis=1)
        before = np.tril(likeness, start - 1).sum(axis=1)
        rows[start : start + BLOCK] = after + weights.before * before
    most = np.abs(rows).max(initial=0)
    return rows / most if most else rows


class Budget:
    """How much may still be taken: sentences, or words to come as near as can be to a number."""

    def __init__(self, options: SummaryOptions, texts: int) -> None:
        self._aim = 0 if options.form == "headline" else options.words
        self._sentences = 1 if options.form == "headline" else options.most_sentences(texts)
        self._words, self._tries = 0, TRIES

    def left(self) -> bool:
        """Whether more is wanted."""
        if self._aim:
            return self._words < NEAR * self._aim and self._tries > 0
        return self._sentences > 0

    def take(self, words: int) -> bool:
        """Take a sentence, unless that leads further away from the number of words: then perhaps a shorter one fits."""
        if self._aim and self._words and self._words + words - self._aim >= self._aim - self._words:
            self._tries -= 1
            return False
        self._words += words
        self._sentences -= 1
        return True


def _whole(texts: Sequence[str], sizes: Sequence[int]) -> NDArray[np.bool_]:
    """Which are sentences and neither headings, cells of a table nor cries."""
    return np.array([size >= LEAST and bool(_ENDS.search(text)) for text, size in zip(texts, sizes, strict=True)])


def _notes(options: SummaryOptions, language: str, engine: Engine | None) -> tuple[Message, ...]:
    """What was compared without a model, and that what is taken from a text can not be in another language."""
    notes = [] if engine else [message("reason.extract_words")]
    if options.language and language and options.language != language:
        notes.append(message("reason.extract_language", language=Message(f"language.{language}")))
    return tuple(notes)
