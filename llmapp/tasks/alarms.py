"""What looks wrong with the translation of one sentence: too short, too long, unchanged, numbers or addresses lost.

Compares two texts and knows no model; an alarm is a message that quotes its sentence. It may be a false one: how often
on translations by people, `python -m benchmarks.bench_alarms` says.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

from ..messages import Message, message

SHORTEST, LEAST = 0.65, 6
LONGEST, MOST = 1.9, 12
"""A translation has at least so many times its source's `size` less `LEAST`, and at most so many times it plus `MOST`.

Chosen on 90,615 paragraphs of Debian's package descriptions in German, French, Spanish and Chinese, made by people:
at most 0.3 % are shorter and 0.4 % longer, and of long ones that end halfway 62 to 90 % are noticed
(benchmarks/bench_alarms.py). A single word can be a phrase elsewhere, therefore `LEAST` and `MOST`.
"""
DENSE = 3
"""Letters of an alphabet that one Chinese, Japanese or Korean character stands for: with it, the median of Chinese
translations of English is 0.98 of their source's size."""
SAID = 3
"""Numbers and addresses that one alarm names."""

_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_SPACE = re.compile(r"\s+")
_ADDRESS = re.compile(
    r"(?:(?:https?|ftp)://|www\.)[^\s<>\"'“”«»（）。，、；]+|[\w.+-]+@[\w-]+\.[\w.-]+",
    re.ASCII,
)
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:[.,'’\u00a0\u202f ]\d{3})+(?!\d)")
_NUMBER = re.compile(r"\d+")
_FREE = re.compile(r"(?<![\dA-Za-z_-])\d+(?![\dA-Za-z_])")


def alarms(source: str, translation: str) -> tuple[Message, ...]:
    """Everything that looks wrong, most serious first; nothing for a translation that looks whole."""
    return tuple(_found(source, translation, quoted(source)))


def _found(source: str, translation: str, sentence: str) -> Iterator[Message]:
    if translation == source:
        yield message("reason.translation_same", sentence=sentence)
        return
    before, after = size(source), size(translation)
    if after < SHORTEST * before - LEAST:
        yield message("reason.translation_short", sentence=sentence)
    if after > LONGEST * before + MOST:
        yield message("reason.translation_long", sentence=sentence)
    lost = addresses(source) - addresses(translation)
    if lost:
        yield message("reason.translation_addresses", lost=_some(lost), sentence=sentence)
    missing = numbers(source, free=True) - numbers(translation)
    added = numbers(translation, free=True) - numbers(source)
    del added["0"]  # "10 Uhr" is "10:00" elsewhere
    if missing:
        yield message("reason.translation_numbers_lost", lost=_some(missing), sentence=sentence)
    if added:
        yield message("reason.translation_numbers_added", added=_some(added), sentence=sentence)


def size(text: str) -> int:
    """Length without spaces, in letters of an alphabet."""
    return len(_SPACE.sub("", text)) + (DENSE - 1) * len(_DENSE.findall(text))


def numbers(text: str, free: bool = False) -> Counter[str]:
    """Numbers however they are written: 1,000 and 1.000 and １０００ are one, 2.5 and 2,5 too, 05 is 5.

    `free`: without those that are part of a name (libssl3, F-16), which a translation may well leave out.
    """
    plain = "".join(str(unicodedata.digit(c, c)) if c.isdecimal() else c for c in _ADDRESS.sub(" ", text))
    joined = _GROUPED.sub(lambda found: re.sub(r"\D", "", found[0]), plain)
    found = (_FREE if free else _NUMBER).findall(joined)
    return Counter(number.lstrip("0") or "0" for number in found)


def addresses(text: str) -> Counter[str]:
    """Web and e-mail addresses, without what ends their sentence."""
    return Counter(found.rstrip(".,;:!?)") for found in _ADDRESS.findall(text))


def quoted(text: str) -> str:
    """A sentence as a message names it."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _some(found: Iterable[str]) -> str:
    names = list(found)
    return ", ".join(names[:SAID]) + (" ..." if len(names) > SAID else "")
