"""Ways in which any job can be cut short: after each nothing done is lost, the state is true, and Go on goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from llmapp.errors import Busy
from llmapp.jobs.process import Starting
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import AppSettings
from llmapp.ui.job_panel import Kind, report_html

from .conftest import end_workers, folder_of, log_of, until, until_dead, until_step
from .kinds import COMMAND, clock_of, fill_up

pytestmark = pytest.mark.faults
APP = """
import time; from pathlib import Path
from llmapp.jobs.supervisor import Supervisor; from llmapp.settings import AppSettings
s = Supervisor(Path({root!r}), AppSettings(), {command!r})
print(s.start("count", "ada", {{"steps": 20}}), s.start("count", "ada", {{"steps": 1}}), flush=True)
time.sleep(600)
"""


@pytest.fixture
def crowded(small_disk: Callable[[int], Path]) -> Iterator[Supervisor]:
    """A supervisor whose jobs lie on a file system of one MB."""
    root = small_disk(1) / "jobs"
    yield Supervisor(root, AppSettings(), COMMAND)
    end_workers(root)


def test_killed_in_the_middle_of_an_event_the_line_is_dropped_and_the_next_is_whole(supervisor: Supervisor) -> None:
    job = supervisor.start("torn", "ada", {"steps": 6})
    assert until(supervisor, job).state == "interrupted"
    torn = (folder_of(supervisor, job).path / "events.jsonl").read_bytes()
    assert b'{"seq"' in torn
    assert any(not whole(line) for line in torn.splitlines())
    supervisor.resume(job, "ada")
    assert until(supervisor, job, "done", "failed").state == "done"
    events = supervisor.events(job, "ada")
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert sorted({event["step"] for event in events if event["kind"] == "point"} | {3}) == [1, 2, 3, 4, 5, 6]
    assert supervisor.report(job, "ada")["from"] == 3


def whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def test_a_reboot_ends_all_processes_and_what_ran_goes_on_from_where_it_was(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    app = subprocess.Popen(
        [sys.executable, "-c", APP.format(root=str(tmp_path / "jobs"), command=COMMAND)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert app.stdout
    ran, waited = app.stdout.readline().split()
    pid = until_step(supervisor, ran, 4).pid
    assert pid
    app.kill()  # first, or it would start what waits
    os.kill(pid, signal.SIGKILL)
    app.wait()
    until_dead(supervisor, ran)
    supervisor.reconcile()
    assert supervisor.status(ran, "ada").state == "interrupted"
    assert until(supervisor, waited).state == "done"
    supervisor.resume(ran, "ada")
    assert until(supervisor, ran, "done", "failed").state == "done"
    assert supervisor.report(ran, "ada")["from"] >= 4


def test_two_pages_press_go_on_at_once_and_it_goes_on_once(supervisor: Supervisor, settings: AppSettings) -> None:
    job = supervisor.start("count", "ada", {"steps": 20})
    until_step(supervisor, job, 3)
    supervisor.stop(job, "ada")
    assert until(supervisor, job).state == "stopped"
    pages = [Supervisor(folder_of(supervisor, job).path.parent, settings, COMMAND) for _ in range(2)]
    said: list[str] = []
    together = threading.Barrier(2)

    def press(page: Supervisor) -> None:
        together.wait()
        try:
            page.resume(job, "ada")
            said.append("goes on")
        except Busy as problem:
            said.append(problem.code)

    threads = [threading.Thread(target=press, args=[page]) for page in pages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["goes on", "job_not_resumable"]
    assert [until(page, job, "done").step for page in pages] == [20, 20]
    assert log_of(supervisor, job).count("counting from") == 2


def test_a_full_disk_is_said_and_the_job_goes_on_once_there_is_room(crowded: Supervisor) -> None:
    job = crowded.start("fill", "ada", {"steps": 3})
    status = until(crowded, job)
    assert (status.state, status.problem and status.problem.code) == ("failed", "error.job_disk_full")
    assert status.problem
    assert "Go on" in status.problem.text("en")
    assert "继续" in status.problem.text("zh")
    room = folder_of(crowded, job).path.parent / "hog"
    assert room.stat().st_size > 500_000
    room.write_bytes(b"")
    crowded.resume(job, "ada")
    assert until(crowded, job, "done", "failed").state == "done", log_of(crowded, job)
    seqs = [event["seq"] for event in crowded.events(job, "ada")]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_disk_too_full_for_the_state_itself_is_told_all_the_same(crowded: Supervisor) -> None:
    job = crowded.start("count", "ada", {"steps": 50})
    pid = until_step(crowded, job, 2).pid
    assert pid
    hog = folder_of(crowded, job).path.parent / "hog"
    os.kill(pid, signal.SIGSTOP)
    fill_up(hog)
    os.kill(pid, signal.SIGKILL)
    status = until(crowded, job)
    assert (status.state, status.problem and status.problem.code) == ("interrupted", "error.job_disk_full")
    hog.unlink()
    crowded.resume(job, "ada")
    assert until(crowded, job, "done", "failed").state == "done", log_of(crowded, job)


def test_a_clock_set_back_changes_no_order_and_loses_nothing(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", clock_of(tmp_path / "jobs" / "set-back"))
    first, second = supervisor.start("count", "ada", {"steps": 15}), supervisor.start("count", "ada", {"steps": 1})
    until_step(supervisor, first, 3)
    (tmp_path / "jobs" / "set-back").write_text("86400")
    third = supervisor.start("count", "ada", {"steps": 1})
    assert [status.id for status in supervisor.jobs("ada")] == [third, second, first]
    assert [supervisor.ahead(job, "ada") for job in (second, third)] == [1, 2]
    pid = supervisor.status(first, "ada").pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert until(supervisor, first).state == "interrupted"
    supervisor.resume(first, "ada")
    assert until(supervisor, first, "done", "failed").state == "done"
    assert supervisor.report(first, "ada")["from"] >= 3
    began = [supervisor.report(job, "ada")["began"] for job in (second, third, first)]
    assert began == sorted(began)
    seqs = [event["seq"] for event in supervisor.events(first, "ada")]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_worker_that_starts_is_known_whatever_the_clock_says_its_start_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argument = str(tmp_path / "job")
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", argument])
    starting = Starting(tmp_path / "starting.json")
    starting.note("one", worker.pid, argument)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: 5.0)  # it is counted from the time of day
    assert starting.under_way()
    assert starting.died() == ""
    worker.kill()
    worker.wait()
    assert not starting.under_way()
    assert starting.died() == "one"


def test_what_failed_has_its_traceback_folded_below_the_sentence(supervisor: Supervisor) -> None:
    job = supervisor.start("broken", "ada", {"how": "bug"})
    status = until(supervisor, job)
    page = SimpleNamespace(supervisor=supervisor)
    html = report_html(page, Kind("judge_table", (), lambda *_: ""), status, "ada", "zh")
    sentence, _, folded = html.partition("<details")
    assert "是我们的错" in sentence
    assert "Traceback" not in sentence
    assert "ZeroDivisionError: a bug" in folded
    assert "<summary>供协助您的人参考" in folded
