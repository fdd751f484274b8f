"""How near a translation comes to one that a person trusts: BLEU and chrF, as sacrebleu reckons them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TOKENIZERS: Mapping[str, str] = {"zh": "zh", "zh-Hant": "zh", "ja": "char", "ko": "char", "th": "char"}
"""How sacrebleu finds the words of a language without spaces; 13a, its own choice, for all others."""


@dataclass(frozen=True)
class Nearness:
    """Both from 0 to 100; `lines` is how many were compared, 1 where the texts have not as many lines.

    `signature` says how, in sacrebleu's words, so that others can compare with it (Post 2018, arXiv:1804.08771).
    """

    bleu: float
    chrf: float
    lines: int
    signature: str


def compare(translation: str, reference: str, language: str) -> Nearness:
    """Line by line where both have as many that are not blank, else as one. `language` is BCP-47."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    sides = [[line for line in text.splitlines() if line.strip()] for text in (translation, reference)]
    if len(sides[0]) != len(sides[1]):
        sides = [[" ".join(lines)] for lines in sides]
    bleu, chrf = BLEU(tokenize=TOKENIZERS.get(language, "13a"), effective_order=True), CHRF()
    return Nearness(
        bleu.corpus_score(sides[0], [sides[1]]).score,
        chrf.corpus_score(sides[0], [sides[1]]).score,
        len(sides[0]),
        f"BLEU {bleu.get_signature()}, chrF {chrf.get_signature()}",
    )
