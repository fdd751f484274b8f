"""Plain text: each line is read by itself; indentation, blank lines, columns and line ends stay."""

from __future__ import annotations

from functools import partial

from ..encodings import Decoded
from ..splitting import cells
from .layout import LINE_END, Block, Layout, Run, encoded, line_spans


def plain_layout(found: Decoded, name: str) -> Layout:
    """What stands in a line, apart where tabs or three spaces and more set columns."""
    blocks = []
    place = 0
    for start, end in line_spans(found.text):
        begins = start
        parts = cells(found.text[start:end])
        for gap, text in zip(parts.gaps, parts.texts, strict=False):
            begins += len(gap)
            before = LINE_END.sub("\n", found.text[place:begins])
            place = begins + len(text)
            blocks.append(Block((Run(text, ((begins, place),)),), before))
            begins = place
    return Layout(tuple(blocks), partial(encoded, found, name))
