"""Two trainings beside each other: the same rows are judged, other rows are said to be other."""

from __future__ import annotations

from typing import Any

from llmapp.ui.lesson_compare import Run, beside

SETTINGS = {"rank": 8, "learning_rate": 0.001}


def run(name: str, right: int, rows: int = 20, sha256: str = "a", **report: Any) -> Run:
    """A training that was right on the first so many of its rows."""
    tested = [{"row": n, "label": "good", "answer": "good" if n < right else "bad"} for n in range(rows)]
    score = {"accuracy": right / rows, "macro_f1": right / rows}
    made = {"before": {"accuracy": 0.5, "macro_f1": 0.3}, "after": score, "settings": SETTINGS, "base": "tiny"}
    facts = {"train_rows": 80, "test_rows": rows, "steps": 60, "precision": "fp32", "sha256": sha256}
    points = [{"kind": "point", "series": "loss", "step": step, "loss": 1 / (step + right)} for step in (1, 2, 3)]
    return Run(name, {**made, **facts, **report}, points, tested)


def test_on_the_same_rows_it_is_said_which_is_better_and_whether_that_is_luck() -> None:
    drawn = beside(run("new", 18), run("old", 6), "en")
    assert "On the same 20 rows this one is right on 18, the other on 6." in drawn
    assert "That is a real difference (p = 0.00049)." in drawn
    assert "That could be luck (p = 1)." in beside(run("new", 18), run("old", 17), "en")


def test_other_rows_or_another_table_are_not_compared() -> None:
    for other in (run("old", 6, rows=10), run("old", 6, sha256="b")):
        assert "not tested on the same rows" in beside(run("new", 18), other, "en")


def test_what_differs_is_marked_and_what_a_training_has_not_is_a_dash() -> None:
    other = run("old", 18, settings={"rank": 4, "learning_rate": 0.001}, after={"chrf": 50.0}, before={"chrf": 21.0})
    drawn = beside(run("<new>", 18), other, "en")
    assert "<tr class='differs'><th scope='row'>LoRA rank</th><td>8</td><td>4</td></tr>" in drawn
    assert "<tr><th scope='row'>Learning rate</th><td>0.001</td><td>0.001</td></tr>" in drawn
    assert "<td>50.0% → 90.0%</td><td>–</td>" in drawn
    assert "<td>–</td><td>21.0 → 50.0</td>" in drawn
    assert "&lt;new&gt;" in drawn
    assert "<new>" not in drawn


def test_both_curves_are_drawn_over_each_other_with_their_names() -> None:
    drawn = beside(run("new", 18), run("old", 6), "en")
    assert drawn.count("<polyline") == 2
    assert "<b class='line-1'></b>old: 0.14 → 0.11" in drawn
