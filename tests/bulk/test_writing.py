"""A document summarized or translated: what was written outlives stops and kills, and is not written twice."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmapp.backend.engine import Request, Sampling
from llmapp.bulk.memo import Memo
from llmapp.bulk.rows import DoneRows
from llmapp.bulk.writing import DOCUMENT, summarize_document, translate_document
from llmapp.errors import BadInput
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import read_settings
from tests.fake_engine import FakeEngine, written
from tests.jobs.conftest import end_workers

from .orders import OnePool, Order, until

PARAGRAPHS = 60
BOOK = "\n\n".join(
    f"Chapter {i}. The keeper climbed the {i} steps of the tower. " + "He lit the lamp and wrote the log. " * 8
    for i in range(PARAGRAPHS)
)
LETTER = "Good morning.\n\n  The train is late.\nThank you, see you on Monday.\n"
SUMMARY = {"length": "short", "form": "paragraph", "focus": "", "language": ""}


def order(folder: Path, text: str, options: dict[str, Any], stop_at: int = 10**9, name: str = "book.md") -> Order:
    given = folder / "document"
    given.write_text(text, encoding="utf-8", newline="")
    return Order(folder, given, name, {"model": "fake", "options": options, "language": "en"}, stop_at)


def result(folder: Path) -> tuple[str, dict[str, Any]]:
    report = json.loads((folder / "result" / "report.json").read_text(encoding="utf-8"))
    made = report["files"].get("text")
    return (folder / "result" / made).read_text(encoding="utf-8") if made else "", report


def shortened(request: Request) -> str:
    """A summary of a part: how it begins, so that each is told from the others."""
    words = written(request.prompt).partition("\n\n")[2].split()
    return " ".join(words[:11]) + "."


def shouted(request: Request) -> str:
    return written(request.prompt).rpartition("\n\n")[2].upper()


def test_a_book_is_summarized_part_by_part(tmp_path: Path) -> None:
    work, pool = order(tmp_path, BOOK, SUMMARY), OnePool(FakeEngine(answer=shortened))
    assert summarize_document(work, pool) == "done"
    text, report = result(tmp_path)
    assert text.startswith(report["summary"] + "\n\n1. Chapter 0.")
    assert len(report["outline"]) > 3
    assert all(f"{number}. {part}" in text for number, part in enumerate(report["outline"], start=1))
    assert report["words_read"] == report["words_total"] == len(BOOK.split())
    assert report["files"] == {"text": "book summary.txt"}
    assert report["made"]["model"] == "fake"
    assert report["made"]["settings"] == SUMMARY
    assert pool.loans == [("fake", "ada")]
    assert work.phases == ["preflight", "loading", "summarizing", "saving"]


def test_stopped_it_gives_the_parts_it_has_and_reads_none_of_them_again(tmp_path: Path) -> None:
    first, second, whole = (FakeEngine(answer=shortened) for _ in range(3))
    assert summarize_document(order(tmp_path, BOOK, SUMMARY, stop_at=2), OnePool(first)) == "stopped"
    text, report = result(tmp_path)
    assert report["summary"] == ""
    assert len(report["outline"]) == 2
    assert text.startswith("1. Chapter 0.")
    assert 0 < report["words_read"] < report["words_total"]
    assert summarize_document(order(tmp_path, BOOK, SUMMARY), OnePool(second)) == "done"
    (tmp_path / "whole").mkdir()
    assert summarize_document(order(tmp_path / "whole", BOOK, SUMMARY), OnePool(whole)) == "done"
    assert len(second.asked) == len(whole.asked) - 2
    assert result(tmp_path) == result(tmp_path / "whole")


def test_stopped_before_anything_was_written_it_gives_no_file(tmp_path: Path) -> None:
    assert summarize_document(order(tmp_path, BOOK, SUMMARY, stop_at=0), OnePool(FakeEngine())) == "stopped"
    assert result(tmp_path)[1]["files"] == {}


def taking(folder: Path, model: str, **more: Any) -> Order:
    work = order(folder, BOOK, SUMMARY)
    work.todo = {**work.todo, "model": model, "taken": True, "encoder": "", **more}
    return work


@pytest.mark.parametrize(("model", "loans"), [("", []), ("fake", [("fake", "ada")])])
def test_sentences_are_taken_from_a_document(tmp_path: Path, model: str, loans: list[tuple[str, str]]) -> None:
    pool = OnePool(FakeEngine.of(kind="encoder"))
    assert summarize_document(taking(tmp_path, model, why="So it is."), pool) == "done"
    text, report = result(tmp_path)
    assert pool.loans == loans
    assert text == report["summary"]
    assert report["notes"][0] == "So it is."
    assert report["words_read"] == report["words_total"]
    assert [receipt["sentence"] for receipt in report["receipts"]] == [
        receipt["sources"][0]["text"] for receipt in report["receipts"]
    ]
    assert all(receipt["sentence"] in BOOK for receipt in report["receipts"])


def test_what_was_written_of_a_document_has_receipts(tmp_path: Path) -> None:
    engine = FakeEngine(answer=lambda request: "The keeper climbed the 7 steps of the tower. He met 4711 Martians.")
    work, pool = order(tmp_path, BOOK, SUMMARY), OnePool(engine)
    work.todo = {**work.todo, "encoder": "fake"}
    assert summarize_document(work, pool) == "done"
    report = result(tmp_path)[1]
    right, wrong = report["receipts"]
    assert right["sources"]
    assert right["missing"] == []
    assert wrong["missing"] == ["4711", "Martians"]
    assert pool.loans == [("fake", "ada")] * 2


def test_a_document_is_translated_with_its_lines(tmp_path: Path) -> None:
    work = order(tmp_path, LETTER, {"target": "de", "source": "en"}, name="letter.txt")
    assert translate_document(work, OnePool(FakeEngine(answer=shouted))) == "done"
    text, report = result(tmp_path)
    assert text == LETTER.upper()
    assert report["files"] == {"text": "letter (de).txt"}
    assert (report["source"], report["target"], report["sentences"], report["total"]) == ("en", "de", 3, 3)
    assert report["beginning"] == text.rstrip()
    assert report["whole"]


def test_a_file_comes_back_in_its_format(tmp_path: Path) -> None:
    table = 'id;text\r\n1;"Good morning; the train is late."\r\n2;See you on Monday.\r\n'
    options: dict[str, Any] = {"target": "de", "source": "en", "columns": ["text"]}
    work = order(tmp_path, table, options, name="letter.csv")
    assert translate_document(work, OnePool(FakeEngine(answer=shouted))) == "done"
    report = result(tmp_path)[1]
    assert report["files"] == {"text": "letter (de).csv"}
    made = (tmp_path / "result" / "letter (de).csv").read_bytes().decode()
    assert made == table.replace("Good morning; the train is late.", "GOOD MORNING; THE TRAIN IS LATE.").replace(
        "See you on Monday.", "SEE YOU ON MONDAY."
    )
    assert report["beginning"] == "GOOD MORNING; THE TRAIN IS LATE.\nSEE YOU ON MONDAY."


def test_marks_of_markdown_do_not_reach_a_summary(tmp_path: Path) -> None:
    engine = FakeEngine(answer=shortened)
    text = "## The *old* lighthouse\n\n" + "- It was [built](x.html) in 1887. It is white.\n" * 30
    assert summarize_document(order(tmp_path, text, SUMMARY), OnePool(engine)) == "done"
    asked = "".join(written(request.prompt) for request in engine.asked)
    assert "The old lighthouse" in asked
    assert "It was built in 1887." in asked
    assert not set("#*[") & set(asked)


def test_a_translation_that_was_stopped_goes_on(tmp_path: Path) -> None:
    text = "".join(f"This is sentence {i} of the long letter.\n" for i in range(100))
    options = {"target": "de", "source": "en"}
    first, second = FakeEngine(answer=shouted), FakeEngine(answer=shouted)
    assert translate_document(order(tmp_path, text, options, 40, "letter.txt"), OnePool(first)) == "stopped"
    half, report = result(tmp_path)
    done = report["sentences"]
    assert 0 < done < report["total"] == 100
    lines = text.splitlines(keepends=True)
    translated = [line.isupper() for line in half.splitlines()]
    assert translated == [True] * sum(translated) + [False] * (100 - sum(translated))
    assert 0 < sum(translated) <= done
    assert half == "".join(line.upper() if new else line for line, new in zip(lines, translated, strict=True))
    assert translate_document(order(tmp_path, text, options, name="letter.txt"), OnePool(second)) == "done"
    assert result(tmp_path)[0] == text.upper()
    assert len(first.asked) + len(second.asked) == 100


def test_a_document_goes_by_way_of_english_and_each_step_once(tmp_path: Path) -> None:
    to_english = FakeEngine.of(shouted, kind="seq2seq", chat=False, family="marian", languages=("fr", "en"))
    onward = FakeEngine.of(lambda request: f"<{request.prompt}>", kind="seq2seq", languages=("en", "de"))
    letter = "Bonjour.\n\n  Le train est en retard.\n"
    work = order(tmp_path, letter, {"target": "de", "source": "fr"}, name="letter.txt")
    work.todo = {**work.todo, "onward": "second"}
    for _ in range(2):
        assert translate_document(work, OnePool(to_english, {"second": onward})) == "done"
    text, report = result(tmp_path)
    assert text == "<BONJOUR.>\n\n  <LE TRAIN EST EN RETARD.>\n"
    assert any("English" in note for note in report["notes"])
    assert (len(to_english.asked), len(onward.asked)) == (2, 2)


def test_a_document_that_can_not_be_read_is_called_by_its_own_name(tmp_path: Path) -> None:
    pool = OnePool(FakeEngine())
    with pytest.raises(BadInput, match=r"mine\.pdf"):
        summarize_document(order(tmp_path, "not a PDF", SUMMARY, name="mine.pdf"), pool)
    assert pool.loans == []


# ---- the memory of an engine ----


def ask(engine: Memo, prompt: str) -> str:
    return "".join(piece.text for piece in engine.stream(Request(prompt, Sampling(temperature=0))))


def test_what_was_written_is_not_written_again(tmp_path: Path) -> None:
    below = FakeEngine()
    requests = [Request(f"word {i}") for i in range(5)]
    memo = Memo(below, tmp_path / "answers.jsonl")
    answers = memo.generate_batch([*requests[:3], requests[0]])
    streamed = ask(memo, "one two three")
    again = Memo(below, tmp_path / "answers.jsonl")
    assert again.generate_batch(requests)[:3] == answers[:3]
    assert ask(again, "one two three") == streamed
    assert below.batches == [3, 2]
    assert len(below.asked) == 6


def test_another_models_answers_are_not_taken(tmp_path: Path) -> None:
    ask(Memo(FakeEngine(), tmp_path / "answers.jsonl"), "one two")
    other = FakeEngine.of(id="other")
    ask(Memo(other, tmp_path / "answers.jsonl"), "one two")
    assert len(other.asked) == 1


def test_an_answer_is_kept_as_it_ends_and_not_before(tmp_path: Path) -> None:
    below = FakeEngine()
    path = tmp_path / "answers.jsonl"
    requests = [
        Request("one"),
        Request("one two three four"),
        Request("five four three two one", enough=lambda text: "four" in text),
    ]
    stream = Memo(below, path).stream_batch(requests)
    for kept, ended in enumerate((0, 2), start=1):
        while (piece := next(stream)) and (piece[0], bool(piece[1].finish)) != (ended, True):
            pass
        assert len(DoneRows(path).rows) == kept
    stream.close()
    assert (below.closed_early, below.ended_early) == (1, 1)
    assert [row["text"] for row in DoneRows(path).rows][1] == "five four"
    again = FakeEngine()
    assert [row for row, piece in Memo(again, path).stream_batch(requests) if piece.finish] == [0, 2, 1]
    assert again.streamed == [1]


# ---- the real thing: the packaged chat model in a worker that is killed ----


@pytest.fixture
def supervisor(data_dir_with: Callable[..., Path]) -> Iterator[Supervisor]:
    data = data_dir_with("smollm2-135m-instruct")
    root = data / "jobs"
    yield Supervisor(root, read_settings(["--data-dir", str(data), "--offline"], {}))
    end_workers(root)


@pytest.mark.timeout(600)
def test_killed_in_the_middle_of_a_summary_it_goes_on(supervisor: Supervisor, tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text(BOOK[:12_000], encoding="utf-8")
    options = {**SUMMARY, "length": "sentence"}
    todo = {"name": "t", "model": "smollm2-135m-instruct", "options": options, "language": "en"}
    job = supervisor.start("summarize_file", "ada", todo, {DOCUMENT: book})
    running = until(supervisor, job, 300, lambda status: status.phase == "summarizing" and status.step > 0)
    assert running.pid
    os.kill(running.pid, signal.SIGKILL)
    assert until(supervisor, job, 300, lambda status: status.state != "running").state == "interrupted"
    answers = supervisor.result_path(job, "ada").parent / "checkpoints" / "answers.jsonl"
    before = DoneRows(answers).rows
    assert before
    supervisor.resume(job, "ada")
    assert until(supervisor, job, 300, lambda status: status.state in ("done", "failed")).state == "done"
    assert DoneRows(answers).rows[: len(before)] == before
    text, report = result(supervisor.result_path(job, "ada").parent)
    assert report["words_read"] == report["words_total"]
    assert len(report["outline"]) > 1
    assert report["summary"]
    assert text.startswith(report["summary"])
