"""JSON in its usual forms, conversations and zipped folders become tables; what is wrong in them is named."""

from __future__ import annotations

import json
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llmapp.errors import BadInput
from llmapp.finetune.dataset import Columns, read_table
from llmapp.finetune.order import LessonOrder, order_for
from llmapp.finetune.pairs import guess_pair, pair_up

FLAT = [{"text": "good", "label": "yes"}, {"text": "bad", "label": 0, "note": None}]
ALPACA = [
    {"instruction": "Translate.", "input": "Haus", "output": "house"},
    {"instruction": "Greet.", "input": "", "output": "Hello!"},
]
MESSAGES = {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
                         {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "And?"},
                         {"role": "assistant", "content": "That was all."}]}  # fmt: skip
SHAREGPT = {"id": "1", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}]}


def written(path: Path, data: Any, lines: bool = False, mark: str = "") -> Path:
    text = "\n".join(json.dumps(each, ensure_ascii=False) for each in data) if lines else json.dumps(data, indent=1)
    path.write_text(mark + text, encoding="utf-8")
    return path


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize("name", ["rows.csv", "rows.json", "rows.jsonl"])
def test_records_are_found_whatever_the_file_is_called(tmp_path: Path, name: str, lines: bool) -> None:
    table = read_table(written(tmp_path / name, FLAT, lines, mark="\ufeff"))
    assert table.columns == ("text", "label", "note")
    assert table.rows == (("good", "yes", ""), ("bad", "0", ""))
    assert table.numbers == (1, 2)


def columnar(path: Path, records: list[Any]) -> Path:
    pq.write_table(pa.Table.from_pylist(records), path)
    return path


def test_parquet_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    rows = [
        {"text": "good", "score": 0.5, "day": date(2026, 11, 23), "ok": True, "price": Decimal("1.50")},
        {"text": "差", "score": float("nan"), "day": None, "ok": False, "price": None},
    ]
    for name in ("rows.parquet", "rows.csv"):
        table = read_table(columnar(tmp_path / name, rows))
        assert table.columns == ("text", "score", "day", "ok", "price")
        assert table.rows == (("good", "0.5", "2026-11-23", "true", "1.50"), ("差", "", "", "false", ""))
        assert table.numbers == (1, 2)


def test_parquet_holds_conversations_and_alpacas_form_too(tmp_path: Path) -> None:
    assert read_table(columnar(tmp_path / "a.parquet", ALPACA)).rows[0] == ("Translate.", "Haus", "house")
    assert read_table(columnar(tmp_path / "b.parquet", [MESSAGES])).rows[0][:2] == ("Hi", "Hello!")


def test_parquet_that_is_torn_nested_empty_or_unpacks_to_too_much_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = columnar(tmp_path / "a.parquet", [{"text": "good", "label": "yes"}] * 50).read_bytes()
    (tmp_path / "torn.parquet").write_bytes(whole[:-20])
    for bad, said in (
        (tmp_path / "torn.parquet", r"torn\.parquet"),
        (columnar(tmp_path / "nested.parquet", [{"text": "a", "label": ["b"]}]), "label"),
        (columnar(tmp_path / "empty.parquet", [{"text": "a"}][:0]), r"empty\.parquet"),
    ):
        with pytest.raises(BadInput, match=said):
            read_table(bad)
    monkeypatch.setattr("llmapp.finetune.records.MOST_UNPACKED", 10)
    with pytest.raises(BadInput, match=r"a\.parquet"):
        read_table(tmp_path / "a.parquet")


def test_a_list_inside_an_object_is_taken(tmp_path: Path) -> None:
    assert len(read_table(written(tmp_path / "a.json", {"version": 1, "data": FLAT})).rows) == 2


@pytest.mark.parametrize("columns", [{}, {"text": "instruction", "label": "output"}])
def test_alpacas_input_goes_below_its_instruction(tmp_path: Path, columns: dict[str, str]) -> None:
    """Also where only the columns of before are named, as in older jobs and scripts."""
    rows = [
        {"instruction": f"Say {i}.", "input": f"of {i}" if i % 2 else "", "output": f"It is {i}."} for i in range(30)
    ]
    path = written(tmp_path / "a.json", rows)
    assert guess_pair(read_table(path)) == Columns("instruction", "output", "input")
    order = order_for(path, LessonOrder(goal="answer", **columns))
    assert (order.text, order.second, order.label) == ("instruction", "input", "output")
    assert order.pairs(path).inputs[:2] == ("Say 0.", "Say 1.\n\nof 1")
    if columns:
        assert LessonOrder(goal="answer", **columns).pairs(path).inputs == order.pairs(path).inputs
    without = LessonOrder(goal="answer", text="instruction", label="output", second="")
    assert order_for(path, without).pairs(path).inputs[:2] == ("Say 0.", "Say 1.")


def test_alpacas_system_key_is_used(tmp_path: Path) -> None:
    rows = [{"instruction": f"Say {i}.", "input": "", "output": f"It is {i}.", "system": "Be kind."} for i in range(30)]
    order = order_for(path := written(tmp_path / "a.json", rows), LessonOrder(goal="answer"))
    assert (order.system, order.pairs(path).system) == ("system", "Be kind.")


@pytest.mark.parametrize(("record", "untaken"), [(MESSAGES, 30), (SHAREGPT, 0)])
def test_of_a_conversation_the_first_exchange_can_be_taken_and_the_rest_is_said(
    tmp_path: Path, record: dict[str, Any], untaken: int
) -> None:
    rows = [json.loads(json.dumps(record).replace('"Hi"', f'"Hi number {i}"')) for i in range(30)]
    for i, row in enumerate(rows):
        turns = next(value for value in row.values() if isinstance(value, list))
        turns[[turn.get("role", turn.get("from")) in ("assistant", "gpt") for turn in turns].index(True)][
            "content" if "role" in turns[0] else "value"
        ] = f"Hello {i}!"
    table = read_table(written(tmp_path / "a.jsonl", rows, lines=True))
    assert table.columns[:2] == ("question", "answer")
    assert table.rows[3][:2] == ("Hi number 3", "Hello 3!")
    assert table.untaken == untaken
    notes = [note.code for note in pair_up(table, "question", "answer").notes]
    assert notes == (["training.untaken"] if untaken else [])


def test_folders_of_a_zip_are_labels(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mail.zip", "w") as archive:
        archive.writestr("mail/spam/1.txt", "Buy now")
        archive.writestr("mail/ham/2.txt", "Grüße".encode("cp1252"))
        archive.writestr("__MACOSX/mail/._1.txt", b"\x00\x01")
        archive.writestr("mail/.DS_Store", b"\x00\x01")
    assert read_table(tmp_path / "mail.zip").rows == (("Buy now", "spam"), ("Grüße", "ham"))


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('{"a": 1}\n{"a": oh}', "table_json", "row 2"),
        ("[1, 2]", "table_record", "Row 1 is 1"),
        ('[{"a": "x", "b": [1]}]', "table_nested", "In row 1, `b`"),
        ('[{"messages": "hi"}]', "table_conversation", "In row 1"),
        ('[{"messages": [{"role": "owl", "content": "hu"}]}]', "table_conversation", "owl"),
        ("[]", "table_empty", "a.json"),
        ("[" * 100_000, "table_json", "row 1"),
        ('[{"only": "one"}]', "table_one_column", "a.json"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, code: str, said: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadInput, match=said) as caught:
        read_table(tmp_path / "a.json")
    assert caught.value.code == code


def test_a_zip_of_something_else_or_a_torn_one_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("picture.png", b"\x89PNG")
    with pytest.raises(BadInput, match=r"`picture.png` in `a.zip`"):
        read_table(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("spam/1.txt", "words " * 1000)
    data = bytearray((tmp_path / "b.zip").read_bytes())
    data[50:80] = b"?" * 30
    (tmp_path / "b.zip").write_bytes(data)
    with pytest.raises(BadInput, match="damaged"):
        read_table(tmp_path / "b.zip")


def test_a_table_that_begins_with_a_bracket_stays_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("[text],label\nhello,yes\n")
    assert read_table(tmp_path / "a.csv").columns == ("[text]", "label")
