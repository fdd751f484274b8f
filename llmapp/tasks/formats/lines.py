"""Plain text: each line is read by itself; indentation, blank lines, columns and line ends stay."""

from __future__ import annotations

from functools import partial

from ..encodings import Decoded
from ..splitting import cells, lines
from .layout import LINE_END, Block, Layout, Run, encoded


def plain_layout(found: Decoded, name: str) -> Layout:
    """What stands in a line, apart where tabs or three spaces and more set columns."""
    blocks = []
    place = 0
    parts = lines(found.text).split(cells)
    for gap, text in zip(parts.gaps, parts.texts, strict=False):
        place += len(gap)
        blocks.append(Block((Run(text, ((place, place + len(text)),)),), LINE_END.sub("\n", gap)))
        place += len(text)
    return Layout(tuple(blocks), partial(encoded, found, name))
