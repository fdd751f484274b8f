"""Plain text, subtitles and tables come back byte for byte but for the words: line ends, marks, encodings, quotes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import gradio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmapp.errors import BadInput
from llmapp.tasks.documents import read_document
from llmapp.tasks.encodings import Decoded
from llmapp.tasks.formats.columns import prose_columns
from llmapp.tasks.formats.layout import Layout
from llmapp.tasks.formats.lines import plain_layout
from llmapp.tasks.formats.opening import open_layout
from llmapp.tasks.formats.subtitles import subtitle_layout
from llmapp.tasks.tables import read_sheet, write_xlsx

from .translated import asked, last, made, same

TEXT = "  Good morning.\n\nName:\tAda   Lovelace\n\nThe train is late. \n"
SUBTITLES = """1
00:00:01,000 --> 00:00:02,000 X1:40 X2:600
<i>Hello my</i>
old friend.

2
00:00:03,000 --> 00:00:04,000
- Who is that?
- Me and you,

3
00:00:05,000 --> 00:00:06,000
and {\\an8}all the others here.
"""
WEB = """WEBVTT - a title

NOTE this is not read

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start
<v Ada>Hello &amp; welcome</v> <c.loud>all</c>
"""
TABLE = 'id;text;note\n1;"He said ""hi, you all"" to me;\nand left.";x\n2;a plain text is here;y\n\n3;;z\n4;12;w\n'


def opened(folder: Path, name: str, data: bytes, *columns: str) -> Layout:
    (folder / name).write_bytes(data)
    document = read_document(folder / name, 1)
    return open_layout(folder / name, document.kind, name, columns)


CODINGS = [("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")]


@pytest.mark.parametrize(("codec", "mark"), CODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("name", "text"), [("a.txt", TEXT), ("a.srt", SUBTITLES), ("a.csv", TABLE)])
def test_only_the_words_change(tmp_path: Path, name: str, text: str, end: str, codec: str, mark: bytes) -> None:
    source = mark + text.replace("\n", end).encode(codec)
    layout = opened(tmp_path, name, source)
    assert same(layout) == source
    shouted = {
        TEXT: TEXT.upper(),
        SUBTITLES: SUBTITLES.upper().replace("<I>", "<i>").replace("</I>", "</i>").replace("\\AN8", "\\an8"),
        TABLE: TABLE.replace("He said", "HE SAID")
        .replace("hi, you all", "HI, YOU ALL")
        .replace("to me", "TO ME")
        .replace("and left", "AND LEFT")
        .replace("a plain text is here", "A PLAIN TEXT IS HERE"),
    }[text]
    assert made(layout) == mark + shouted.replace("\n", end).encode(codec)


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.srt", "a.csv"])
def test_an_encoding_stays_or_its_change_is_said(tmp_path: Path, name: str) -> None:
    words = "今天天气很好，我们去公园散步吧。"
    frames = {
        "a.srt": "1\r\n00:00:01,000 --> 00:00:02,000\r\n%s\r\n",
        "a.csv": "编号,内容\r\n1,%s\r\n2,很好很好很好很好\r\n",
    }
    source = (frames.get(name, "%s\r\n") % words).encode("gb18030")
    layout = opened(tmp_path, name, source)
    assert same(layout) == source
    assert made(layout, lambda _: "Größe 大") == (frames.get(name, "%s\r\n") % "Größe 大").replace(
        "很好很好很好很好", "Größe 大"
    ).encode("gb18030")


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.srt", "a.csv"])
def test_where_the_encoding_lacks_a_letter_it_is_utf_8_and_said(tmp_path: Path, name: str) -> None:
    frames = {"a.srt": "1\r\n00:00:01,000 --> 00:00:02,000\r\n%s\r\n", "a.csv": "id,text\r\n1,%s\r\n"}
    frame = frames.get(name, "%s\r\n")
    layout = opened(tmp_path, name, (frame % "Größe der Bäume").encode("cp1252"))
    assert made(layout, lambda _: "Höhe") == (frame % "Höhe").encode("cp1252")
    texts, _ = last(layout, lambda _: "大").texts()
    filled = layout.filled(texts)
    assert filled.data == (frame % "大").encode("utf-8-sig")
    assert [note.code for note in filled.notes] == ["documents.now_utf8"]


def test_columns_of_a_text_are_asked_for_by_themselves(tmp_path: Path) -> None:
    heard: list[str] = []
    made(opened(tmp_path, "a.txt", TEXT.encode()), lambda r: heard.append(asked(r)) or asked(r))
    assert sorted(heard) == ["Ada", "Good morning.", "Lovelace", "Name:", "The train is late."]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["word", "No. 1", " ", "\t", "\n", "\r\n", "\r", "\x0b", "\x85", "中", "   "])).map(
        "".join
    )
)
def test_any_text_stays_the_same(text: str) -> None:
    layout = plain_layout(Decoded(text, "UTF-8"), "a.txt")
    assert same(layout) == text.encode()
    assert made(layout) == text.upper().encode()


# ---- subtitles ----


def test_a_sentence_over_cues_is_asked_for_whole_and_shared_out(tmp_path: Path) -> None:
    heard: list[str] = []
    layout = opened(tmp_path, "a.srt", SUBTITLES.encode())
    made(layout, lambda r: heard.append(asked(r)) or asked(r))
    assert sorted(heard) == ["Hello my old friend.", "Me and you, and all the others here.", "Who is that?"]
    answer = made(layout, lambda _: "Ich und du und alle anderen hier.").decode()
    assert "- Ich und du\n\n3\n00:00:05,000 --> 00:00:06,000\nund {\\an8}alle anderen hier.\n" in answer


def test_web_subtitles_keep_notes_styles_and_tags(tmp_path: Path) -> None:
    layout = opened(tmp_path, "a.vtt", WEB.encode())
    assert layout.text() == "Hello & welcome all"
    assert same(layout) == WEB.encode()
    shouted = WEB.replace("Hello &amp; welcome", "HELLO &amp; WELCOME").replace(">all<", ">ALL<")
    assert made(layout).decode() == shouted
    assert b"A --> B &lt;c" not in made(layout, lambda _: "A --> B <c>")
    assert b"\xe2\x86\x92 B &lt;c> " in made(layout, lambda _: "A --> B <c> d e f g h i")


@pytest.mark.parametrize("name", ["s1.srt", "s2.vtt"])
def test_real_subtitles_keep_their_times(tmp_path: Path, name: str) -> None:
    source = (Path(gradio.__file__).parent / "media_assets" / "data" / name).read_bytes()
    layout = opened(tmp_path, name, source)
    assert same(layout) == source
    changed = made(layout).splitlines()
    assert [line for line in changed if b"-->" in line] == [line for line in source.splitlines() if b"-->" in line]
    assert [line.upper() for line in source.splitlines()] == [line.upper() for line in changed]


CUE = st.sampled_from(["One two", "three.", "- Four", "<i>five six</i>", "七八，", "{\\b1}nine", "10", "a & b"])


@settings(deadline=None)
@given(st.lists(st.lists(CUE, min_size=1, max_size=3), max_size=5), st.booleans())
def test_any_subtitles_keep_all_but_the_words(cues: list[list[str]], web: bool) -> None:
    source = "WEBVTT\n\n" * web + "".join(
        f"{i}\n00:00:0{i}.000 --> 00:00:0{i}.500\n" + "\n".join(lines) + "\n\n" for i, lines in enumerate(cues)
    )
    layout = subtitle_layout(Decoded(source, "UTF-8"), "a", web)
    assert same(layout) == source.encode()
    assert made(layout, asked) == source.encode()
    changed = made(layout, lambda _: "x y z").decode()
    assert [line for line in changed.split("\n") if "-->" in line] == [
        line for line in source.split("\n") if "-->" in line
    ]
    assert changed.count("<i>") == source.count("<i>")


# ---- tables ----


def test_the_columns_that_are_chosen(tmp_path: Path) -> None:
    layout = opened(tmp_path, "a.csv", TABLE.encode(), "note")
    assert made(layout).decode() == TABLE.replace(";x", ";X").replace(";y", ";Y").replace(";z", ";Z").replace(
        ";w", ";W"
    )
    with pytest.raises(BadInput) as caught:
        opened(tmp_path, "a.csv", TABLE.encode(), "nothing")
    assert caught.value.code == "table_no_column"


def test_prose_is_told_from_names_numbers_and_addresses(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = "1,Ada Lovelace,It was a very good day,https://a.b/c-d,2026-01-01,好极了我们非常喜欢这里\n"
    path.write_text("id,name,said,link,day,中文\n" + rows * 3, encoding="utf-8")
    assert prose_columns(read_sheet(path)) == ("said", "中文")


def test_quotes_are_added_only_where_they_must_be(tmp_path: Path) -> None:
    layout = opened(tmp_path, "a.csv", b'a,b\n1,one two three\n2,"four five six"\n', "b")
    assert made(layout, lambda _: 'x, "y"').decode() == 'a,b\n1,"x, ""y"""\n2,"x, ""y"""\n'
    assert made(layout, lambda _: "=1+1").decode() == "a,b\n1,'=1+1\n2,\"'=1+1\"\n"


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.lists(st.text("ab ,;\"\n中'=", max_size=6), min_size=2, max_size=2), min_size=1, max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_any_table_keeps_its_other_cells(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str, quoting: int, end: str
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerows([["first name", "second name"], ["x", "a text"], *rows])
    path = tmp_path_factory.mktemp("tables") / "a.csv"
    path.write_text(out.getvalue(), encoding="utf-8", newline="")
    try:
        layout = open_layout(path, "csv", "a.csv", ("second name",))
    except BadInput:
        return
    assert same(layout) == path.read_bytes()
    changed = made(layout, lambda _: 'new; "text", here').decode()
    again = list(csv.reader(io.StringIO(changed, newline=""), delimiter=delimiter))
    before = list(csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=delimiter))
    assert [row[:1] for row in again] == [row[:1] for row in before]
    assert again[1] == ["x", 'new; "text", here']


# ---- reading ----


def test_all_sheets_of_a_workbook_are_read(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "a.xlsx", ["Name", "Price"], [["Lamp\nof brass", 12.0]])
    document = read_document(tmp_path / "a.xlsx", 1)
    assert (document.text, document.kind) == ("Name\tPrice\nLamp of brass\t12", "xlsx")


def test_subtitles_and_tables_are_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(SUBTITLES, encoding="utf-8")
    assert read_document(tmp_path / "a.srt", 1).text == (
        "Hello my old friend.\nWho is that?\nMe and you, and all the others here."
    )
    (tmp_path / "a.csv").write_text(TABLE, encoding="utf-8")
    assert read_document(tmp_path / "a.csv", 1).text == TABLE
