"""What is wrong with a table that shall teach, each finding with its rows and edits that mend it.

Knows texts and labels. Does not know models, training or the page: how long a text is in tokens it is told.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from ..messages import Message, message
from ..tasks.language import detect, usual
from .alike import nearly_same, text_key
from .batching import SKEW
from .conversations import MARK
from .dataset import LEAST_PER_LABEL
from .edits import Edits
from .personal import KINDS, personal

LOOKED_AT = 5000
"""Rows whose language is looked at, from all over the table: it takes a millisecond each."""
LEAST_LETTERS = 20
"""Shorter texts are in no language for certain."""
TYPO, RARER = 0.85, 5
"""A label is taken for a misspelt one that is so like it (2 x matching / all characters) and so many times commoner."""


@dataclass(frozen=True)
class Row:
    """One row as it teaches."""

    number: int
    text: str
    label: str


@dataclass(frozen=True)
class Finding:
    """Something to look at: its `code` has the sentences `doctor.<code>` and `doctor.<code>_fix`.

    `rows` are the numbers of those it is about. `fix` is empty where nothing is to be done, because it is seen to.
    """

    code: str
    rows: tuple[int, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    fix: Edits = Edits()

    @property
    def said(self) -> Message:
        """What was found."""
        return message(f"doctor.{self.code}", rows=len(self.rows), **self.values)

    @property
    def offered(self) -> Message:
        """What its fix does."""
        return message(f"doctor.{self.code}_fix", rows=len(self.rows), **self.values)


def examine(
    rows: Sequence[Row], lengths: Callable[[Sequence[str]], Sequence[int]] | None = None, most: int = 0
) -> list[Finding]:
    """All findings of a table to sort by, those that keep it from teaching first.

    `lengths` tells tokens, of which `most` are read.
    """
    whole = [row for row in rows if row.text and row.label]
    found = [_blank(rows), *_misspelt(whole), _rare(whole), _torn(whole), _repeated(whole), _nearly(whole)]
    found += [_skewed(whole), _foreign(whole), *_personal(whole)]
    if lengths and most:
        found.append(_long(whole, lengths([row.text for row in whole]), most))
    return [finding for finding in found if finding]


def examine_pairs(
    rows: Sequence[Row], lengths: Callable[[Sequence[str]], Sequence[int]] | None = None, most: int = 0
) -> list[Finding]:
    """All findings of a table to learn to write from; the label of a row is its answer."""
    whole = [row for row in rows if row.text and row.label]
    blank = [row for row in rows if not (row.text and row.label)]
    found = [_about("blank_pair", blank, Edits()), _repeated(whole), _nearly(whole), _foreign(whole)]
    found += _personal(whole, answers=True)
    if lengths and most:
        counts = lengths([f"{row.text}\n{row.label}" for row in whole])
        long = [row for row, count in zip(whole, counts, strict=True) if count > most]
        for code, spoken in (("long_pair", False), ("long_conversation", True)):
            those = [row for row in long if (MARK in row.text) == spoken]
            found.append(_about(code, those, Edits(), most=most))
    return [finding for finding in found if finding]


def _about(code: str, rows: Sequence[Row], fix: Edits, **values: Any) -> Finding | None:
    return Finding(code, tuple(row.number for row in rows), values, fix) if rows else None


def _without(rows: Sequence[Row]) -> Edits:
    return Edits(dropped=tuple(row.number for row in rows))


def _blank(rows: Sequence[Row]) -> Finding | None:
    """They are left out anyway."""
    return _about("blank", [row for row in rows if not (row.text and row.label)], Edits())


def _misspelt(rows: Sequence[Row]) -> Iterator[Finding | None]:
    """Labels that another one was meant by: other case or blanks, or a letter or two."""
    counts = Counter(row.label for row in rows)
    for label, meant in misspelt(counts).items():
        those = [row for row in rows if row.label == label]
        fix = Edits(labels=tuple((row.number, meant) for row in those))
        yield _about("misspelt", those, fix, label=label, meant=meant)


def misspelt(counts: Mapping[str, int]) -> dict[str, str]:
    """Labels that are likely a commoner one's misspelling, and that one."""
    found: dict[str, str] = {}
    by_count = sorted(counts, key=lambda label: (-counts[label], label))
    for i, label in enumerate(by_count):
        meant = next((other for other in by_count[:i] if _meant(label, other, counts)), None)
        if meant:
            found[label] = found.get(meant, meant)
    return found


def _meant(label: str, other: str, counts: Mapping[str, int]) -> bool:
    one, two = _plain(label), _plain(other)
    if one == two:
        return True
    rarer = counts[label] * RARER <= counts[other]
    return rarer and one.isalpha() and SequenceMatcher(None, one, two).ratio() >= TYPO


def _plain(label: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split()).strip(".,;:!\"'")


def _rare(rows: Sequence[Row]) -> Finding | None:
    """Labels of fewer different texts than it takes to learn, choose and test."""
    texts: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        texts[row.label].add(text_key(row.text))
    meant_otherwise = misspelt(Counter(row.label for row in rows))
    few = [label for label, found in texts.items() if len(found) < LEAST_PER_LABEL and label not in meant_otherwise]
    those = [row for row in rows if row.label in few]
    return _about("rare", those, _without(those), labels=", ".join(sorted(few)), least=LEAST_PER_LABEL)


def _torn(rows: Sequence[Row]) -> Finding | None:
    """The same text under different labels: one of them is wrong, or nobody can tell."""
    said: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        said[text_key(row.text)].add(row.label)
    torn = [row for row in rows if len(said[text_key(row.text)]) > 1]
    torn.sort(key=lambda row: (text_key(row.text), row.number))
    return _about("torn", torn, _without(torn), texts=sum(len(labels) > 1 for labels in said.values()))


def _repeated(rows: Sequence[Row]) -> Finding | None:
    """The same text and label again."""
    seen: set[tuple[str, str]] = set()
    again = []
    for row in rows:
        key = text_key(row.text), row.label
        if key in seen:
            again.append(row)
        seen.add(key)
    return _about("repeated", again, _without(again))


def _nearly(rows: Sequence[Row]) -> Finding | None:
    """Texts with a word or two changed: on both sides of the split they would make the test too easy."""
    names = nearly_same([row.text for row in rows])
    keys: dict[str, set[str]] = defaultdict(set)
    first: dict[tuple[str, str], int] = {}
    for row, name in zip(rows, names, strict=True):
        keys[name].add(text_key(row.text))
        first.setdefault((name, row.label), row.number)
    those = [
        row
        for row, name in zip(rows, names, strict=True)
        if len(keys[name]) > 1 and first[name, row.label] != row.number
    ]
    return _about("nearly", those, _without(those))


def _skewed(rows: Sequence[Row]) -> Finding | None:
    """One label far commoner than another; the fix thins it out, evenly over the table."""
    counts = Counter(row.label for row in rows)
    if len(counts) < 2:
        return None
    (common, many), (rare, few) = max(counts.items(), key=_by_count), min(counts.items(), key=_by_count)
    if few < LEAST_PER_LABEL or many <= SKEW * few:
        return None
    those = [row for row in rows if row.label == common]
    most = SKEW * few
    kept = {those[i * many // most].number for i in range(most)}
    surplus = [row for row in those if row.number not in kept]
    return _about("skewed", surplus, _without(surplus), common=common, many=many, rare=rare, few=few, most=most)


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return item[1], item[0]


def _foreign(rows: Sequence[Row]) -> Finding | None:
    """Rows in another language than most, where that is certain."""
    every = max(1, -(-len(rows) // LOOKED_AT))
    found = [(row, detect(row.text)) for row in rows[::every] if sum(map(str.isalpha, row.text)) >= LEAST_LETTERS]
    most = usual(each for _, each in found)
    if not most:  # nothing is certain, or a table of several languages on purpose
        return None
    those = [row for row, each in found if each.certain and each.language != most]
    return _about("foreign", those, _without(those), language=Message(f"language.{most}"), looked_at=len(found))


def _personal(rows: Sequence[Row], answers: bool = False) -> Iterator[Finding | None]:
    """What tells who a person is, of answers too where these are to be learned; the fix puts a word in its place."""
    hidden = [(row, personal(row.text), personal(row.label) if answers else []) for row in rows]
    for kind in KINDS:
        those = [row for row, *found in hidden if any(each.kind == kind for side in found for each in side)]
        texts = tuple((row.number, masked(row.text, kind)) for row in those)
        labels = tuple((row.number, masked(row.label, kind)) for row in those if answers)
        yield _about(f"personal_{kind}", those, Edits(texts=texts, labels=labels))


def masked(text: str, kind: str) -> str:
    """The text with `[email]`, `[phone]`, `[card]` or `[id]` in place of each."""
    for each in reversed([each for each in personal(text) if each.kind == kind]):
        text = f"{text[: each.start]}[{kind}]{text[each.end :]}"
    return text


def _long(rows: Sequence[Row], lengths: Sequence[int], most: int) -> Finding | None:
    """Texts whose end is not read."""
    those = [(row, length) for row, length in zip(rows, lengths, strict=True) if length > most]
    if not those:
        return None
    cut = sum(length - most for _, length in those) / sum(lengths)
    kept = [row for row, _ in those]
    return _about("long", kept, _without(kept), most=most, cut=cut)
