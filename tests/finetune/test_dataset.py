"""Tables as people have them: any encoding, separator and header; and every error says which row and what to do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmapp.errors import BadInput
from llmapp.finetune.alike import text_key
from llmapp.finetune.dataset import LEAST_PER_LABEL, Columns, Rows, guess_columns, read_table, split, validate
from llmapp.finetune.order import LessonOrder, order_for

from .conftest import opinions


def written(folder: Path, text: str, encoding: str = "utf-8", name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


CHINESE = "文本,标签\n这家酒店的服务非常好，下次还会再来,好评\n房间很小而且有异味，不推荐大家入住,差评\n"
FRENCH = "texte;étiquette\nTrès bon séjour, merci;positif\nLe café était froid et le thé amer;négatif\n"


@pytest.mark.parametrize(
    ("text", "encoding", "said"),
    [
        (CHINESE, "utf-8", "UTF-8"),
        (CHINESE, "utf-8-sig", "UTF-8"),
        (CHINESE, "utf-16", "UTF-16"),
        (CHINESE, "gb18030", "GB18030"),
        (FRENCH, "cp1252", "cp1252"),
        (FRENCH, "utf-8", "UTF-8"),
    ],
)
def test_encodings_are_found(tmp_path: Path, text: str, encoding: str, said: str) -> None:
    table = read_table(written(tmp_path, text, encoding))
    assert table.encoding == said
    lines = [line.replace(";", ",").rpartition(",") for line in text.splitlines()]
    assert [table.columns, *table.rows][1][1] == lines[1][2]
    assert len(table.rows) == 2


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends_are_found(tmp_path: Path, delimiter: str, newline: str) -> None:
    lines = [f"text{delimiter}label", *(f'"one, two; three | four{i}"{delimiter}a' for i in range(3))]
    table = read_table(written(tmp_path, newline.join(lines)))
    assert table.columns == ("text", "label")
    assert table.rows[2] == ("one, two; three | four2", "a")


def test_a_messy_header_does_not_matter(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, '\ufeff  The  Message ,Label ,,Label,\n"a\nb",x,,1,\n\nc,y,,2,\n'))
    assert table.columns == ("The Message", "Label", "Label (4)")
    assert table.rows == (("a\nb", "x", "1"), ("c", "y", "2"))
    assert table.numbers == (2, 4)


def test_a_table_without_a_header_is_noticed(tmp_path: Path) -> None:
    lines = "".join(f"text number {i},{'spam' if i % 3 else 'ham'}\n" for i in range(9))
    table = read_table(written(tmp_path, lines))
    assert len(table.rows) == 9
    assert table.numbers[0] == 1
    assert guess_columns(table) == Columns(*table.columns)


def test_quotes_that_mark_nothing_are_kept(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, 'text\tlabel\n"Hello" he said\tham\nIt is 5" wide\tham\nyes\tham\n'))
    assert [row[0] for row in table.rows] == ['"Hello" he said', 'It is 5" wide', "yes"]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", "table_empty", "t.csv"),
        (" \n\n", "table_empty", "t.csv"),
        ("text,label\n", "table_empty", "t.csv"),
        ("only one column\nhere\n", "table_one_column", "t.csv"),
        ("text,label\na,b\none, two, three\n", "table_long_row", "Row 3 has 3 cells"),
        ('text,label\na,b\n"never, closed,b\nc,d\n', "table_quotes", "row 3"),
        ('text,label\na,b\n"he, said" loudly,b\n', "table_quotes", "row 3"),
    ],
)
def test_a_broken_table_is_refused_with_the_row(tmp_path: Path, text: str, code: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        read_table(written(tmp_path, text))
    assert caught.value.code == code
    assert caught.value.text("zh") != caught.value.text("en")


@pytest.mark.parametrize(
    ("header", "rows", "text", "label"),
    [
        ("v1,v2", ["ham,Will you come today?", "spam,Free entry to win now", "ham,ok lar"], "v2", "v1"),
        ("id,label,text", ["1,a,good film", "2,b,a bad film", "3,a,very good"], "text", "label"),
        ("label,comment,date", ["x,short,2020-01-01", "y,small,2020-01-02", "x,tiny,2020-01-03"], "comment", "label"),
        ("标签,评论", ["好,酒店很好", "差,房间太小", "好,值得推荐"], "评论", "标签"),
        (
            "title,full story,topic",
            ["A,what happened there today,x", "B,and what came after,y"] * 3,
            "full story",
            "topic",
        ),
    ],
)
def test_columns_are_guessed(tmp_path: Path, header: str, rows: list[str], text: str, label: str) -> None:
    table = read_table(written(tmp_path, "\n".join([header, *rows])))
    assert guess_columns(table) == Columns(text, label)


def table_of(tmp_path: Path, rows: list[tuple[str, str]]) -> Rows:
    body = "\n".join(f'"{text}","{label}"' for text, label in rows)
    return validate(read_table(written(tmp_path, f"text,label\n{body}\n")), "text", "label")


def test_rows_without_text_or_label_are_left_out_and_said(tmp_path: Path) -> None:
    rows = table_of(tmp_path, [*opinions(20), ("", "positive"), ("a text", " "), ("love  film", "positive")])
    assert len(rows.texts) == 21
    assert rows.numbers[-1] == 24
    assert rows.classes == ("negative", "positive")
    (note,) = rows.notes
    assert note.values == {"rows": 2, "first": 22}


def test_repeated_and_contradicting_texts_are_said(tmp_path: Path) -> None:
    rows = table_of(tmp_path, [*opinions(20), ("Hello!", "positive"), ("hello", "positive"), ("HELLO", "negative")])
    assert [note.code for note in rows.notes] == ["training.repeated_rows", "training.contradictions"]
    assert [dict(note.values) for note in rows.notes] == [{"rows": 2}, {"texts": 1}]


@pytest.mark.parametrize(
    ("rows", "code", "said"),
    [
        ([("a", ""), ("", "b")], "table_no_rows", "`text`"),
        ([(f"text {i}", "same") for i in range(30)], "table_one_label", "`same`"),
        ([(f"text {i}", f"label {i}") for i in range(30)], "table_many_labels", "30 different values"),
        ([*opinions(20), ("one", "rare"), ("two", "rare")], "table_few", "`rare` has only 2"),
        ([*opinions(20), *[("Same", "rare"), ("same!", "rare")] * 5], "table_few", "`rare` has only 1"),
    ],
)
def test_rows_that_can_not_teach_are_refused(tmp_path: Path, rows: list[tuple[str, str]], code: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        table_of(tmp_path, rows)
    assert caught.value.code == code


def test_to_sort_by_two_inputs_is_to_sort_by_both_in_one_text(tmp_path: Path) -> None:
    rows = "".join(f"Film {i},It was film number {i}.,{('good', 'bad')[i % 2]}\n" for i in range(20))
    order = order_for(written(tmp_path, "title,review,label\n" + rows), LessonOrder())
    assert (order.text, order.second, order.label) == ("title", "review", "label")
    assert order.rows(tmp_path / "t.csv").texts[3] == "Film 3\n\nIt was film number 3."


def test_columns_that_are_not_there_are_named(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "a,b\n1,2\n"))
    with pytest.raises(BadInput, match="There are: a, b"):
        validate(table, "text", "b")
    with pytest.raises(BadInput, match="chosen twice"):
        validate(table, "a", "a")


def rows_of(pairs: list[tuple[str, str]]) -> Rows:
    texts, labels = zip(*pairs, strict=True)
    return Rows(texts, labels, tuple(range(2, len(texts) + 2)), tuple(sorted(set(labels))), ())


def test_the_split_is_tenths_by_label_and_does_not_depend_on_the_order() -> None:
    pairs = [(text, "rare" if i % 10 == 0 else label) for i, (text, label) in enumerate(opinions(1000))]
    parts = split(rows_of(pairs), seed=0)
    assert sorted((*parts.train, *parts.valid, *parts.test)) == list(range(1000))
    for side, share in ((parts.train, 0.8), (parts.valid, 0.1), (parts.test, 0.1)):
        counts = Counter(pairs[i][1] for i in side)
        assert all(abs(counts[name] - share * total) <= 1 for name, total in Counter(y for _, y in pairs).items())
    back = split(rows_of(pairs[::-1]), seed=0)
    assert {pairs[i] for i in parts.test} == {pairs[::-1][i] for i in back.test}
    assert split(rows_of(pairs), seed=1).test != parts.test


def test_a_small_table_tests_on_more() -> None:
    assert len(split(rows_of(opinions(100)), seed=0).test) == 20
    assert len(split(rows_of(opinions(40)), seed=0).test) == 10


@given(
    st.lists(st.tuples(st.sampled_from(["a", "B b", "C-c", "d!", "é", "好", "🙂"]), st.integers(0, 9)), min_size=1),
    st.integers(0, 5),
)
def test_no_text_is_on_two_sides_and_every_label_learns(words: list[tuple[str, int]], seed: int) -> None:
    pairs = [(f"{text} {n}", "xy"[n % 2]) for text, n in words]
    pairs += [(f"row {i}", "xy"[i % 2]) for i in range(2 * LEAST_PER_LABEL)]
    rows = rows_of([(change(text), label) for text, label in pairs for change in (str, str.upper, "{}!".format)])
    parts = split(rows, seed)
    keys = [{text_key(rows.texts[i]) for i in side} for side in (parts.train, parts.valid, parts.test)]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]
    assert not keys[1] & keys[2]
    for side in (parts.train, parts.valid, parts.test):
        assert {rows.labels[i] for i in side} == {"x", "y"}
