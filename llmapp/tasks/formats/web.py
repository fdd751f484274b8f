"""HTML: the text of each block as one, tags and their attributes, scripts, styles and code as they are.

`alt`, `title` and the description of the page are text too. What stands with `translate="no"` stays. Entities are read;
where the page's encoding lacks a letter, a character reference is written.
"""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape, unescape
from html.parser import HTMLParser

from ...errors import BadInput, TooLong
from ..encodings import Decoded
from .layout import Block, Edit, Filled, Layout, Run, spliced


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


INLINE = _words(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark math nobr output q",
    "rp rt ruby s samp small span strike strong sub sup svg time tt u var wbr",
)
"""Elements that stand in a sentence; all others end it."""
SILENT = frozenset(("script", "style", "template", "textarea", "object", "svg", "math", "select"))
"""Elements whose content is not the page's text, or is not read in one go with it."""
FIXED = frozenset(("code", "kbd", "samp", "var", "tt", "pre"))
VOID = _words(
    "area base br col embed hr img input link meta param source track wbr basefont bgsound frame keygen",
)
SPOKEN = ("alt", "title")
"""Attributes that are read."""
CLOSE = frozenset(("li", "tr", "br", "dt", "dd", "option"))
"""Elements that begin a line rather than a paragraph."""
BORDERS = ("\t", "\n", "\n\n")
"""What sets blocks apart in plain text, the weakest first."""
NOT_SPOKEN = ("link", "script", "style")
READ_S = 20
"""Seconds; a page of a megabyte takes one or two."""
_TEXT_CODEC = re.compile(r"(?:iso|cp|koi8|mac|big5|gb|euc|shift|tis|hz)[\w-]*")
_ATTRIBUTE = re.compile(r"""([^\s=/>"']+)\s*=\s*(?:"([^"]*)"|'([^']*)'|[^\s"'>]+)""")
_CHARSET = re.compile(rb"""<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_READ_AS = {
    **dict.fromkeys(("ascii", "iso8859-1"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
"""Encodings that browsers read as a larger one (Encoding Standard, encoding.spec.whatwg.org, names and labels)."""


def web_layout(found: Decoded, name: str) -> Layout:
    """A page taken apart. Raises TooLong for one made to be read for hours."""
    blocks = fragment(found.text, name)

    def assemble(edits: Sequence[Edit]) -> Filled:
        return Filled(found.mark + spliced(found.text, edits).encode(found.codec, "xmlcharrefreplace"))

    return Layout(tuple(blocks), assemble)


def fragment(source: str, name: str) -> list[Block]:
    """The blocks of a page, or of a piece of HTML in the file `name`."""
    try:
        return _Parser(source, time.monotonic() + READ_S).blocks
    except _TooSlow:
        raise TooLong("document_too_slow", file=name, seconds=READ_S) from None
    except AssertionError as problem:  # what the parser raises for a declaration that is none
        raise BadInput("document_damaged", file=name) from problem


def declared(data: bytes) -> str:
    """Python's name of the encoding that a page says it is in; empty where it says none that is known."""
    said = _CHARSET.search(data[:4096])
    try:
        codec = codecs.lookup(said[1].decode("ascii")).name if said else ""
    except LookupError:
        return ""
    return _READ_AS.get(codec, codec) if _TEXT_CODEC.fullmatch(codec) or codec == "ascii" else ""


class _TooSlow(Exception):
    """The parser's time grows with the square of what is opened and never closed (CVE-2025-6069)."""


@dataclass
class _Open:
    """An element that is open, and what it makes of the text in it."""

    tag: str
    silent: bool
    fixed: bool


@dataclass
class _Gathered:
    """Text since the last border of a block: [start, end) and whether it stays."""

    pieces: list[tuple[int, int, bool]] = field(default_factory=list)
    before: str = "\n\n"


class _Parser(HTMLParser):
    """Finds blocks while it reads; each event lasts until the next begins."""

    def __init__(self, source: str, deadline: float) -> None:
        super().__init__(convert_charrefs=False)
        self.blocks: list[Block] = []
        self._source, self._deadline = source, deadline
        self._lines = [0, *(m.end() for m in re.finditer("\n", source))]
        self._open: list[_Open] = []
        self._held = _Gathered()
        self._aside: list[Block] = []
        self._text_from: int | None = None
        self.feed(source)
        self.close()
        self._mark(len(source))
        self._end_block("\n\n")

    def _at(self) -> int:
        if time.monotonic() > self._deadline:
            raise _TooSlow
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def _mark(self, end: int) -> None:
        """Text that has begun ends here."""
        if self._text_from is not None and end > self._text_from and not self._state().silent:
            self._held.pieces.append((self._text_from, end, self._state().fixed))
        self._text_from = None

    def _state(self) -> _Open:
        return self._open[-1] if self._open else _Open("", silent=False, fixed=False)

    def _end_block(self, before: str) -> None:
        runs = _runs(self._source, self._held.pieces)
        if any(run.text.strip() for run in runs):
            self.blocks.append(Block(runs, self._held.before, _escaped))
            self._held = _Gathered(before=before)
        else:
            self._held = _Gathered(before=max(before, self._held.before, key=BORDERS.index))
        self.blocks += self._aside
        self._aside = []

    def _text(self, *_: object, **__: object) -> None:
        at = self._at()
        self._text_from = at if self._text_from is None else self._text_from

    def _other(self, *_: object, **__: object) -> None:
        self._mark(self._at())

    handle_data = handle_entityref = handle_charref = _text
    handle_comment = handle_decl = handle_pi = unknown_decl = _other

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._mark(self._at())
        if tag not in INLINE:
            self._end_block(_border(tag))
        state, given = self._state(), dict(attrs)
        kept = given.get("translate") == "no" or "notranslate" in (given.get("class") or "").split()
        if not (state.silent or state.fixed or kept or tag in NOT_SPOKEN):
            self._aside += self._spoken(tag, given)
        if tag not in VOID:
            fixed = given.get("translate") != "yes" and (state.fixed or kept or tag in FIXED)
            self._open.append(_Open(tag, state.silent or tag in SILENT, fixed))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        self._mark(self._at())
        if tag not in INLINE:
            self._end_block(_border(tag))
        names = [each.tag for each in self._open]
        if tag in names:
            del self._open[len(names) - 1 - names[::-1].index(tag) :]

    def _spoken(self, tag: str, given: dict[str, str | None]) -> Iterator[Block]:
        """Attributes that are read, each a block of its own."""
        described = tag == "meta" and (given.get("name") or "").lower() in ("description", "keywords")
        raw, start = self.get_starttag_text() or "", self._at()
        for found in _ATTRIBUTE.finditer(raw, len(tag) + 1):
            group = 2 if found[2] is not None else 3
            if (found[1].lower() in SPOKEN or (described and found[1].lower() == "content")) and found[group]:
                span = (start + found.start(group), start + found.end(group))
                yield Block((Run(unescape(found[group]), (span,)),), "\n", _quoted)


def _border(tag: str) -> str:
    return "\t" if tag in ("td", "th") else "\n" if tag in CLOSE else "\n\n"


def _runs(source: str, pieces: Sequence[tuple[int, int, bool]]) -> tuple[Run, ...]:
    return tuple(Run(unescape(source[start:end]), ((start, end),), fixed) for start, end, fixed in pieces)


def _escaped(texts: Sequence[str]) -> list[str]:
    return [escape(text, quote=False) for text in texts]


def _quoted(texts: Sequence[str]) -> list[str]:
    return [escape(text) for text in texts]
