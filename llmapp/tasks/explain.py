"""Why a text was judged as it was: the words that carried it, and the proof, a judgement without them.

Occlusion: each word is left out once and the text judged again (Zeiler & Fergus 2014, arXiv:1311.2901; for words Li et
al. 2016, arXiv:1612.08220). So it works for every model that judges, in any precision. Knows no weights and no page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..backend.engine import Engine
from ..errors import BadInput
from .documents import WORD
from .sentiment import BATCH, classify, classify_each

MOST, FEWEST = 128, 8
"""Pieces of a text that are left out one by one: fewer where each judgement reads several windows, so that the work
stays the same. Of a text with more words, a piece has several."""

REMOVED = 3
"""Pieces that the proof leaves out, at most."""

NOTHING = "…"
"""What is judged where nothing is left of a text."""

_TOKEN = re.compile(rf"\s*{WORD}")


@dataclass(frozen=True)
class Explanation:
    """What carried the judgement. Joined, the texts of `tokens` are the whole text.

    The weight of a token is what its absence takes from the probability of `label`, from -1 to 1: negative where it
    spoke against the label. `removed` are the tokens that carried most, `without` the probability of the label
    without all of them. Until it is `whole`, weights are 0 for what was not left out yet, and nothing is removed.
    """

    label: str
    probability: float
    tokens: tuple[tuple[str, float], ...]
    removed: tuple[str, ...]
    without: float
    whole: bool = False


def explain(engine: Engine, text: str, label: str = "", labels: Sequence[str] = ()) -> Iterator[Explanation]:
    """Explain the probability of a label, the likeliest where none is named; `labels` as in `classify_each`.

    Yields after each batch of words, so that it can be stopped; the last one is whole. Raises BadInput for a blank text
    or a label that there is not, CanNotRun for a model that only writes.
    """
    (judged,) = classify(engine, [text], labels)
    label = label or judged.label
    if label not in judged.scores:
        raise BadInput("labels_fixed", model=engine.info.model.name, labels=", ".join(judged.scores))
    tokens = _tokens(text, max(FEWEST, MOST // judged.windows))
    whole = judged.scores[label]
    weights: list[float] = []
    for absent in classify_each(engine, [_without(tokens, [i]) for i in range(len(tokens))], labels):
        weights.append(whole - absent.scores[label])
        if len(weights) % BATCH == 0:
            so_far = [*weights, *[0.0] * (len(tokens) - len(weights))]
            yield Explanation(label, whole, tuple(zip(tokens, so_far, strict=True)), (), whole)
    most = sorted(range(len(tokens)), key=lambda i: -weights[i])[:REMOVED]
    carried = sorted(i for i in most if weights[i] > 0)
    (proof,) = classify(engine, [_without(tokens, carried)], labels)
    removed = tuple(tokens[i].strip() for i in carried)
    yield Explanation(label, whole, tuple(zip(tokens, weights, strict=True)), removed, proof.scores[label], whole=True)


def _tokens(text: str, most: int) -> list[str]:
    """Words with the white space before them, the last with what is behind it too; several words each, where many."""
    words = _TOKEN.findall(text)
    size = math.ceil(len(words) / most)
    tokens = ["".join(words[start : start + size]) for start in range(0, len(words), size)]
    tokens[-1] += text[sum(map(len, tokens)) :]
    return tokens


def _without(tokens: Sequence[str], absent: Sequence[int]) -> str:
    left = "".join(token for i, token in enumerate(tokens) if i not in absent)
    return left if left.strip() else NOTHING
