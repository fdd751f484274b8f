"""A judged table beside its own labels: figures worked out by hand, the rows behind a number, labels mapped later."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llmapp.bulk.judging import run
from llmapp.bulk.truth import CUT, cell_rows, remap
from llmapp.errors import BadInput

from .orders import OnePool, Order
from .test_judging import engine

ROWS = (
    *[("good soup", "pos"), ("good bread", "pos"), ("good but slow", "NEG"), ("cold soup", "NEG")],
    *[("late train", "pos"), ("good enough", "meh"), ("", "pos"), ("good, no label", "")],
)


def judge(folder: Path, rows: tuple[tuple[str, str], ...] = ROWS, **todo: Any) -> dict[str, Any]:
    table = folder / "upload"
    table.write_text("id,text,label\n" + "".join(f'{i},"{t}",{y}\n' for i, (t, y) in enumerate(rows)), "utf-8")
    asked = {"column": "text", "model": "fake", "labels": [], "language": "en", "truth": "label", **todo}
    assert run(Order(folder, table, "opinions.csv", asked), OnePool(engine())) == "done"
    return report(folder)


def report(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "result" / "report.json").read_text(encoding="utf-8")))


def test_the_figures_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    """Known rows: pos/pos 2, pos/neg 1, neg/pos 1, neg/neg 1; "meh" is no label of the model, two cells are blank."""
    found = judge(tmp_path)["truth"]
    assert found["means"] == {"pos": "positive", "NEG": "negative", "meh": ""}
    assert (found["answers"], found["others"]) == (["positive", "negative"], ["meh"])
    assert found["confusion"] == [[2, 1], [1, 1], [1, 0]]
    assert found["rows"] == 5
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["by_label"]["positive"]["f1"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_the_rows_of_each_number_are_there(tmp_path: Path) -> None:
    found = judge(tmp_path)["truth"]
    names = (*found["answers"], *found["others"])
    for i, truth in enumerate(names):
        for j, answer in enumerate(found["answers"]):
            rows = list(cell_rows(tmp_path / "result", found["means"], truth, answer))
            assert len(rows) == found["confusion"][i][j]
    (wrong,) = cell_rows(tmp_path / "result", found["means"], "negative", "positive")
    assert (wrong.row, wrong.text, wrong.truth, wrong.label, wrong.score) == (
        4,
        "good but slow",
        "NEG",
        "positive",
        0.9,
    )


def test_a_label_is_mapped_afterwards_and_taken_back(tmp_path: Path) -> None:
    before = judge(tmp_path)
    remap(tmp_path / "result", "meh", "negative")
    after = report(tmp_path)
    assert after["truth"]["others"] == []
    assert after["truth"]["confusion"] == [[2, 1], [2, 1]]
    assert after["truth"]["accuracy"] == pytest.approx(3 / 6)
    assert [row.text for row in cell_rows(tmp_path / "result", after["truth"]["means"], "negative", "positive")] == [
        "good but slow",
        "good enough",
    ]
    remap(tmp_path / "result", "meh", "")
    assert report(tmp_path) == before


def test_what_is_not_there_is_not_mapped(tmp_path: Path) -> None:
    judge(tmp_path)
    for value, label in (("maybe", "positive"), ("meh", "wonderful")):
        with pytest.raises(BadInput, match=value):
            remap(tmp_path / "result", value, label)


def test_labels_that_all_mean_nothing_here_give_rows_and_no_figures(tmp_path: Path) -> None:
    found = judge(tmp_path, (("good soup", "praise"), ("cold soup", "praise")))["truth"]
    assert found["rows"] == 0
    assert "accuracy" not in found
    assert found["confusion"] == [[0, 0], [0, 0], [1, 1]]


def test_a_long_text_is_cut_where_it_is_shown_only(tmp_path: Path) -> None:
    text = "good " * CUT
    judge(tmp_path, ((text.strip(), "pos"), ("cold", "neg")))
    (row,) = cell_rows(tmp_path / "result", {"pos": "positive"}, "positive", "positive")
    assert len(row.text) == CUT
    assert (tmp_path / "result" / "opinions judged.csv").stat().st_size > len(text) - 10


@pytest.mark.parametrize(("truth", "code"), [("text", "table_same_column"), ("id", "table_many_labels")])
def test_a_column_that_can_not_hold_labels_is_said_before_a_model_is_loaded(
    tmp_path: Path, truth: str, code: str
) -> None:
    with pytest.raises(BadInput) as problem:
        judge(tmp_path, tuple((f"good {i}", "pos") for i in range(200)), truth=truth)
    assert problem.value.code == code


def test_an_order_of_before_has_no_true_labels(tmp_path: Path) -> None:
    assert "truth" not in judge(tmp_path, truth="")


def test_labels_mapped_at_once_are_all_kept(tmp_path: Path) -> None:
    judge(tmp_path)
    wishes = [("meh", "negative"), ("pos", "positive"), ("NEG", "")] * 20
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda wish: remap(tmp_path / "result", *wish), wishes))
    assert report(tmp_path)["truth"]["means"] == {"meh": "negative", "pos": "positive", "NEG": ""}
