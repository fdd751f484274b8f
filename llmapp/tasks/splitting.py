"""Text into lines, paragraphs, sentences and token-budgeted chunks, and exactly back again.

Sentence borders come from sentencex (MIT, the rules of Wikimedia's translation tools, no downloads), with the
few abbreviations added that it lacks. Knows no model: how many tokens a text has, the caller's `count` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, groupby
from typing import overload

import sentencex

Count = Callable[[str], int]

WINDOW = 4000
"""Characters given to sentencex at once: its time grows with the square of a long Chinese paragraph."""

# After one of these there is no border; sentencex 1.0.32 sees one.
_NOT_AN_END = {
    "ar": re.compile(r"(?:^|\s)(?:د|أ|م|ص)\.\s*$"),
    "fr": re.compile(r"(?:^|[\s(«])(?:MM?|Mmes?|Mlles?|St|Ste|av|chap|fig|vol|art)\.\s*$"),
    "pt": re.compile(r"(?:^|[\s(])(?:Av|av|n|pág|págs|cap|fig|vol|art|séc)\.\s*$"),
}
# White space of several bytes before a full stop, after a capital letter, makes sentencex 1.0.32 panic.
_WIDE = re.compile(r"(?![\x00-\x7f])\s(?=\.)")
# In Japanese a quotation that the sentence takes up again with one of these words has not ended it.
_QUOTED = re.compile(r"[」』]$")
_TAKEN_UP = re.compile(r"[とのをがはにでも]")


@dataclass(frozen=True)
class Parts(Sequence[str]):
    """Pieces of a text in order, with the white space around them; behaves like the list of its pieces.

    gap, text, gap, text, ..., gap: one more gap than texts. Texts are not empty and have no white space at
    their ends, gaps are white space only, so `join()` is the exact input.
    """

    texts: tuple[str, ...]
    gaps: tuple[str, ...]

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self.texts[index]

    def __len__(self) -> int:
        return len(self.texts)

    def join(self, texts: Sequence[str] | None = None) -> str:
        """The exact input, or other pieces in the same gaps. Raises ValueError when they are not as many."""
        chosen = self.texts if texts is None else tuple(texts)
        return self.gaps[0] + "".join(chain(*zip(chosen, self.gaps[1:], strict=True)))

    def whole(self) -> list[str]:
        """The pieces with the gap after each, the first gap before the first: joined, the exact input."""
        pieces = [text + gap for text, gap in zip(self.texts, self.gaps[1:], strict=True)]
        return [self.gaps[0] + pieces[0], *pieces[1:]] if pieces else [self.gaps[0]]

    def split(self, how: Callable[[str], Parts]) -> Parts:
        """Each piece split further, as one flat sequence."""
        texts: list[str] = []
        gaps = [self.gaps[0]]
        for text, gap in zip(self.texts, self.gaps[1:], strict=True):
            inner = how(text)
            texts += inner.texts
            gaps += [*inner.gaps[1:-1], gap]
        return Parts(tuple(texts), tuple(gaps))


def lines(text: str) -> Parts:
    """The lines that are not blank; indentation, line ends and blank lines are gaps."""
    return _parts(text.splitlines(keepends=True))


def cells(line: str) -> Parts:
    """What tabs, or three spaces and more, set apart in a line: the columns of a table."""
    return _parts(re.split(r"(?<=\S)(?=\s*\t| {3})(\s+)", line))


def paragraphs(text: str) -> Parts:
    """What blank lines separate."""
    runs = groupby(text.splitlines(keepends=True), key=lambda line: not line.strip())
    return _parts("".join(run) for _, run in runs)


def sentences(text: str, language: str) -> Parts:
    """Sentences of a text in one language (BCP-47; an unknown one is split like English)."""
    code = re.split("[-_]", language)[0].lower() or "en"
    return _parts(_mended(_segments(text, code), code))


def chunks(text: str, budget_tokens: int, count: Count, language: str = "") -> list[str]:
    """Pieces of at most `budget_tokens`, cut between paragraphs if it can be, else sentences, else words.

    Joined they are the exact input. Only a single character that is larger than the budget goes over it.
    `count` may add a constant (begin and end tokens); it is reckoned once a chunk.
    """
    if budget_tokens < 1:
        raise ValueError(f"a budget of {budget_tokens} tokens")
    fitting = _fitting(text, budget_tokens, count, _cutters(language))
    return list(_packed(fitting, budget_tokens, count))


def pieces(text: str, budget_tokens: int, count: Count, language: str = "") -> Parts:
    """`chunks` as parts."""
    return _parts(chunks(text, budget_tokens, count, language))


def _parts(cut: Iterable[str]) -> Parts:
    """Parts from what joined is the text; blank ones become part of the gap."""
    texts: list[str] = []
    gaps = [""]
    for piece in cut:
        body = piece.strip()
        start = len(piece) - len(piece.lstrip())
        gaps[-1] += piece[:start]
        if body:
            texts.append(body)
            gaps.append(piece[start + len(body) :])
    return Parts(tuple(texts), tuple(gaps))


def _segments(text: str, language: str) -> Iterator[str]:
    """What sentencex finds, window by window; the last one is looked at again in the next."""
    start, size = 0, WINDOW
    while start < len(text):
        window = text[start : start + size]
        found = _as_in(window, sentencex.segment(language, _WIDE.sub(" ", window)))
        if start + size < len(text):
            if len(found) == 1:
                size *= 2
                continue
            found.pop()
        yield from found
        start += sum(map(len, found))
        size = WINDOW


def _as_in(text: str, segments: Iterable[str]) -> list[str]:
    """What stands in `text` where the segments, which are as long together, are."""
    ends = list(accumulate(map(len, segments)))
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _mended(segments: Iterable[str], language: str) -> Iterator[str]:
    """Segments with those joined again that are one sentence."""
    held = ""
    for segment in segments:
        if held and not _goes_on(held, segment, language):
            yield held
            held = ""
        held += segment
    if held:
        yield held


def _goes_on(before: str, after: str, language: str) -> bool:
    if language == "ja":
        return bool(_QUOTED.search(before) and _TAKEN_UP.match(after))
    abbreviation = _NOT_AN_END.get(language)
    return bool(abbreviation and abbreviation.search(before))


Cutter = Callable[[str], list[str]]


def _cutters(language: str) -> tuple[Cutter, ...]:
    """Ways to cut a text, the gentlest first."""
    return (
        lambda text: paragraphs(text).whole(),
        lambda text: sentences(text, language).whole(),
        lambda text: re.findall(r"\s*\S+\s*\Z|\s*\S+|\s+\Z", text),
    )


def _fitting(text: str, budget: int, count: Count, cutters: tuple[Cutter, ...]) -> Iterator[tuple[str, int]]:
    """Pieces within the budget, each with its size in tokens."""
    size = count(text)
    if size <= budget or len(text) == 1:
        yield text, size
    elif cutters:
        for piece in cutters[0](text):
            yield from _fitting(piece, budget, count, cutters[1:])
    else:
        middle = len(text) // 2
        for piece in (text[:middle], text[middle:]):
            yield from _fitting(piece, budget, count, ())


def _packed(pieces: Iterable[tuple[str, int]], budget: int, count: Count) -> Iterator[str]:
    """As many neighbours together as the budget allows.

    Sizes are added up, not counted again for each neighbour: that would be quadratic. Tokens can differ at
    a seam, so a sum that fits is trusted only after one count of the whole.
    """
    constant = count("")
    held: list[str] = []
    total = constant
    for piece, size in pieces:
        if held and total + size - constant > budget:
            yield from _checked(held, budget, count)
            held, total = [], constant
        held.append(piece)
        total += size - constant
    if held:
        yield from _checked(held, budget, count)


def _checked(pieces: list[str], budget: int, count: Count) -> Iterator[str]:
    whole = "".join(pieces)
    if len(pieces) == 1 or count(whole) <= budget:
        yield whole
    else:
        middle = len(pieces) // 2
        yield from _checked(pieces[:middle], budget, count)
        yield from _checked(pieces[middle:], budget, count)
