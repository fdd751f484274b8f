"""A table judged row by row: every row kept, what is done outlives stops and kills, a bad row carries the reason."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmapp.backend.engine import ScoreRequest
from llmapp.bulk.judging import FIRST_ROWS, TABLE, judged, run
from llmapp.bulk.rows import DoneRows
from llmapp.errors import BadInput
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import read_settings
from llmapp.tasks.sentiment import classify
from tests.fake_engine import FakeEngine, written
from tests.jobs.conftest import end_workers

from .orders import OnePool, Order, until


def by_word(request: ScoreRequest) -> dict[str, float]:
    text = written(request.prompt)
    if "[unreadable]" in text:
        raise BadInput("text_empty")
    good = 0.9 if "good" in text else 0.2
    return {"positive": good, "negative": round(1 - good, 3)}


def engine() -> FakeEngine:
    return FakeEngine(judge=by_word, labels=("positive", "negative"))


def order(folder: Path, rows: list[str], stop_at: int = 10**9, header: str = "id,text,label") -> Order:
    table = folder / "upload"
    lines = "".join(f'{i},"{text}",theirs\n' for i, text in enumerate(rows))
    table.write_text(f"{header}\n{lines}", encoding="utf-8")
    todo = {"column": "text", "model": "fake", "labels": [], "language": "en"}
    return Order(folder, table, "opinions.csv", todo, stop_at)


def result(folder: Path) -> tuple[list[dict[str, str]], dict[str, Any]]:
    report = json.loads((folder / "result" / "report.json").read_text(encoding="utf-8"))
    with (folder / "result" / report["files"]["csv"]).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file)), report


def test_every_row_is_kept_with_two_columns_more(tmp_path: Path) -> None:
    work = order(tmp_path, ["good soup", "cold soup", "", "=good[unreadable]", "good soup"])
    pool = OnePool(engine())
    assert run(work, pool) == "done"
    rows, report = result(tmp_path)
    assert [row["text"] for row in rows] == ["good soup", "cold soup", "", "'=good[unreadable]", "good soup"]
    assert [row["label"] for row in rows] == ["theirs"] * 5
    assert [row["label (judged)"] for row in rows] == ["positive", "negative", "", "", "positive"]
    assert [row["score"] for row in rows] == ["0.9", "0.8", "", "", "0.9"]
    assert rows[2]["error"] == "The text of this row is blank."
    assert rows[3]["error"]
    assert (report["rows"], report["judged"], report["failed"]) == (5, 3, 2)
    assert report["labels"] == {"positive": 2, "negative": 1}
    assert [row["row"] for row in report["certain"]] == [2, 6, 3]
    assert report["made"]["model"] == "fake"
    assert report["made"]["settings"] == {"column": "text", "labels": []}
    assert report["files"] == {"csv": "opinions judged.csv", "xlsx": "opinions judged.xlsx"}
    assert (tmp_path / "result" / "opinions judged.xlsx").stat().st_size > 0
    assert pool.loans == [("fake", "ada")]
    assert work.phases == ["preflight", "loading", "judging", "saving"]


def test_where_several_labels_may_fit_each_has_its_column(tmp_path: Path) -> None:
    """The encoder's vectors are counts of letters: what shares letters with a label's description is near to it."""
    work = order(tmp_path, ["soup soup soup", "train train", ""], header="train,text,label")
    work.todo = {**work.todo, "labels": ["soup", "train"], "multi_label": True, "truth": "label", "group": "label"}
    engine = FakeEngine.of(kind="encoder")
    assert run(work, OnePool(engine)) == "done"
    rows, report = result(tmp_path)
    assert list(rows[0]) == ["train", "text", "label", "label (judged)", "score", "soup", "train (judged)", "error"]
    for row, text in zip(rows[:2], ("soup soup soup", "train train"), strict=True):
        (alone,) = classify(engine, [text], ["soup", "train"], multi_label=True)
        assert float(row["soup"]) == pytest.approx(alone.scores["soup"], abs=1e-5)
        assert float(row["train (judged)"]) == pytest.approx(alone.scores["train"], abs=1e-5)
        assert row["label (judged)"] == max(alone.scores, key=alone.scores.__getitem__)
    assert (rows[2]["soup"], rows[2]["train (judged)"]) == ("", "")
    fits = {
        name: sum(float(row[column]) >= 0.5 for row in rows[:2])
        for name, column in (("soup", "soup"), ("train", "train (judged)"))
    }
    assert report["fits"] == fits


def test_equal_texts_are_judged_once() -> None:
    asked = engine()
    assert [row["label"] for row in judged(asked, ["good", "bad", "good", "good"])] == [
        "positive", "negative", "positive", "positive",
    ]  # fmt: skip
    assert len(asked.scored) == 2


def test_stopped_it_gives_what_it_has_and_goes_on_from_there(tmp_path: Path) -> None:
    texts = [f"good number {i}" for i in range(20 * FIRST_ROWS)]
    first = engine()
    assert run(order(tmp_path, texts, stop_at=FIRST_ROWS), OnePool(first)) == "stopped"
    rows, report = result(tmp_path)
    done = len(first.scored)
    assert FIRST_ROWS <= done < len(texts)
    assert [bool(row["label (judged)"]) for row in rows] == [True] * done + [False] * (len(texts) - done)
    assert (report["rows"], report["judged"]) == (len(texts), done)
    second = engine()
    assert run(order(tmp_path, texts), OnePool(second)) == "done"
    assert len(second.scored) == len(texts) - done
    assert all(row["label (judged)"] == "positive" for row in result(tmp_path)[0])


def test_a_column_that_is_not_there_is_said_before_a_model_is_loaded(tmp_path: Path) -> None:
    work = order(tmp_path, ["good"], header="id,words,label")
    pool = OnePool(engine())
    with pytest.raises(BadInput, match="words"):
        run(work, pool)
    assert pool.loans == []


def test_what_a_crash_tore_off_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    DoneRows(path).add([{"label": "a"}, {"label": "b"}])
    with path.open("ab") as file:
        file.write(b'{"label": "c"}')
    again = DoneRows(path)
    assert again.rows == [{"label": "a"}, {"label": "b"}]
    again.add([{"label": "d"}])
    assert [row["label"] for row in DoneRows(path).rows] == ["a", "b", "d"]


# ---- the real thing: the packaged encoder with its shipped adapter, in a worker that is killed ----


@pytest.fixture
def supervisor(data_dir_with: Callable[..., Path]) -> Iterator[Supervisor]:
    data = data_dir_with("all-minilm-l6-v2")
    root = data / "jobs"
    yield Supervisor(root, read_settings(["--data-dir", str(data), "--offline"], {}))
    end_workers(root)


def test_killed_in_the_middle_it_goes_on_and_no_row_is_lost(supervisor: Supervisor, tmp_path: Path) -> None:
    table = tmp_path / "opinions.csv"
    texts = [f"{'A wonderful' if i % 2 else 'An awful'} film, number {i}, seen with my family." for i in range(3000)]
    table.write_text("text\n" + "".join(f'"{text}"\n' for text in texts), encoding="utf-8")
    todo = {"name": "t", "column": "text", "labels": [], "model": "sentiment-en", "language": "en"}
    job = supervisor.start("judge_table", "ada", todo, {TABLE: table})
    running = until(supervisor, job, 120, lambda status: status.phase == "judging" and status.step > 0)
    assert running.pid
    os.kill(running.pid, signal.SIGKILL)
    assert until(supervisor, job, 120, lambda status: status.state != "running").state == "interrupted"
    before = len(DoneRows(supervisor.result_path(job, "ada").parent / "checkpoints" / "rows.jsonl").rows)
    assert 0 < before < len(texts)
    supervisor.resume(job, "ada")
    assert until(supervisor, job, 120, lambda status: status.state in ("done", "failed")).state == "done"
    rows, report = result(supervisor.result_path(job, "ada").parent)
    assert [row["text"] for row in rows] == texts
    assert all(row["score"] for row in rows)
    assert report["judged"] == len(texts)
    right = sum(row["label"] == ("positive" if i % 2 else "negative") for i, row in enumerate(rows))
    assert right / len(rows) > 0.95
