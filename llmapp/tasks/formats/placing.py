"""Whole sentences out of blocks of runs, and a translated sentence back over the runs it came from.

A sentence with a bold word or a link in it is translated as one, and then cut: runs that are found again in the
translation (code, names, a word whose own translation stands there) say where, length says it for the rest. Runs keep
their order, so whatever markup stands between them stays right. Where code is missing in a translation, its sentence is
put together from runs translated one by one. Knows no format and no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from ..documents import UNSPACED
from ..splitting import sentences
from .layout import Block

_TOKEN = re.compile(rf"[{UNSPACED}]|(?:(?![{UNSPACED}])\w)+(?:['’\-.](?:(?![{UNSPACED}])\w)+)*|[^\w\s]")
_WIDE_ONE = re.compile(f"[{UNSPACED}]")
_MARKS = ".,;:!?。，；：！？ "


@dataclass(frozen=True)
class Piece:
    """What of a sentence stands in one run; white space is single spaces."""

    run: int
    text: str
    fixed: bool = False

    @property
    def core(self) -> str:
        """Without the spaces at its ends."""
        return self.text.strip()


@dataclass(frozen=True)
class Unit:
    """What is translated as one: the whole of a block in one look, else a sentence of it."""

    pieces: tuple[Piece, ...]
    loose: bool = False

    @property
    def text(self) -> str:
        """On one line."""
        return " ".join("".join(piece.text for piece in self.pieces).split())

    @property
    def inner(self) -> list[Piece]:
        """Pieces with more than spaces in them."""
        return [piece for piece in self.pieces if piece.core]

    @property
    def stretches(self) -> list[str]:
        """What there is to translate in its pieces, each by itself."""
        return _cores(self.inner)

    @property
    def readable(self) -> bool:
        """True where there is something to translate."""
        return bool(self.stretches)


def units(block: Block, language: str) -> list[Unit]:
    """A block cut into what is translated as one; joined, the units are the block with single spaces."""
    joint = "\n" if block.loose else ""
    texts = [re.sub(r"\s+", " ", run.text + joint) for run in block.runs]
    if sum(1 for text in texts if text.strip()) < 2:
        cuts = [0, sum(map(len, texts))]
    else:
        cuts = [0, *accumulate(map(len, sentences("".join(texts), language).whole()))]
    starts = [0, *accumulate(map(len, texts))]
    found = []
    for begin, end in pairwise(cuts):
        pieces = []
        for i, (run, text) in enumerate(zip(block.runs, texts, strict=True)):
            part = text[max(0, begin - starts[i]) : max(0, end - starts[i])]
            if part:
                pieces.append(Piece(i, part, run.fixed))
        found.append(Unit(tuple(pieces), block.loose))
    return found


def placed(unit: Unit, text: str, known: Mapping[str, str]) -> list[str] | None:
    """The translation of a unit, cut into as many pieces as it has; None where fixed ones are not in it.

    `known` holds translations of single pieces, by their core.
    """
    inner = unit.inner
    if text == unit.text or not inner:
        return [piece.text for piece in unit.pieces]
    if len(inner) == 1:
        return None if inner[0].fixed else _spaced(unit, [(0, len(text))], text)
    anchors: dict[int, tuple[int, int]] = {} if unit.loose else _anchors(inner, text, known)
    if any(piece.fixed and i not in anchors for i, piece in enumerate(inner)):
        return None
    spans = _between(inner, text, anchors)
    return None if spans is None else _spaced(unit, spans, text)


def merged(block: Block, made: Sequence[tuple[Unit, Sequence[str]]]) -> list[str]:
    """Texts of a block's runs from those of all its units' pieces; at the ends of a run its own white space stays."""
    old, new = ([""] * len(block.runs) for _ in range(2))
    for unit, texts in made:
        for piece, text in zip(unit.pieces, texts, strict=True):
            old[piece.run] += piece.text
            new[piece.run] += text
    return [
        run.text if before == after else _in_its_space(run.text, after, block.loose)
        for run, before, after in zip(block.runs, old, new, strict=True)
    ]


def _in_its_space(source: str, text: str, loose: bool) -> str:
    if not text.strip():
        return source if text and not source.strip() else text
    if loose:
        return _lead(source) + text.strip() + _tail(source)
    lead = _lead(text) and (_lead(source) or _lead(text))
    tail = _tail(text) and (_tail(source) or _tail(text))
    return lead + text.strip() + tail


def unsure(unit: Unit, text: str) -> list[str]:
    """Cores whose own translation would tell where in the translation of the unit they stand.

    Of neighbours that were not found every other one will do, for the rest lies between.
    """
    inner = unit.inner
    if unit.loose or len(inner) < 2 or text == unit.text:
        return []
    anchors = _anchors(inner, text, {})
    wanted: list[str] = []
    for anchored, group in groupby(range(len(inner)), key=anchors.__contains__):
        run = [inner[i] for i in group]
        if not anchored and len(run) > 1:
            wanted += min(_cores(run[0::2]), _cores(run[1::2]), key=lambda cores: sum(map(len, cores)))
    return wanted


def _cores(pieces: Sequence[Piece]) -> list[str]:
    return [piece.core for piece in pieces if not piece.fixed and _has_letters(piece.core)]


def one_by_one(unit: Unit, known: Mapping[str, str]) -> list[str]:
    """Each piece in its own translation, fixed ones as they are; a mark that the model put at an end is taken off."""
    made = []
    for piece in unit.pieces:
        core = piece.core
        new = core if piece.fixed or not core else known.get(core, core)
        if core and core[-1] not in _MARKS:
            new = new.rstrip(_MARKS) or new
        made.append(_lead(piece.text) + new + _tail(piece.text))
    return made


def _anchors(inner: Sequence[Piece], text: str, known: Mapping[str, str]) -> dict[int, tuple[int, int]]:
    """Where pieces are found again, in their order: fixed ones first, for they must be, then the longest."""
    whole = sum(len(piece.text) for piece in inner)
    ends = list(accumulate(len(piece.text) for piece in inner))
    found: dict[int, tuple[int, int]] = {}
    for i in sorted(range(len(inner)), key=lambda i: (not inner[i].fixed, -len(inner[i].core))):
        low = max((found[j][1] for j in found if j < i), default=0)
        high = min((found[j][0] for j in found if j > i), default=len(text))
        expected = (ends[i] - len(inner[i].text)) * len(text) / whole
        inside = (_one_word(_seam(inner, i)), _one_word(_seam(inner, i + 1)))
        places = list(_places(inner[i], text, low, high, known, inside))
        if places:
            found[i] = min(places, key=lambda span: abs(span[0] - expected))
    return found


def _seam(inner: Sequence[Piece], i: int) -> str:
    """The characters on both sides of the border before a piece."""
    return inner[i - 1].text[-1] + inner[i].text[0] if 0 < i < len(inner) else ""


def _places(
    piece: Piece, text: str, low: int, high: int, known: Mapping[str, str], inside: tuple[bool, bool]
) -> Iterator[tuple[int, int]]:
    """Where in a stretch of the text the piece stands, itself or in its own translation.

    `inside`: it begins, ends within a word; else only whole words are taken.
    """
    own = known.get(piece.core, "").strip(_MARKS)
    needles = [piece.core] if piece.fixed else [own, piece.core.strip(_MARKS)]
    for needle in filter(None, needles):
        spans = list(_found(needle, text, low, high, exact=piece.fixed))
        whole = [
            (start, end)
            for start, end in spans
            if (inside[0] or not _one_word(text[max(0, start - 1) : start + 1]))
            and (inside[1] or not _one_word(text[end - 1 : end + 1]))
        ]
        if whole:
            yield from whole
            return


def _found(needle: str, text: str, low: int, high: int, exact: bool) -> Iterator[tuple[int, int]]:
    """Where a stretch of the text is the needle, in any case unless `exact`."""
    lowered = text.lower()
    if not exact and len(lowered) == len(text):
        needle, within = needle.lower(), lowered
    else:
        within = text
    place = within.find(needle, low, high)
    while place >= 0:
        yield place, place + len(needle)
        place = within.find(needle, place + 1, high)


def _one_word(two: str) -> bool:
    """True for two characters that no border of words is between."""
    return len(two) == 2 and two.isalnum() and not _WIDE_ONE.search(two)


def _between(inner: Sequence[Piece], text: str, anchors: Mapping[int, tuple[int, int]]) -> list[tuple[int, int]] | None:
    """A span for each piece: the anchors', and what lies between them by length. None where text has no place."""
    spans: list[tuple[int, int]] = []
    place = 0
    for anchored, group in groupby(range(len(inner)), key=anchors.__contains__):
        run = list(group)
        if anchored:
            for i in run:
                if text[place : anchors[i][0]].strip():
                    return None
                spans.append(anchors[i])
                place = anchors[i][1]
            continue
        end = anchors[run[-1] + 1][0] if run[-1] + 1 < len(inner) else len(text)
        cuts = _cut([inner[i] for i in run], text, place, end)
        spans += pairwise([place, *cuts, end])
        place = end
    return None if text[place:].strip() else spans


def _cut(pieces: Sequence[Piece], text: str, low: int, high: int) -> list[int]:
    """Borders between pieces: beginnings of words, nearest to where length says; one for each if there are enough."""
    tokens = [m.start() for m in _TOKEN.finditer(text, low, high)]
    words = [start for start in tokens if text[start].isalnum()]
    whole = sum(len(piece.text) for piece in pieces) or 1
    cuts: list[int] = []
    for i, done in enumerate(accumulate(len(piece.text) for piece in pieces[:-1])):
        follows = pieces[i + 1].core[0]
        allowed = words if follows.isalnum() else [start for start in tokens if not text[start].isalnum()] or words
        left = len(pieces) - 2 - i
        after = [start for start in allowed if start > (cuts[-1] if cuts else low)]
        after = after[: len(after) - left] if len(after) > left else after
        expected = low + done * (high - low) / whole
        cuts.append(min(after, key=lambda start: abs(start - expected)) if after else high)
    return cuts


def _spaced(unit: Unit, spans: Sequence[tuple[int, int]], text: str) -> list[str]:
    """Pieces of the translation, with spaces between two where it has them, on the side where the source has them."""
    made = [piece.text for piece in unit.pieces]
    inner = [i for i, piece in enumerate(unit.pieces) if piece.core]
    end, last = 0, -1
    for i, span in zip(inner, spans, strict=True):
        body = text[slice(*span)]
        made[i] = _lead(made[i]) + body.strip() + _tail(made[i])
        if last >= 0:
            apart = bool(re.search(r"\s", text[end : span[0] + len(_lead(body))]))
            _set_apart(made, unit.pieces, last, i, apart)
        end, last = span[0] + len(body.rstrip()), i
    return made


def _set_apart(made: list[str], pieces: Sequence[Piece], first: int, second: int, apart: bool) -> None:
    """Spaces between two pieces as the translation has them; Chinese may join what English sets apart."""
    between = "".join([_tail(made[first]), *made[first + 1 : second], _lead(made[second])])
    if apart and not between:
        if pieces[first].fixed:
            made[second] = " " + made[second]
        else:
            made[first] += " "
    elif between and not apart:
        made[first] = made[first].rstrip()
        made[first + 1 : second] = [""] * (second - first - 1)
        made[second] = made[second].lstrip()


def _lead(text: str) -> str:
    return text[: len(text) - len(text.lstrip())]


def _tail(text: str) -> str:
    return text[len(text.rstrip()) :] if text.strip() else ""


def _has_letters(text: str) -> bool:
    return any(letter.isalpha() for letter in text)
