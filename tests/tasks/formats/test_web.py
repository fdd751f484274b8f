"""HTML comes back as HTML: tags, attributes, scripts and entities around other words."""

from __future__ import annotations

import contextlib
import time
from html.parser import HTMLParser
from pathlib import Path

import gradio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmapp.errors import BadInput, TooLong
from llmapp.tasks.encodings import decoded
from llmapp.tasks.formats import web
from llmapp.tasks.formats.layout import Layout
from llmapp.tasks.formats.web import declared, web_layout

from .translated import asked, last, made, same

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>The lighthouse &amp; its keeper</title>
<meta name="description" content="A story of &quot;light&quot;."><link rel="x" title="not this">
<style>p { color: red }</style><script>if (a < b) alert("text")</script></head>
<body><h1>The <em>old</em> lighthouse</h1>
<!-- a comment -->
<p class="x">It was built in 1887
   by <i>human <b>hand</b></i>. See <a href="x.html" title='More here'>the manual</a>, it is <b>long</b>.<br>
Run <code>make test</code> now.</p>
<table><tr><th>Name<th>Price</tr><tr><td>Lamp</td><td>12 &euro; <img src="a.png" alt="A lamp"/></td></tr></table>
<ul><li>One<li>Two <!-- not this --> three<sup><a href="#f1">1</a></sup></ul>
<p translate="no">ACME Corp</p><p class="notranslate">Brand</p><textarea>typed</textarea><pre>
 code  here
</pre>the end</body></html>
"""
SHOUTED = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>THE LIGHTHOUSE &amp; ITS KEEPER</title>
<meta name="description" content="A STORY OF &quot;LIGHT&quot;."><link rel="x" title="not this">
<style>p { color: red }</style><script>if (a < b) alert("text")</script></head>
<body><h1>THE <em>OLD</em> LIGHTHOUSE</h1>
<!-- a comment -->
<p class="x">IT WAS BUILT IN 1887 BY <i>HUMAN <b>HAND</b></i>. SEE <a href="x.html" title='MORE HERE'>THE MANUAL</a>, \
IT IS <b>LONG</b>.<br>
RUN <code>make test</code> NOW.</p>
<table><tr><th>NAME<th>PRICE</tr><tr><td>LAMP</td><td>12 &euro; <img src="a.png" alt="A LAMP"/></td></tr></table>
<ul><li>ONE<li>TWO <!-- not this --> THREE<sup><a href="#f1">1</a></sup></ul>
<p translate="no">ACME Corp</p><p class="notranslate">Brand</p><textarea>typed</textarea><pre>
 code  here
</pre>THE END</body></html>
"""


def laid(data: bytes) -> Layout:
    return web_layout(decoded(data, "a.html", declared(data)), "a.html")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_only_the_words_change(end: str, mark: bytes) -> None:
    source = mark + PAGE.replace("\n", end).encode()
    assert same(laid(source)) == source
    assert made(laid(source)) == mark + SHOUTED.replace("\n", end).encode()


def test_what_is_read_is_text() -> None:
    text = laid(PAGE.encode()).text()
    for words in (
        "The lighthouse & its keeper",
        "it is long.\nMore here\nRun make test now.",
        "Name\tPrice\nLamp\t12 €\nA lamp",
        " code  here",
    ):
        assert words in text
    for not_read in ("<", "color", "alert", "comment", "typed"):
        assert not_read not in text


@pytest.mark.parametrize(
    ("charset", "codec", "words"),
    [
        ("gb2312", "gb18030", "今天天气很好"),
        ("Shift_JIS", "cp932", "今日はいい天気ですね"),
        ("windows-1251", "cp1251", "Хорошая погода"),
        ("iso-8859-1", "cp1252", "Größe “5 €”"),
        ("big5", "big5", "今天天氣很好"),
    ],
)
def test_the_encoding_that_a_page_names_is_kept(charset: str, codec: str, words: str) -> None:
    page = f'<html><head><meta charset="{charset}"></head><body><p>{words}</p></body></html>'
    source = page.encode(codec)
    assert laid(source).text() == words
    assert same(laid(source)) == source
    answer = made(laid(source), lambda _: "Ünï 中文 Ж & <b>")
    assert "Ünï 中文 Ж & <b>" in laid(answer).text()
    assert answer.startswith(page[: page.index("<p>") + 3].encode())


@pytest.mark.parametrize("piece", ["<a ", "<!--", "<a b='", "</"])
def test_a_page_made_to_be_read_for_hours_is_given_up(monkeypatch: pytest.MonkeyPatch, piece: str) -> None:
    monkeypatch.setattr(web, "READ_S", 1)
    begun = time.monotonic()
    with contextlib.suppress(TooLong):
        laid(piece.encode() * 30_000)
    assert time.monotonic() - begun < 20


def test_a_declaration_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput) as caught:
        laid(b"<p>Text</p><![nonsense[")
    assert caught.value.code == "document_damaged"
    page = b"<p>One</p><!--[if IE]><p>old</p><![endif]--><![if !IE]><p>Two</p><![endif]>"
    assert laid(page).text() == "One\n\nTwo"
    assert same(laid(page)) == page


class Tags(HTMLParser):
    """Everything of a page but its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[object] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [pair for pair in attrs if pair[0] not in ("alt", "title")]))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)

    def handle_comment(self, data: str) -> None:
        self.found.append(data)


@pytest.mark.parametrize("name", ["index.html", "share.html"])
def test_real_pages_keep_their_tags(name: str) -> None:
    source = (Path(gradio.__file__).parent / "templates" / "frontend" / name).read_bytes()
    assert same(laid(source)) == source
    changed = made(laid(source))
    assert Tags(changed.decode()).found == Tags(source.decode()).found
    assert laid(changed).text() == laid(source).text().upper()


PIECES = st.sampled_from(
    [
        "a",
        "b c.",
        " ",
        "\n",
        "<p>",
        "</p>",
        "<b>",
        "</b>",
        "<a href='x' title=\"t u\">",
        "</a>",
        "<br>",
        "<img alt='x y'/>",
        "<code>",
        "</code>",
        "&amp;",
        "&#233;",
        "&nbsp;",
        "<!-- c -->",
        "<td>",
        "<",
        ">",
        "&",
        "<script>",
        "</script>",
        "é中",
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_any_page_keeps_its_tags(page: str) -> None:
    source = page.encode()
    assert same(laid(source)) == source
    layout = laid(source)
    texts, _ = last(layout, asked).texts()
    assert layout.filled(texts).data == source
    texts, _ = last(layout).texts()
    assert Tags(layout.filled(texts).data.decode()).found == Tags(page).found
