"""Tables of inputs and answers: what can be learned from, on which side of the split, and as which tokens."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import transformers

from llmapp.backend.engine import Turn
from llmapp.backend.tokens import Tokens
from llmapp.errors import BadInput
from llmapp.finetune.dataset import Table, read_table
from llmapp.finetune.doctor import Row, examine_pairs
from llmapp.finetune.edits import Edits
from llmapp.finetune.goals import GOALS, MANY_LANGUAGES, WRITER
from llmapp.finetune.order import LessonOrder, order_for
from llmapp.finetune.pairs import Pairs, encoded, guess_pair, pair_up, split_pairs
from llmapp.tasks.watch import read_order
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
    assert (guess_pair(table).text, guess_pair(table).label) == guessed


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


INPUTS = [f"Put word number {i} into a sentence." for i in range(30)]


@pytest.mark.parametrize(
    ("head", "second", "system"),
    [
        (("instruction", "input", "output"), "input", ""),
        (("input", "instruction", "output"), "input", ""),
        (("system", "prompt", "response"), "", "system"),
        (("System Prompt", "question", "context", "answer"), "context", "System Prompt"),
        (("指令", "输入", "输出"), "输入", ""),
        (("title", "body", "summary"), "body", ""),
        (("question", "notes", "answer"), "", ""),
        (("system", "answer"), "", ""),
    ],
)
def test_a_second_input_and_the_system_are_guessed_by_name(
    tmp_path: Path, head: tuple[str, ...], second: str, system: str
) -> None:
    table = table_of(tmp_path / "a.csv", [tuple(f"{name} cell" for name in head)] * 3, head)
    found = guess_pair(table)
    assert (found.second, found.system) == (second, system)
    assert len({found.text, found.label, found.second, found.system} - {""}) == 2 + bool(second) + bool(system)


def test_two_inputs_are_one_text_and_the_system_is_what_the_chat_would_say(tmp_path: Path) -> None:
    rows = [
        (text, f"word {i}" if i else "", f"Done: {i}.", "Be short." if i % 2 else "") for i, text in enumerate(INPUTS)
    ]
    table_of(tmp_path / "a.csv", rows, ("instruction", "input", "output", "system"))
    order = order_for(tmp_path / "a.csv", LessonOrder(goal="answer"))
    assert (order.text, order.second, order.label, order.system) == ("instruction", "input", "output", "system")
    pairs = order.pairs(tmp_path / "a.csv")
    assert pairs.inputs[:2] == (INPUTS[0], f"{INPUTS[1]}\n\nword 1")
    model = replace(catalog_entry(tmp_path, "causal", "llama"), system="As usual.")
    assert pairs.asked(model, 0) == (Turn("system", "As usual."), Turn("user", INPUTS[0]))
    assert pairs.asked(model, 1) == (Turn("system", "Be short."), Turn("user", f"{INPUTS[1]}\n\nword 1"))
    assert pairs.system == ""  # not always the same
    named = order_for(tmp_path / "a.csv", LessonOrder(goal="answer", text="instruction"))
    assert (named.second, named.system) == ("", "")  # who names the text names the rest


def test_edits_are_made_to_the_text_that_is_learned(tmp_path: Path) -> None:
    rows = [(text, f"Write to a{i}@example.org", f"Done: {i}.") for i, text in enumerate(INPUTS)]
    table = table_of(tmp_path / "a.csv", rows, ("title", "body", "answer"))
    edits = Edits(texts=((2, f"{INPUTS[0]}\n\nWrite to [email]"),))
    order = LessonOrder(text="title", label="answer", second="body", goal="answer", edits=edits)
    assert order.pairs_of(table).inputs[:2] == (
        f"{INPUTS[0]}\n\nWrite to [email]",
        f"{INPUTS[1]}\n\nWrite to a1@example.org",
    )


def test_an_order_of_before_reads_its_table_as_before(tmp_path: Path) -> None:
    rows = [(text, f"word {i}", f"Done: {i}.", "Be short.") for i, text in enumerate(INPUTS)]
    table_of(tmp_path / "a.csv", rows, ("instruction", "input", "output", "system"))
    spec = {"base": "x", "text": "instruction", "label": "output", "goal": "answer", "effort": "quick", "name": "n"}
    pairs = read_order(LessonOrder, spec).pairs(tmp_path / "a.csv")
    assert (pairs.inputs[1], pairs.systems) == (INPUTS[1], ())


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"second": "output"}, "table_same_column"),
        ({"system": "instruction", "second": "instruction"}, "table_same_column"),
        ({"second": "owl"}, "table_no_column"),
        ({"system": "owl"}, "table_no_column"),
        ({"goal": "sort", "system": "system"}, "training_system"),
    ],
)
def test_columns_that_can_not_be_taken_are_named(tmp_path: Path, wish: dict[str, Any], code: str) -> None:
    rows = [(text, f"word {i}", f"Done: {i}.", "Be short.") for i, text in enumerate(INPUTS)]
    table_of(tmp_path / "a.csv", rows, ("instruction", "input", "output", "system"))
    with pytest.raises(BadInput) as caught:
        order_for(
            tmp_path / "a.csv", LessonOrder(**{"goal": "answer", "text": "instruction", "label": "output", **wish})
        )
    assert caught.value.code == code
