"""Subtitles (SRT, WebVTT): times, numbers, settings and tags stay; a sentence that runs over cues is read as one.

Lines of a cue, and cues of a sentence, are runs: the translation is spread over them by length, so each line keeps its
share of the time it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from html import unescape

from ..encodings import Decoded
from .layout import Block, Layout, Run, encoded, line_spans

MOST_CUES = 4
"""Cues that are read as one sentence, for a text without full stops would else be one block."""
_TIMES = re.compile(r"\s*(?:\d+:)?\d+:\d+[,.]\d+\s+-->\s")
_TAG = re.compile(r"<[^<>\n]*>|\{\\[^{}\n]*\}")
_DASH = re.compile(r"\s*(?:[-–—]\s*)(?=\S)")
_GOES_ON = (",", "，", "、")
_ENDS = re.compile(r"[.!?…。！？♪:;][\"'”’»）)\]」』]*\s*$")


@dataclass(frozen=True)
class _Line:
    """A line of a cue: what stands between its tags, in which cue, and whether a dash says that another one speaks."""

    cue: int
    runs: tuple[Run, ...]
    speaks: bool

    @property
    def text(self) -> str:
        return "".join(run.text for run in self.runs).strip()


def subtitle_layout(found: Decoded, name: str, web: bool) -> Layout:
    """A file of subtitles taken apart; `web` for WebVTT, where & and < are written as entities."""
    blocks = []
    for lines in _sentences(_lines(found.text, web)):
        runs = tuple(run for line in lines for run in line.runs)
        blocks.append(Block(runs, "\n", partial(_written, web), loose=True))
    return Layout(tuple(blocks), partial(encoded, found, name))


def _lines(source: str, web: bool) -> Iterator[_Line]:
    """The lines of text of all cues; a cue ends with a blank line."""
    cue, inside = 0, False
    for start, end in line_spans(source):
        if _TIMES.match(source, start, end):
            cue, inside = cue + 1, True
        elif not source[start:end].strip():
            inside = False
        elif inside:
            dash = _DASH.match(source, start, end)
            runs = tuple(_runs(source, dash.end() if dash else start, end, web))
            if runs:
                yield _Line(cue, runs, bool(dash))


def _runs(source: str, start: int, end: int, web: bool) -> Iterator[Run]:
    for tag in [*_TAG.finditer(source, start, end), None]:
        until = tag.start() if tag else end
        text = source[start:until]
        if text.strip():
            yield Run(unescape(text) if web else text, ((start, until),))
        start = tag.end() if tag else end


def _sentences(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    """Lines together that are one sentence, or may be."""
    held: list[_Line] = []
    for line in lines:
        if held and not _goes_on(held, line):
            yield held
            held = []
        held.append(line)
    if held:
        yield held


def _goes_on(before: Sequence[_Line], line: _Line) -> bool:
    if line.speaks or _ENDS.search(before[-1].text) or line.cue - before[0].cue >= MOST_CUES:
        return False
    first = next((letter for letter in line.text if letter.isalpha()), "")
    return line.cue == before[-1].cue or first.islower() or before[-1].text.endswith(_GOES_ON)


def _written(web: bool, texts: Sequence[str]) -> list[str]:
    """An arrow would be read as times."""
    calm = [text.replace("-->", "→") for text in texts]
    return [text.replace("&", "&amp;").replace("<", "&lt;") for text in calm] if web else calm
