"""Tables of inputs and answers: what can be learned from, on which side of the split, and as which tokens."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import transformers

from llmapp.backend.engine import Turn
from llmapp.backend.tokens import Tokens
from llmapp.errors import BadInput
from llmapp.finetune.dataset import Table, read_table
from llmapp.finetune.doctor import Row, examine_pairs
from llmapp.finetune.goals import GOALS, MANY_LANGUAGES, WRITER
from llmapp.finetune.order import LessonOrder, order_for
from llmapp.finetune.pairs import Pairs, encoded, guess_pair, pair_up, split_pairs
from llmapp.ui.finetune_form import SAMPLES

from ..tiny import catalog_entry, tiny_causal


def table_of(path: Path, rows: list[tuple[str, ...]], head: tuple[str, ...] = ("question", "answer")) -> Table:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return read_table(path)


def many(count: int) -> list[tuple[str, ...]]:
    return [(f"How much is {i} plus {i * 7}, please?", f"It is {i * 8}.") for i in range(count)]


def pairs_of(count: int) -> Pairs:
    inputs, answers = zip(*many(count), strict=True)
    return Pairs(inputs, answers, tuple(range(2, count + 2)), ())


def test_blank_rows_are_left_out_and_said(tmp_path: Path) -> None:
    table = table_of(tmp_path / "a.csv", [*many(30), ("Only a question?", ""), ("", "Only an answer.")])
    pairs = pair_up(table, "question", "answer")
    assert len(pairs.inputs) == 30
    assert pairs.numbers[0] == 2
    assert [note.code for note in pairs.notes] == ["training.blank_pairs"]
    assert "row 32" in pairs.notes[0].text()


@pytest.mark.parametrize(
    ("rows", "code", "said"),
    [
        (many(19), "table_few_pairs", "19 different texts"),
        ([(f"Question number {i}?", "Yes.") for i in range(40)], "table_one_answer", "`Yes.` stands in 40 of 40 rows"),
        ([("", "x")] * 3 + [("y", "")] * 3, "table_no_rows", "question"),
    ],
)
def test_what_can_not_teach_is_refused_in_words(
    tmp_path: Path, rows: list[tuple[str, ...]], code: str, said: str
) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        pair_up(table_of(tmp_path / "a.csv", rows), "question", "answer")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("head", "guessed"),
    [
        (("id", "instruction", "output"), ("instruction", "output")),
        (("target", "id", "source"), ("source", "target")),
        (("问题", "编号", "回答"), ("问题", "回答")),
        (("a", "n", "b"), ("a", "b")),
    ],
)
def test_columns_are_guessed_by_name_then_by_what_is_in_them(
    tmp_path: Path, head: tuple[str, ...], guessed: tuple[str, str]
) -> None:
    wide, narrow = "some text that is long enough", "7"
    cells = {"id": narrow, "编号": narrow, "n": narrow}
    table = table_of(tmp_path / "a.csv", [tuple(cells.get(name, wide) for name in head)] * 3, head)
    assert guess_pair(table) == guessed


def test_the_split_is_fixed_whole_and_fair() -> None:
    pairs = pairs_of(300)
    parts = split_pairs(pairs, 0)
    assert split_pairs(pairs, 0) == parts
    assert split_pairs(pairs, 1) != parts
    assert sorted((*parts.train, *parts.valid, *parts.test)) == list(range(300))
    assert (len(parts.valid), len(parts.test)) == (30, 30)
    small = split_pairs(pairs_of(40), 0)
    assert len(small.test) == 10


def test_inputs_that_are_nearly_the_same_are_on_one_side() -> None:
    inputs = tuple(
        text
        for i in range(40)
        for text in (f"Tell me all about the history of town {i}.", f"tell me ALL about the history of town {i}!")
    )
    pairs = Pairs(inputs, tuple(f"Answer {i}." for i in range(80)), tuple(range(2, 82)), ())
    parts = split_pairs(pairs, 0)
    for side in (parts.train, parts.valid, parts.test):
        assert all(i ^ 1 in side for i in side)


@pytest.mark.parametrize("chat", [True, False])
def test_a_row_is_what_the_chat_asks_then_the_answer_and_its_end(tmp_path: Path, chat: bool) -> None:
    folder = tiny_causal(tmp_path / "tiny", chat=chat)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = Tokens(tokenizer, catalog_entry(folder, "causal", "llama"))
    row = encoded(tokens, pairs_of(1), [0], 200)[0]
    assert tuple(row.ids[: row.start]) == tokens.ids((Turn("user", "How much is 0 plus 0, please?"),))
    assert tokenizer.decode(row.ids[row.start : -1]).strip() == "It is 0."
    assert tokenizer.decode(row.ids[-1:]) == ("<|im_end|>" if chat else tokenizer.eos_token)
    assert encoded(tokens, pairs_of(1), [0], len(row.ids) - 1) == {}


def test_every_sample_can_teach_and_auto_takes_a_base_that_reads_it() -> None:
    found = {goal: order_for(SAMPLES[goal], LessonOrder(goal=goal)) for goal in GOALS}
    assert (found["answer"].text, found["answer"].label) == ("question", "answer")
    assert {found[goal].base for goal in ("answer", "rewrite")} == {WRITER}


def test_other_languages_get_a_base_that_knows_them(tmp_path: Path) -> None:
    rows = [(f"Wie spät ist es um {i} Uhr in der Stadt?", f"Es ist jetzt genau {i} Uhr.") for i in range(24)]
    table_of(tmp_path / "de.csv", rows)
    assert order_for(tmp_path / "de.csv", LessonOrder(goal="answer")).base == MANY_LANGUAGES


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"effort": "much"}, "`much`"),
        ({"goal": "sing"}, "`sing`"),
        ({"goal": "answer", "settings": {"rnak": 4}}, "`rnak`"),
        ({"goal": "answer", "settings": {"rank": 4.5}}, "`settings.rank` is 4.5"),
        ({"goal": "answer", "settings": {"rank": "8"}}, "`settings.rank` is '8'"),
    ],
)
def test_a_wish_that_there_is_not_is_named(tmp_path: Path, wish: dict[str, object], said: str) -> None:
    table_of(tmp_path / "a.csv", many(30))
    with pytest.raises(BadInput, match=said):
        order_for(tmp_path / "a.csv", LessonOrder(**wish))


def test_the_doctor_looks_at_answers_too() -> None:
    rows = [Row(i + 2, text, answer) for i, (text, answer) in enumerate(many(30))]
    rows += [Row(40, "Where can I write to?", "Write to ada@example.org."), Row(41, "Long?", "word " * 600)]
    rows += [Row(42, "Blank?", ""), Row(43, rows[0].text, rows[0].label)]
    found = {each.code: each for each in examine_pairs(rows, lambda texts: [len(t.split()) for t in texts], 512)}
    assert {code: each.rows for code, each in found.items() if code != "nearly"} == {
        "blank_pair": (42,),
        "repeated": (43,),
        "personal_email": (40,),
        "long_pair": (41,),
    }
    assert found["personal_email"].fix.labels == ((40, "Write to [email]."),)
