"""What is drawn of a judged table and of a mood: every number there, nothing of a file taken for HTML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from llmapp.bulk.judging import run
from llmapp.messages import LANGUAGES
from llmapp.tasks.mood import Mood
from llmapp.ui.charts import columns, tones
from llmapp.ui.judge_card import card
from llmapp.ui.mood_strip import mood_strip

from ..bulk.orders import OnePool, Order
from ..bulk.test_judging import engine
from ..bulk.test_truth import report

HOSTILE = "<img src=x onerror=alert(1)>'\""
DAYS = ["2026-01-01", "2026-01-02", "2026-01-02", "2026-01-04"]


@pytest.fixture
def judged(tmp_path: Path) -> dict[str, Any]:
    """A table whose labels, groups and texts are an attack."""
    table = tmp_path / "upload"
    rows = [("good", "pos"), ("cold", "neg"), ("good", "neg"), (f"good {HOSTILE}", HOSTILE)]
    cells = [(f'"{text.replace(chr(34), chr(34) * 2)}"', f'"{y.replace(chr(34), chr(34) * 2)}"') for text, y in rows]
    lines = [f"{text},{y},{day},{y}\n" for (text, y), day in zip(cells, DAYS, strict=True)]
    table.write_text("text,label,day,shop\n" + "".join(lines), "utf-8")
    todo = {"column": "text", "model": "fake", "labels": [], "language": "en"}
    todo |= {"truth": "label", "date": "day", "group": "shop"}
    assert run(Order(tmp_path, table, "opinions.csv", todo), OnePool(engine())) == "done"
    return report(tmp_path)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_card_shows_each_part_and_escapes_it(judged: dict[str, Any], language: str) -> None:
    html = card(judged, language)
    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") >= 5
    assert re.findall(r"data-cell='(\d,\d)'>(\d)<", html) == [("0,0", "1"), ("1,0", "1"), ("1,1", "1"), ("2,0", "1")]
    assert html.count("<div class='column'>") == 4
    assert "{" not in html
    for attribute in re.findall(r"(?:title|aria-label)='([^']*)'", html):
        assert "<" not in attribute


def test_feelings_are_called_as_the_page_calls_them(judged: dict[str, Any]) -> None:
    html = card(judged, "zh")
    assert "positive" not in html.replace("tone-positive", "")
    assert html.count("正面") > 8


def test_every_part_of_a_column_is_said_in_words() -> None:
    html = columns([("2026-01", {"positive": 3, "negative": 1}), ("2026-02", {})], ["positive", "negative"], ("n", "d"))
    assert "aria-label='2026-01: positive 3, negative 1'" in html
    assert "tone-positive' style='height:75.00%'" in html
    assert "<tr><th scope='row'>2026-02</th><td>0</td><td>0</td></tr>" in html


def test_feelings_have_their_colours_and_others_one_each() -> None:
    assert tones(["praise", "POS", "负面", "question"]) == {
        "praise": "tone-0",
        "POS": "tone-positive",
        "负面": "tone-negative",
        "question": "tone-1",
    }


def test_the_strip_has_a_block_and_a_line_for_each_sentence() -> None:
    moods = [Mood("It was good.", "positive", 0.93), Mood(HOSTILE + "x" * 500, "negative", 0.6)]
    html = mood_strip(moods, "en")
    assert html.count("tabindex='-1'") == html.count("<li") == 2
    assert "<img" not in html
    assert "--share:93%" in html
    assert "x" * 301 not in html
    assert mood_strip(moods[:1], "en") == ""
