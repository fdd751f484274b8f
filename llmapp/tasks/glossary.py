"""Terms with a fixed translation, or to be left alone: found in a sentence, hidden from a model, missed in what came.

Knows no model and nobody's glossary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Term(NamedTuple):
    """A term and what it becomes; without a translation it is left alone. An empty target means every language.

    One written in small letters is found in any case ("file" in "File"), another one as it is written.
    """

    term: str
    translation: str = ""
    target: str = ""

    @property
    def wanted(self) -> str:
        """What must stand in the translation."""
        return self.translation or self.term


@dataclass(frozen=True)
class Hidden:
    """A sentence with signs in place of terms; `wanted` is what each sign stands for."""

    text: str
    wanted: Mapping[str, str]

    def revealed(self, translation: str) -> str | None:
        """The translation with terms again; None where a sign was lost, doubled or changed."""
        if any(translation.count(sign) != self.text.count(sign) for sign in self.wanted):
            return None
        for sign, wanted in self.wanted.items():
            translation = translation.replace(sign, wanted)
        return translation


def terms(glossary: Iterable[Sequence[str]], target: str) -> tuple[Term, ...]:
    """The terms for one target language, the longest first: in "file system", "file" is not looked for."""
    every = (Term(*row) for row in glossary)
    return tuple(sorted((t for t in every if t.target in ("", target)), key=lambda t: -len(t.term)))


def standing_in(sentence: str, glossary: Iterable[Term]) -> tuple[Term, ...]:
    """The terms that stand in a sentence, none inside a longer one."""
    found = []
    for term in glossary:
        rest = _pattern(term.term).sub("\0", sentence)
        if rest != sentence:
            found.append(term)
            sentence = rest
    return tuple(found)


def missed(translation: str, wanted: Iterable[Term]) -> tuple[Term, ...]:
    """The terms whose translation is not in it, upper and lower case aside where it was translated."""
    folded = translation.casefold()
    return tuple(
        each
        for each in wanted
        if (each.wanted.casefold() not in folded if each.translation else each.term not in translation)
    )


def hidden(sentence: str, wanted: Iterable[Term]) -> Hidden:
    """The sentence with a sign for each term: a made-up name that models copy, and that it does not hold itself.

    No sign is the beginning of another one.
    """
    signs: dict[str, str] = {}
    for term in wanted:
        number = len(signs) + 1
        while (sign := f"XQ{number}Z") in sentence:
            number += 1
        sentence = _pattern(term.term).sub(sign, sentence)
        signs[sign] = term.wanted
    return Hidden(sentence, signs)


def _pattern(term: str) -> re.Pattern[str]:
    """Whole words only, where words are set apart; Chinese, Japanese and Thai are found anywhere."""
    before = r"(?<!\w)" if _spaced(term[0]) else ""
    after = r"(?!\w)" if _spaced(term[-1]) else ""
    return re.compile(before + re.escape(term) + after, re.IGNORECASE if term == term.lower() else 0)


def _spaced(letter: str) -> bool:
    return letter.isalnum() and not re.match(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]", letter)
