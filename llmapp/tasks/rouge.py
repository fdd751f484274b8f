"""How near a summary comes to one that a person wrote: ROUGE-1, 2 and L (Lin 2004), by rouge-score-rs.

English as in Google's rouge-score, with its stemmer; other languages by whole words, Chinese by characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rouge_score_rs import rouge_scorer, tokenizers

KINDS = ("rouge1", "rouge2", "rougeL")


def rouge(summary: str, reference: str, language: str = "en") -> Mapping[str, float]:
    """F1 from 0 to 1 of each of `KINDS`. The language is that of both texts."""
    english = language in ("", "en")
    scorer: Any = rouge_scorer
    own = {"use_stemmer": True} if english else {"tokenizer": tokenizers.UnicodeTokenizer()}
    found = scorer.RougeScorer(list(KINDS), **own).score(reference, summary)
    return {kind: found[kind].fmeasure for kind in KINDS}
