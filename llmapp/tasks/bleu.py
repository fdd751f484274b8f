"""How near a text comes to one that a person trusts: BLEU and chrF, as sacrebleu reckons them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Likeness:
    """chrF of two sets of answers to the same references, 0 to 100, and how likely so large a difference is by luck."""

    before: float
    after: float
    p: float


def likeness(before: Sequence[str], after: Sequence[str], references: Sequence[str]) -> Likeness:
    """chrF over all rows, and sacrebleu's paired bootstrap of 1,000 samples (Koehn 2004, with a fixed seed)."""
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.significance import PairedTest, Result

    systems: list[tuple[str, Sequence[str]]] = [("before", list(before)), ("after", list(after))]
    metric = CHRF()
    _, found = PairedTest(systems, {"chrF": metric}, [list(references)], test_type="bs", n_samples=1000)()
    scored = next(results for name, results in found.items() if name != "System")
    first, second = (result for result in scored if isinstance(result, Result))
    same = list(before) == list(after) or second.p_value is None
    return Likeness(first.score, second.score, 1.0 if same else float(second.p_value or 0.0))


def row_likeness(answers: Sequence[str], references: Sequence[str]) -> list[float]:
    """chrF of each answer by itself, 0 to 100."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    return [metric.sentence_score(a, [r]).score for a, r in zip(answers, references, strict=True)]
