"""The folder's protocol: what a reader sees whatever a crash left behind."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from llmapp.errors import BadInput, Busy
from llmapp.jobs.job import JobFolder, JobSpec, new_status, pack, unpack, write_json
from llmapp.jobs.work import Work
from llmapp.messages import message


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    spec = JobSpec("one", "count", "ada", 5.0, {"steps": 3})
    write_json(tmp_path / "spec.json", asdict(spec))
    write_json(tmp_path / "status.json", asdict(new_status(spec)))
    return JobFolder(tmp_path)


def test_events_are_numbered_and_read_from_where_the_reader_was(folder: JobFolder) -> None:
    with folder.held() as held:
        for step in range(4):
            held.event("point", data={"step": step})
    assert [event["seq"] for event in folder.events()] == [1, 2, 3, 4]
    assert [event["step"] for event in folder.events(after=2)] == [2, 3]
    assert folder.events(after=4) == []


@pytest.mark.faults
@pytest.mark.parametrize("torn", [b'{"seq": 3, "ti', b"\x00\x00\x00", b'{"seq": 3}\n[1]\n"x"', b'{"seq": 3,\xff'])
def test_a_torn_last_line_is_left_out_and_the_next_event_is_whole(folder: JobFolder, torn: bytes) -> None:
    with folder.held() as held:
        held.event("point")
        held.event("point")
    with (folder.path / "events.jsonl").open("ab") as file:
        file.write(torn)
    before = folder.last_seq()
    with folder.held() as held:
        held.event("say", message("settings.port"))
    assert [event["seq"] for event in folder.events()] == [*range(1, before + 1), before + 1]
    assert folder.events()[-1]["code"] == "settings.port"


def test_a_message_keeps_its_words_in_every_language() -> None:
    inner = message("settings.port")
    words = message("error.setting_choice", name="x", value=inner, choices="y")
    again = unpack(json.loads(json.dumps(pack(words))))
    assert again.text("zh") == words.text("zh")
    assert inner.text("zh") in again.text("zh")


def test_a_status_that_can_not_be_read_makes_a_job_that_can_go_on(folder: JobFolder) -> None:
    (folder.path / "status.json").write_text("{")
    status = folder.status()
    assert (status.state, status.kind, status.owner) == ("interrupted", "count", "ada")
    assert status.problem
    assert "status.json" in status.problem.text("zh")


def test_a_spec_of_a_newer_version_is_refused(folder: JobFolder) -> None:
    spec = json.loads((folder.path / "spec.json").read_text())
    write_json(folder.path / "spec.json", {**spec, "version": 99})
    with pytest.raises(BadInput, match="newer version"):
        folder.spec()


def test_only_one_may_write(folder: JobFolder) -> None:
    with folder.held():
        assert folder.alive()
        with pytest.raises(Busy), folder.held(timeout=0):
            pass
    assert not folder.alive()


def test_progress_tells_what_is_left(folder: JobFolder) -> None:
    with folder.held() as held:
        work = Work(held)
        work.phase("training")
        for step in range(1, 11):
            work.progress(step, 10)
    status = folder.status()
    assert (status.phase, status.step, status.steps, status.eta_s) == ("training", 10, 10, 0.0)
