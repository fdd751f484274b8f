"""Markdown: the text of each paragraph, heading, cell and item; all marks, code, links' addresses and HTML stay.

markdown-it-py tells what is what (CommonMark, tables, strikethrough, footnotes, front matter); where it stands in the
file is found beside it (`inline`), for it does not tell. What is written is read back first: where it would be other
Markdown than before, it is refused. A paragraph over several lines comes back on one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from markdown_it.token import Token

from ..encodings import Decoded
from .inline import Inline, Segment, signature
from .layout import Block, Layout, Run, encoded, line_spans
from .web import fragment

_PLAIN = re.compile(r"[^\\`*_\[\]<>&!|\n]+")
_SPECIAL = re.compile(r"([\\`*\[\]<>~^]|(?<!\w)_|_(?!\w)|&(?=#?\w+;))")
_ALT = re.compile(r"!\[([^\\`*_\[\]<>&!|\n]+)\]")
_BREAK = re.compile(r"(?: {2}|\\)\n")
_BEGINS = re.compile(r"\s*(?:\d{1,9}(?=[.)](?:[ \t]|$))|(?=(?:[-+*]|#{1,6})(?:[ \t]|$)|[-*_=]{3}|[>|:\[<~`]))")
"""Up to the mark that may begin another block: a list, a heading, a quotation, a table, a note, HTML, a fence."""
_CELL_GAP = re.compile(r"[\s|>]*(?:[-+*]|\d+[.)])?[\s|]*")

Lines = Sequence[tuple[int, int]]


def markdown_layout(found: Decoded, name: str) -> Layout:
    """A Markdown file taken apart."""
    return Layout(tuple(_blocks(found.text, name)), partial(encoded, found, name))


def plain(text: str) -> str:
    """What is read of Markdown, without its marks."""
    return markdown_layout(Decoded(text, "UTF-8"), "").text()


def _blocks(source: str, name: str) -> Iterator[Block]:
    lines, parser = line_spans(source), Inline()
    place = 0
    for token, kind, before in _readable(parser.blocks(source)):
        if token.map is None:
            continue
        start, end = lines[token.map[0]][0], lines[token.map[1] - 1][1]
        if kind == "html":
            yield from _shifted(fragment(source[start:end], name), start)
        elif kind == "code":
            yield Block((Run(token.content, ((start, end),), fixed=True),))
        elif chars := _located(source, lines, token, kind, max(place, start)):
            place = chars[-1] + 1
            yield from _read(parser, token.content, chars, kind, before)


def _readable(tokens: Sequence[Token]) -> Iterator[tuple[Token, str, str]]:
    """Tokens with something to read in them, of what kind they are, and what sets each apart from the one above."""
    before, kind, begins = "", "", False
    for token in tokens:
        if token.type in ("fence", "code_block", "html_block"):
            yield token, "html" if token.type == "html_block" else "code", "\n\n"
        elif token.type == "inline":
            yield token, kind, before or ("\t" if kind == "cell" else "\n\n")
            before = ""
        elif token.type in ("table_open", "bullet_list_open", "ordered_list_open"):
            begins = token.level == 0
        elif token.type in ("tr_open", "list_item_open"):
            before, begins = "\n\n" if begins else "\n", False
        elif token.type in ("th_open", "td_open"):
            kind = "cell"
        elif token.type in ("paragraph_open", "heading_open"):
            kind = "heading" if token.markup.startswith("#") else "paragraph"


def _located(source: str, lines: Lines, token: Token, kind: str, place: int) -> list[int] | None:
    """Where each character of the token's content stands in the source; None where that can not be told for sure."""
    places: list[int] = []
    above = token.map[0] if token.map else 0
    for k, content in enumerate(token.content.split("\n")):
        start, end = lines[above + k]
        body = content.strip(" \t")
        first = _find(source, body, place if kind == "cell" else start, end, kind)
        if first is None:
            return None
        lead = content.index(body)
        own = _through(source, first, body) if kind == "cell" else list(range(first, first + len(body)))
        after = own[-1] + 1 if own else first
        if k:
            places.append(lines[above + k - 1][1])
        places += [first] * lead + own + list(range(after, after + len(content) - lead - len(body)))
    return places or None


def _find(source: str, body: str, start: int, end: int, kind: str) -> int | None:
    line = source[start:end]
    if kind == "heading":
        mark = re.search(r"#{1,6}[ \t]+", line)
        return start + mark.end() if mark and line.startswith(body, mark.end()) else None
    if kind == "cell":
        written = body.replace("|", "\\|")
        at = line.find(written)
        return start + at if at >= 0 and _CELL_GAP.fullmatch(line, 0, at) else None
    line = line.rstrip(" \t")
    return start + len(line) - len(body) if line.endswith(body) else None


def _through(source: str, first: int, body: str) -> list[int]:
    """Places of a cell's characters; a pipe in it is written with a backslash before it."""
    places, at = [], first
    for char in body:
        at += char == "|" and source[at] == "\\"
        places.append(at)
        at += 1
    return places


def _read(parser: Inline, content: str, chars: Sequence[int], kind: str, before: str) -> Iterator[Block]:
    """What is read of a paragraph; what its pictures show is read after it."""
    segments = parser.segments(content)
    read = [i for i, segment in enumerate(segments) if segment.kind != "markup"]
    runs = [_run(segments, i, chars) for i in read]
    if any(run.text.strip() for run in runs):
        yield Block(tuple(runs), before, partial(_written, parser, segments, read, kind))
    for segment in segments:
        alt = _ALT.match(segment.source) if segment.kind == "markup" else None
        if alt:
            at = segment.start + 2
            span = (chars[at], chars[at + len(alt[1]) - 1] + 1)
            yield Block((Run(alt[1], (span,)),), "\n", _alt)


def _run(segments: Sequence[Segment], i: int, chars: Sequence[int]) -> Run:
    segment = segments[i]
    span = (chars[segment.start], chars[segment.end - 1] + 1)
    return Run(segment.text + " " * _broken(segments, i), (span,), segment.kind == "fixed")


def _broken(segments: Sequence[Segment], i: int) -> bool:
    """True where the line is broken after it: then it ends with a space where it is read."""
    return i + 1 < len(segments) and bool(_BREAK.search(segments[i + 1].source))


def _alt(texts: Sequence[str]) -> list[str] | None:
    return list(texts) if all(map(_PLAIN.fullmatch, texts)) else None


def _written(
    parser: Inline, segments: Sequence[Segment], read: Sequence[int], kind: str, texts: Sequence[str]
) -> list[str] | None:
    """The texts as Markdown that is read as these texts with the same marks between them; None if there is none."""
    new = dict(zip(read, texts, strict=True))
    wanted = [replace(each, text=new.get(i, each.text)) for i, each in enumerate(segments)]
    for guard in (str, _guarded):
        written = [guard(text) if segments[i].kind == "text" else segments[i].source for i, text in new.items()]
        if read and read[0] == 0 and segments[0].kind == "text":
            written[0] = _not_a_block(written[0], segments[0].source)
        if kind == "heading" and written[-1].rstrip().endswith("#") and not segments[-1].source.endswith("#"):
            written[-1] = written[-1].rstrip()[:-1].rstrip("\\") + "\\#"
        written = [text.rstrip() if _broken(segments, i) else text for i, text in zip(read, written, strict=True)]
        sources = dict(zip(read, written, strict=True))
        again = "".join(sources.get(i, each.source) for i, each in enumerate(segments))
        if signature(parser.segments(again.strip())) == signature(wanted):
            return [text.replace("|", "\\|") for text in written] if kind == "cell" else written
    return None


def _guarded(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _not_a_block(text: str, source: str) -> str:
    """With a backslash where it would begin a list, a heading, a quotation ... and did not before."""
    begins = _BEGINS.match(text)
    if begins is None or _BEGINS.match(source):
        return text
    return text[: begins.end()] + "\\" + text[begins.end() :]


def _shifted(blocks: Sequence[Block], by: int) -> Iterator[Block]:
    for block in blocks:
        runs = (replace(run, spans=tuple((start + by, end + by) for start, end in run.spans)) for run in block.runs)
        yield replace(block, runs=tuple(runs))
