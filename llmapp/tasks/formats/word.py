"""Word documents (DOCX): text of paragraphs, tables, headers, footers, notes; all else stays byte for byte.

The XML is read by expat, which tells where things stand, and changed there: no part is written anew. Runs in one look
are read as one; numbers that Word reckons itself (pages, references) stay.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import escape

from ...errors import BadInput, LlmappError, TooLong
from .layout import Block, Edit, Filled, Layout, Run, spliced

COMPOUND = b"\xd0\xcf\x11\xe0"
"""How an old Word file begins, and one with a password."""
MOST_XML = 100_000_000
MOST_UNPACKED = 1_000_000_000
"""Bytes of XML that are read, and of everything in the archive."""
_PARTS = re.compile(r"word/(?:document|header\d*|footer\d*|footnotes|endnotes)\.xml")
_ORDER = ("document", "footnotes", "endnotes", "header", "footer")
_PICTURES = re.compile(r"word/media/.+")
_SPACES = (
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "http://purl.oclc.org/ooxml/wordprocessingml/main",
)
_NOT_A_LOOK = re.compile(rb"<[\w.]+:(?:lang|noProof)\b[^>]*>|\s[\w.]+:rsid\w*=\"[^\"]*\"")
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LET_BE = frozenset(
    (
        *("r", "t", "rPr", "proofErr", "bookmarkStart", "bookmarkEnd", "lastRenderedPageBreak"),
        *("ins", "smartTag", "sdt", "sdtContent"),
    )
)
"""Elements between or around two texts that do not set them apart."""
_WRITTEN_BY_HAND = ("HYPERLINK", "TOC")
"""Fields whose result is text; of all others Word reckons it."""


def word_layout(path: Path, name: str) -> Layout:
    """A document taken apart. Raises BadInput for one that is locked, damaged or only pictures, TooLong for a bomb."""
    parts = _parts(path, name)
    blocks: list[Block] = []
    begins = 0
    for data in parts.values():
        try:
            blocks += _Reader(data, begins).blocks
        except (expat.ExpatError, ValueError) as problem:
            raise BadInput("document_damaged", file=name) from problem
        begins += len(data)
    return Layout(tuple(blocks), partial(_assembled, path, parts))


def _parts(path: Path, name: str) -> dict[str, bytes]:
    """The parts with text in them, as bytes, in the order in which they are read."""
    with path.open("rb") as file:
        if file.read(4) == COMPOUND:
            locked = "EncryptedPackage".encode("utf-16-le") in path.read_bytes()
            raise BadInput("document_encrypted" if locked else "document_old_word", file=name)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            wanted = sorted(filter(_PARTS.fullmatch, archive.namelist()), key=_place)
            unpacked = sum(archive.getinfo(part).file_size for part in wanted)
            if unpacked > MOST_XML or sum(entry.file_size for entry in entries) > MOST_UNPACKED:
                raise TooLong("document_bomb", file=name)
            if "word/document.xml" not in wanted:
                raise BadInput("document_damaged", file=name)
            return {part: archive.read(part) for part in wanted}
    except LlmappError:
        raise
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as problem:
        raise BadInput("document_damaged", file=name) from problem


def _place(part: str) -> tuple[int, str]:
    return next(i for i, word in enumerate(_ORDER) if part.startswith(f"word/{word}")), part


def pictures(path: Path) -> int:
    """How many pictures there are in the document."""
    with zipfile.ZipFile(path) as archive:
        return sum(1 for part in archive.namelist() if _PICTURES.fullmatch(part))


def _assembled(path: Path, parts: dict[str, bytes], edits: Sequence[Edit]) -> Filled:
    """The archive with the parts that are changed; without a change the file itself."""
    if not edits:
        return Filled(path.read_bytes())
    changed, begins = {}, 0
    for part, data in parts.items():
        own = [edit for edit in edits if begins <= edit[0] < begins + len(data)]
        moved = [(start - begins, end - begins, text) for start, end, text in own]
        changed[part] = spliced(data.decode("latin-1"), moved).encode("latin-1")
        begins += len(data)
    made = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, changed.get(entry.filename) or old.read(entry), entry.compress_type)
    return Filled(made.getvalue())


@dataclass
class _Field:
    """A field that is open: what it asks for, and whether it is its result that stands now."""

    asks: str = ""
    result: bool = False

    @property
    def reckoned(self) -> bool:
        """True where Word writes the result."""
        return self.result and not self.asks.strip().upper().startswith(_WRITTEN_BY_HAND)


@dataclass
class _Paragraph:
    """Runs since the last border, the look of each, and whether what comes next is set apart from the last one."""

    runs: list[Run] = field(default_factory=list)
    looks: list[bytes] = field(default_factory=list)
    apart: bool = True


class _Reader:
    """Finds blocks in one part. Offsets are bytes, counted from `begins`. Word writes UTF-8; other XML is refused."""

    def __init__(self, data: bytes, begins: int) -> None:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError("UTF-16")
        self.blocks: list[Block] = []
        self._data, self._begins = data, begins
        self._paragraphs: list[_Paragraph] = []
        self._fields: list[_Field] = []
        self._look, self._look_from = b"", 0
        self._settings = self._moved = 0
        self._text: list[str] | None = None
        self._text_from = 0
        self._asking = False
        self._before = "\n\n"
        self._begins_table = self._row_begins = False
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = _refuse
        self._parser.Parse(data, True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = _local(name)
        if tag.endswith("Pr"):
            if tag == "rPr" and not self._settings:
                self._look_from = self._parser.CurrentByteIndex
            self._settings += 1
        elif self._settings:
            if tag == "numPr" and self._before == "\n\n":
                self._before = "\n"
        elif tag == "t":
            self._text, self._text_from = [], self._parser.CurrentByteIndex
        else:
            self._border(tag, {_local(key): value for key, value in attributes.items()})

    def _border(self, tag: str, attributes: dict[str, str]) -> None:
        """An element between texts: where it ends a block, and what it tells of those that follow."""
        if tag == "p":
            self._paragraphs.append(_Paragraph())
        elif tag == "r":
            self._look = b""
        elif tag in ("tab", "br", "cr"):
            self._end_block("\t" if tag == "tab" else "\n")
        elif tag in ("tbl", "tr", "tc"):
            self._table(tag)
        elif tag == "fldSimple":
            self._fields.append(_Field(attributes.get("instr", ""), result=True))
        elif tag == "fldChar":
            self._field(attributes.get("fldCharType", ""))
        elif tag == "instrText":
            self._asking = True
        elif tag == "moveFrom":
            self._moved += 1
        if tag not in _LET_BE and self._paragraphs:
            self._paragraphs[-1].apart = True

    def _table(self, tag: str) -> None:
        if tag == "tc":
            self._before, self._row_begins = self._before if self._row_begins else "\t", False
        else:
            self._before = "\n\n" if tag == "tbl" or self._begins_table else "\n"
            self._begins_table, self._row_begins = tag == "tbl", True

    def _field(self, step: str) -> None:
        if step == "begin":
            self._fields.append(_Field())
        elif self._fields and step == "separate":
            self._fields[-1].result = True
        elif self._fields and step == "end":
            self._fields.pop()

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)
        elif self._asking and self._fields:
            self._fields[-1].asks += text

    def _end(self, name: str) -> None:
        tag = _local(name)
        if tag.endswith("Pr"):
            self._settings -= 1
            if tag == "rPr" and not self._settings:
                look = _NOT_A_LOOK.sub(b"", self._data[self._look_from : self._parser.CurrentByteIndex])
                self._look = look if look.count(b"<") > 1 else b""
        elif self._settings:
            return
        elif tag == "t":
            self._end_text()
        elif tag == "p" and self._paragraphs:
            self._end_block("\n\n")
            self._paragraphs.pop()
        elif tag == "fldSimple" and self._fields:
            self._fields.pop()
        elif tag == "instrText":
            self._asking = False
        elif tag == "moveFrom":
            self._moved -= 1
        elif tag == "hyperlink" and self._paragraphs:
            self._paragraphs[-1].apart = True

    def _end_text(self) -> None:
        text, self._text = "".join(self._text or ()), None
        if not text or self._moved or not self._paragraphs:
            return
        end = self._data.index(b">", self._parser.CurrentByteIndex) + 1
        span = (self._begins + self._text_from, self._begins + end)
        fixed = any(each.reckoned for each in self._fields)
        paragraph = self._paragraphs[-1]
        last = paragraph.runs[-1] if paragraph.runs else None
        if last and not paragraph.apart and (paragraph.looks[-1], last.fixed) == (self._look, fixed):
            paragraph.runs[-1] = Run(last.text + text, (*last.spans, span), fixed)
        else:
            paragraph.runs.append(Run(text, (span,), fixed))
            paragraph.looks.append(self._look)
        paragraph.apart = False

    def _end_block(self, before: str) -> None:
        runs = tuple(self._paragraphs[-1].runs) if self._paragraphs else ()
        if any(run.text.strip() for run in runs):
            tags = [self._data[run.spans[0][0] - self._begins :].split(b">", 1)[0].decode() for run in runs]
            self.blocks.append(Block(runs, self._before, partial(_written, tags)))
            self._before = before
        if self._paragraphs:
            self._paragraphs[-1] = _Paragraph()


def _refuse(*_: object) -> None:
    raise ValueError("a document type, which Word never writes")


def _local(name: str) -> str:
    """The name without its namespace; empty for what is not Word's own."""
    space, _, tag = name.rpartition(" ")
    return tag if space in _SPACES else "-"


def _written(tags: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Text elements as bytes, one character each; spaces at an end are kept where the element says so."""
    made = []
    for tag, text in zip(tags, map(_allowed, texts), strict=True):
        kept = "" if text == text.strip() or "preserve" in tag else ' xml:space="preserve"'
        made.append(f"{tag}{kept}>{escape(text)}</{tag[1:].split()[0]}>".encode().decode("latin-1"))
    return made


def _allowed(text: str) -> str:
    return _NOT_XML.sub("", text)
