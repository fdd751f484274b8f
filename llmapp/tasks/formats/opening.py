"""A file taken apart by what kind it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..encodings import Decoded, decoded
from .columns import TABLES, column_layout
from .layout import Layout
from .lines import plain_layout
from .subtitles import subtitle_layout
from .web import declared, web_layout

FORMATS = ("txt", "md", "html", "docx", "srt", "vtt", "csv", "tsv")
"""Kinds of file that come back as they were, but for the words."""


def open_layout(path: Path, kind: str, name: str, columns: Sequence[str] = ()) -> Layout:
    """The layout of a file of one of the `FORMATS`. Raises BadInput, TooLong.

    Of a table, the cells of `columns` are read, or of those with prose.
    """
    if kind == "docx":
        from .word import word_layout

        return word_layout(path, name)
    found = decoded_as(path, kind, name)
    if kind in TABLES:
        return column_layout(found, path, name, columns)
    return text_layout(found, kind, name)


def decoded_as(path: Path, kind: str, name: str) -> Decoded:
    """A text file in its encoding, which a page may name itself."""
    data = path.read_bytes()
    return decoded(data, name, declared(data) if kind == "html" else "")


def text_layout(found: Decoded, kind: str, name: str) -> Layout:
    """The layout of a text file that is no table."""
    if kind == "md":
        from .markdown import markdown_layout

        return markdown_layout(found, name)
    if kind == "html":
        return web_layout(found, name)
    if kind in ("srt", "vtt"):
        return subtitle_layout(found, name, web=kind == "vtt")
    return plain_layout(found, name)
