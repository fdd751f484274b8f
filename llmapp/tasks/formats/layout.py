"""What a person reads of a file, apart from all that holds it; and the file again, with other words in it.

A layout is a list of blocks (a paragraph, a heading, a cell), a block a list of runs (a stretch in one look: bold, a
link, the rest). Knows no format: each has a module that finds the runs. Knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ...messages import Message, message
from ..encodings import Decoded

LINE_END = re.compile(r"\r\n|\n|\r")

Edit = tuple[int, int, str]
"""[start, end) of the source, and what stands there instead."""

Writer = Callable[[Sequence[str]], Sequence[str] | None]
"""Texts of a block's runs as the source writes them (escaped, quoted); None where the format can not hold them."""


@dataclass(frozen=True)
class Run:
    """Text in one look. `spans` are its places in the source: new text goes into the first, the others are emptied.

    `fixed` is read and never changed: code, a web address, a page number.
    """

    text: str
    spans: tuple[tuple[int, int], ...]
    fixed: bool = False


@dataclass(frozen=True)
class Block:
    """Runs that are read as one. `before` sets it apart from the block above where only text is shown.

    In a `loose` block runs are lines: any word may stand on either side of the border between two.
    """

    runs: tuple[Run, ...]
    before: str = "\n\n"
    write: Writer = list
    loose: bool = False

    @property
    def texts(self) -> list[str]:
        """What its runs say, white space included."""
        return [run.text for run in self.runs]


@dataclass(frozen=True)
class Filled:
    """A file that was made, and what a person must know of it."""

    data: bytes
    notes: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A file taken apart. `assemble` makes the file with some places of its source changed."""

    blocks: tuple[Block, ...]
    assemble: Callable[[Sequence[Edit]], Filled]

    def text(self, texts: Sequence[Sequence[str]] | None = None) -> str:
        """All that is read, in order; with other texts of the runs, block by block, if given."""
        chosen = texts if texts is not None else [block.texts for block in self.blocks]
        shown = [block.before + _shown(block, runs) for block, runs in zip(self.blocks, chosen, strict=True)]
        return "".join(text for text in shown if text.strip()).lstrip("\n\t")

    def filled(self, texts: Sequence[Sequence[str]]) -> Filled:
        """The file with other texts of the runs, block by block; what did not change stays byte for byte.

        A block whose texts its writer refuses stays as it was.
        """
        edits = [edit for block, new in zip(self.blocks, texts, strict=True) for edit in _edits(block, new)]
        return self.assemble(sorted(edits))


def _shown(block: Block, texts: Sequence[str]) -> str:
    """Code as it stands, else on one line."""
    text = (" " if block.loose else "").join(texts)
    if all(run.fixed for run in block.runs):
        return text.strip("\r\n")
    return " ".join(text.split())


def _edits(block: Block, texts: Sequence[str]) -> Iterable[Edit]:
    if all(run.text == text for run, text in zip(block.runs, texts, strict=True)):
        return
    for run, written in zip(block.runs, block.write(texts) or block.texts, strict=True):
        if not run.fixed:
            yield from ((start, end, "" if i else written) for i, (start, end) in enumerate(run.spans))


def spliced(source: str, edits: Iterable[Edit]) -> str:
    """The source with the edits made, which are in order and do not overlap."""
    pieces, place = [], 0
    for start, end, text in edits:
        pieces += [source[place:start], text]
        place = end
    return "".join([*pieces, source[place:]])


def encoded(found: Decoded, name: str, edits: Sequence[Edit]) -> Filled:
    """A text file with the edits made, in its own encoding, or said to be in UTF-8 where that lacks a letter."""
    text = spliced(found.text, edits)
    try:
        return Filled(found.mark + text.encode(found.codec))
    except UnicodeEncodeError:
        note = message("documents.now_utf8", file=name, encoding=found.encoding)
        return Filled(b"\xef\xbb\xbf" + text.encode("utf-8"), (note,))


def line_spans(text: str) -> list[tuple[int, int]]:
    """Where each line begins and ends, its end (\\n, \\r\\n or \\r) not counted; one after the last end, too."""
    ends = [found.span() for found in LINE_END.finditer(text)]
    return list(zip([0, *(end for _, end in ends)], [*(start for start, _ in ends), len(text)], strict=True))
