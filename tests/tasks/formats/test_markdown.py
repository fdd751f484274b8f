"""Markdown comes back as Markdown: the same marks around other words, checked by reading it again."""

from __future__ import annotations

import importlib.metadata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmapp.tasks.encodings import Decoded
from llmapp.tasks.formats.inline import Inline
from llmapp.tasks.formats.layout import Layout
from llmapp.tasks.formats.markdown import markdown_layout, plain

from .translated import asked, kept, last, made, same

FILE = """\
---
title: The lighthouse
---
# The *old* lighthouse #

It was built in 1887,
by hand: *very* old. See [the manual](x.html "More"), **bold** and `make test` and <b>html</b>.
A note[^1] on this & that, \\*stars\\* and https://a.b/c_d_e.

> A quotation over
> two lines\\
> broken

- One
- [ ] Two ![A picture](a.png)
  1. 1

| Name | Price *x* |
|------|:-----:|
| Lamp \\| b | `a\\|b` |
| c |

Second
======

```py
code = "here"
```

    indented code

<div>
Some <b>html</b> text
</div>

[^1]: The footnote
    over two lines.

[x]: http://a.b "t"
"""
SHOUTED = """\
---
title: The lighthouse
---
# THE *OLD* LIGHTHOUSE #

IT WAS BUILT IN 1887, BY HAND: *VERY* OLD. SEE [THE MANUAL](x.html "More"), **BOLD** AND `make test` AND <b>HTML</b>. \
A NOTE[^1] ON THIS & THAT, \\*STARS\\* AND https://a.b/c_d_e.

> A QUOTATION OVER TWO LINES\\
> BROKEN

- ONE
- [ ] TWO ![A PICTURE](a.png)
  1. 1

| NAME | PRICE *X* |
|------|:-----:|
| LAMP \\| B | `a\\|b` |
| C |

SECOND
======

```py
code = "here"
```

    indented code

<div>
SOME <b>HTML</b> TEXT
</div>

[^1]: THE FOOTNOTE OVER TWO LINES.

[x]: http://a.b "t"
"""


def laid(text: str) -> Layout:
    return markdown_layout(Decoded(text, "UTF-8"), "a.md")


def shape(text: str) -> list[tuple[str, str, str, int]]:
    """The blocks of a file, without what they say."""
    return [(token.type, token.tag, token.markup, token.level) for token in Inline().blocks(text)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_the_words_change(end: str) -> None:
    source = FILE.replace("\n", end)
    assert same(laid(source)) == source.encode()
    assert made(laid(source)).decode() == SHOUTED.replace("\n", end)


def test_what_is_read_has_no_marks() -> None:
    text = plain(FILE)
    assert text.startswith("The old lighthouse\n\nIt was built in 1887, by hand: very old. See the manual, bold and")
    for words in (
        "A quotation over two lines broken",
        "Name\tPrice x\nLamp | b\ta|b",
        'code = "here"',
        "Some html text",
    ):
        assert words in text
    for mark in ("#", "**", "](", "[^1]", "```", "|---", "<b>", "title:", "> ", "- "):
        assert mark not in text


def test_sentences_in_one_look_are_asked_for_whole() -> None:
    heard: list[str] = []
    made(laid("One sentence over\ntwo lines. It is\n**very** old.\n"), lambda r: heard.append(asked(r)) or asked(r))
    assert heard == ["It is very old.", "One sentence over two lines."]


@pytest.mark.parametrize(
    ("source", "answer", "written"),
    [
        ("It began then.", "1887. Then it began.", "1887\\. Then it began."),
        ("A point", "- a point", "\\- a point"),
        ("A price", "2 * 3 * 4 and *so* on", "2 \\* 3 \\* 4 and \\*so\\* on"),
        ("An angle", "a <b> c", "a \\<b\\> c"),
        ("# C", "C #", "# C \\#"),
        ("| a | b |\n|---|---|\n| c | d |", "x | y", "| x \\| y | x \\| y |\n|---|---|\n| x \\| y | x \\| y |"),
    ],
)
def test_what_would_be_other_marks_is_escaped(source: str, answer: str, written: str) -> None:
    assert made(laid(source), lambda _: answer).decode() == written


def test_marks_that_can_not_be_kept_leave_the_sentence_and_say_so() -> None:
    layout = laid("It is **very** old.\n\nAnd white.\n")
    notes = kept(layout, lambda request: "(Es" if "very" in asked(request) else "x")
    texts, _ = last(layout, lambda request: "." if "very" in asked(request) else "Ja.").texts()
    assert layout.filled(texts).data.decode().endswith("\n\nJa.\n")
    assert all("very" in note.text("en") for note in notes)


READMES = [
    dist
    for dist in importlib.metadata.distributions()
    if "markdown" in (dist.metadata["Description-Content-Type"] or "")
    and dist.metadata["Name"]
    in ("markdown-it-py", "httpx", "gradio", "transformers", "peft", "attrs", "huggingface_hub")
]


@pytest.mark.parametrize("dist", READMES, ids=lambda dist: dist.metadata["Name"])
def test_real_readmes_keep_their_shape(dist: importlib.metadata.Distribution) -> None:
    source = str(dist.metadata.get_payload() or dist.metadata["Description"])  # type: ignore[attr-defined]
    assert len(source) > 1000
    assert same(laid(source)) == source.encode()
    changed = made(laid(source)).decode()
    assert shape(changed) == shape(source)
    assert changed != source


MARKS = st.sampled_from(
    [
        "a",
        "b c",
        " ",
        "\n",
        "\n\n",
        "*",
        "**",
        "_",
        "`",
        "[",
        "](x)",
        "![",
        "#",
        "# ",
        "- ",
        "1. ",
        "> ",
        "|",
        "\\",
        "<b>",
        "</b>",
        "&amp;",
        "```\n",
        "    ",
        "---",
        "\n|-|-|\n",
        "[^1]",
        "[^1]: ",
        "~~",
        "\t",
        "é",
        "中",
        "http://a.b",
        "  \n",
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(MARKS, max_size=25).map("".join))
@example("1. a\n   **b**c\n")
def test_any_markdown_stays_the_same_for_the_same_words(source: str) -> None:
    assert same(laid(source)) == source.encode()
    layout = laid(source)
    texts, _ = last(layout, asked).texts()
    assert layout.filled(texts).data == source.encode()


@settings(deadline=None, max_examples=300)
@given(st.lists(MARKS, max_size=25).map("".join))
def test_any_markdown_keeps_its_shape(source: str) -> None:
    layout = laid(source)
    texts, _ = last(layout).texts()
    assert shape(layout.filled(texts).data.decode()) == shape(source)
