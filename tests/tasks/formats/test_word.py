"""Word documents made with python-docx come back with other words; looks, tables, links, notes stay."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from docx.shared import Inches

from llmapp.errors import BadInput, TooLong
from llmapp.messages import LANGUAGES
from llmapp.tasks.documents import read_document
from llmapp.tasks.formats import word
from llmapp.tasks.formats.layout import Layout
from llmapp.tasks.formats.word import word_layout

from .translated import asked, made, same

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf500f000301010098b7"
    "1d5f0000000049454e44ae426082"
)


def field(instruction: str, result: str) -> list[str]:
    """The runs of a field as Word writes them."""
    return [
        f'<w:r {W}><w:fldChar w:fldCharType="begin"/></w:r>',
        f'<w:r {W}><w:instrText xml:space="preserve"> {instruction} </w:instrText></w:r>',
        f'<w:r {W}><w:fldChar w:fldCharType="separate"/></w:r>',
        f"<w:r {W}><w:t>{result}</w:t></w:r>",
        f'<w:r {W}><w:fldChar w:fldCharType="end"/></w:r>',
    ]


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    """Headings, looks, runs split as Word splits them, a link, a list, a table, a field, a picture, a header."""
    (tmp_path / "dot.png").write_bytes(PICTURE)
    document: Any = docx.Document()
    document.add_heading("The lighthouse", 1)
    paragraph = document.add_paragraph("It is ")
    paragraph.add_run("very").bold = True
    paragraph.add_run(" o")
    paragraph._p.append(parse_xml(f'<w:proofErr {W} w:type="spellStart"/>'))
    paragraph._p.append(
        parse_xml(
            f'<w:r {W} w:rsidR="00A1"><w:rPr><w:lang w:val="en-GB"/></w:rPr><w:t>ld & tall.</w:t></w:r>'.replace(
                "&", "&amp;"
            )
        )
    )
    link = document.part.relate_to("http://a.b/c", RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
    paragraph = document.add_paragraph("See ")
    paragraph._p.append(parse_xml(f'<w:hyperlink {W} {R} r:id="{link}"><w:r><w:t>the manual</w:t></w:r></w:hyperlink>'))
    paragraph.add_run(" first.")
    document.add_paragraph("One point", style="List Bullet")
    paragraph = document.add_paragraph("This is page ")
    for run in field("PAGE", "7"):
        paragraph._p.append(parse_xml(run))
    paragraph.add_run(" of it.")
    paragraph = document.add_paragraph("Before\tafter")
    paragraph.add_run().add_picture(str(tmp_path / "dot.png"), Inches(0.1))
    table = document.add_table(2, 2)
    for cell, text in zip(
        (cell for row in table.rows for cell in row.cells), ("Name", "Price", "Lamp", "12"), strict=True
    ):
        cell.text = text
    document.sections[0].header.paragraphs[0].text = "The header"
    document.sections[0].footer.paragraphs[0].text = "The footer"
    path = tmp_path / "letter.docx"
    document.save(path)
    return path


def laid(path: Path) -> Layout:
    return word_layout(path, path.name)


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Path:
    """The same archive with other parts."""
    new = path.with_name("changed.docx")
    with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in change(parts(path)).items():
            archive.writestr(name, data)
    return new


def test_the_same_words_give_the_same_file(letter: Path) -> None:
    assert same(laid(letter)) == letter.read_bytes()
    assert made(laid(letter), asked) == letter.read_bytes()


def test_only_the_words_change(letter: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.docx"
    new.write_bytes(made(laid(letter)))
    document: Any = docx.Document(str(new))
    texts = [[run.text for run in paragraph.runs if run.text] for paragraph in document.paragraphs]
    assert texts == [
        ["THE LIGHTHOUSE"],
        ["IT IS ", "VERY", " OLD & TALL."],
        ["SEE ", " FIRST."],
        ["ONE POINT"],
        ["THIS IS PAGE ", "7", " OF IT."],
        ["BEFORE\tAFTER"],
    ]
    assert document.paragraphs[1].runs[1].bold
    assert [paragraph.style.name for paragraph in document.paragraphs[:4]] == [
        "Heading 1",
        "Normal",
        "Normal",
        "List Bullet",
    ]
    (link,) = document.paragraphs[2].hyperlinks
    assert (link.text, link.address) == ("THE MANUAL", "http://a.b/c")
    assert [cell.text for row in document.tables[0].rows for cell in row.cells] == ["NAME", "PRICE", "LAMP", "12"]
    assert len(document.inline_shapes) == 1
    section = document.sections[0]
    assert (section.header.paragraphs[0].text, section.footer.paragraphs[0].text) == ("THE HEADER", "THE FOOTER")
    before, after = parts(letter), parts(new)
    changed = {name for name in before if before[name] != after[name]}
    assert list(before) == list(after)
    assert changed == {name for name in before if word._PARTS.fullmatch(name)}


def test_what_is_read_is_in_order(letter: Path) -> None:
    document = read_document(letter, 1)
    assert document.kind == "docx"
    assert document.text == (
        "The lighthouse\n\nIt is very old & tall.\n\nSee the manual first.\n\nOne point\n\nThis is page 7 of it.\n\n"
        "Before\tafter\n\nName\tPrice\nLamp\t12\n\nThe header\n\nThe footer"
    )


def test_footnotes_are_read_and_their_references_stay(letter: Path) -> None:
    note = "<w:p><w:r><w:footnoteRef/></w:r><w:r><w:t>A note.</w:t></w:r></w:p>"
    notes = f'<w:footnotes {W}><w:footnote w:id="2">{note}</w:footnote></w:footnotes>'
    reference = b'<w:r><w:footnoteReference w:id="2"/></w:r></w:p>'

    def noted(old: dict[str, bytes]) -> dict[str, bytes]:
        document = old["word/document.xml"].replace(b"</w:p>", reference, 1)
        return old | {"word/document.xml": document, "word/footnotes.xml": notes.encode()}

    path = rewritten(letter, noted)
    assert "A note." in laid(path).text()
    changed = path.with_name("new.docx")
    changed.write_bytes(made(laid(path)))
    assert parts(changed)["word/footnotes.xml"] == notes.replace("A note.", "A NOTE.").encode()
    assert parts(changed)["word/document.xml"].count(b'<w:footnoteReference w:id="2"/>') == 1


def test_a_text_box_is_read_apart_from_the_paragraph_it_hangs_on(letter: Path) -> None:
    box = b"<w:r><w:pict><w:txbxContent><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent></w:pict></w:r></w:p>"
    path = rewritten(
        letter, lambda old: old | {"word/document.xml": old["word/document.xml"].replace(b"</w:p>", box, 1)}
    )
    assert laid(path).text().startswith("In a box.\n\nThe lighthouse")
    changed = path.with_name("new.docx")
    changed.write_bytes(made(laid(path)))
    assert parts(changed)["word/document.xml"].count(b"<w:t>IN A BOX.</w:t>") == 1


def test_spaces_at_an_end_and_odd_characters_are_written_safely(letter: Path) -> None:
    path = letter.with_name("new.docx")
    path.write_bytes(made(laid(letter), lambda _: "a <b> & \x00\ufffe c"))
    document: Any = docx.Document(str(path))
    assert document.paragraphs[0].text == "a <b> &  c"


def refused(path: Path) -> BadInput:
    with pytest.raises(BadInput) as caught:
        read_document(path, 5)
    for language in LANGUAGES:
        assert path.name in caught.value.text(language)
    return caught.value


def test_only_pictures_are_said(tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(PICTURE)
    document: Any = docx.Document()
    document.add_picture(str(tmp_path / "dot.png"), Inches(1))
    document.save(tmp_path / "scan.docx")
    assert refused(tmp_path / "scan.docx").code == "document_pictures"
    docx.Document().save(str(tmp_path / "empty.docx"))
    assert refused(tmp_path / "empty.docx").code == "document_empty"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (word.COMPOUND + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "document_encrypted"),
        (word.COMPOUND + b"\0" * 600, "document_old_word"),
        (b"PK\x03\x04 and nothing else", "document_damaged"),
        (b"", "document_damaged"),
        (b"plain text", "document_damaged"),
    ],
)
def test_what_is_no_word_document_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    (tmp_path / "a.docx").write_bytes(data)
    assert refused(tmp_path / "a.docx").code == code


@pytest.mark.parametrize(
    "document",
    [
        b"<w:document",
        b'<!DOCTYPE a [<!ENTITY b "bomb">]><a>&b;</a>',
        b'<?xml version="1.0" encoding="utf-16"?><a/>',
    ],
)
def test_damaged_and_hostile_xml_is_refused(letter: Path, document: bytes) -> None:
    path = rewritten(letter, lambda old: old | {"word/document.xml": document})
    assert refused(path).code in ("document_damaged", "document_empty")


def test_a_bomb_is_refused(letter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = rewritten(letter, lambda old: old | {"word/document.xml": b" " * (word.MOST_XML + 1)})
    assert path.stat().st_size < 1_000_000
    error = refused(path)
    assert isinstance(error, TooLong)
    assert error.code == "document_bomb"
