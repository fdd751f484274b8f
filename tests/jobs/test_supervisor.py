"""Jobs as real processes: started, queued, stopped, killed, resumed; nothing is lost and the state stays true."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from llmapp.errors import Busy, NotFound
from llmapp.jobs.job import JobFolder, write_json
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import AppSettings

from .conftest import folder_of, log_of, until, until_step
from .kinds import COMMAND


def test_a_job_runs_to_its_end_in_a_process_of_its_own(supervisor: Supervisor) -> None:
    job = supervisor.start("count", "ada", {"steps": 3})
    running = until(supervisor, job, "running")
    assert running.pid
    assert os.getsid(running.pid) == running.pid != os.getsid(0)
    assert psutil.Process(running.pid).nice() == 10
    status = until(supervisor, job)
    assert (status.state, status.step, status.steps, status.error, status.pid) == ("done", 3, 3, None, None)
    events = supervisor.events(job, "ada")
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    assert [e["state"] for e in events if e["kind"] == "state"] == ["running", "done"]
    assert [e["phase"] for e in events if e["kind"] == "phase"] == ["training"]
    assert [e["step"] for e in events if e["kind"] == "point"] == [1, 2, 3]
    assert supervisor.report(job, "ada")["from"] == 0
    assert "counting from 0" in log_of(supervisor, job)


def test_jobs_wait_their_turn_and_never_two_run_at_once(supervisor: Supervisor, settings: AppSettings) -> None:
    root = folder_of(supervisor, supervisor.start("count", "ada", {"steps": 2})).path.parent
    start = f"""
from pathlib import Path; from llmapp.jobs.supervisor import Supervisor; from llmapp.settings import AppSettings
s = Supervisor(Path({str(root)!r}), AppSettings(), {COMMAND!r})
for _ in range(2): s.start("count", "ada", {{"steps": 2}})
"""
    others = [subprocess.Popen([sys.executable, "-c", start]) for _ in range(2)]
    assert [process.wait(60) for process in others] == [0, 0]
    jobs = [status.id for status in supervisor.jobs("ada")][::-1]
    assert len(jobs) == 5
    spans = []
    for job in jobs:
        assert until(supervisor, job).state == "done"
        report = supervisor.report(job, "ada")
        spans.append((report["began"], report["ended"]))
    assert spans == sorted(spans)
    assert all(ended <= began for (_, ended), (began, _) in pairwise(spans))


def test_how_many_are_ahead(supervisor: Supervisor) -> None:
    first, second, third = (supervisor.start("count", "ada", {"steps": 50}) for _ in range(3))
    until(supervisor, first, "running")
    assert (supervisor.ahead(second, "ada"), supervisor.ahead(third, "ada")) == (1, 2)
    for job in (third, second, first):
        supervisor.stop(job, "ada")
    until(supervisor, first)


@pytest.mark.faults
def test_a_killed_worker_is_interrupted_the_next_starts_and_it_goes_on_later(supervisor: Supervisor) -> None:
    job, waiting = supervisor.start("count", "ada", {"steps": 20}), supervisor.start("count", "ada", {"steps": 1})
    pid = until_step(supervisor, job, 5).pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    status = until(supervisor, job)
    assert status.state == "interrupted"
    assert status.problem
    assert status.problem.code == "error.job_interrupted"
    assert until(supervisor, waiting).state == "done"
    supervisor.resume(job, "ada")
    status = until(supervisor, job, "done")
    assert status.error is None
    assert supervisor.report(job, "ada")["from"] >= 5
    seqs = [event["seq"] for event in supervisor.events(job, "ada")]
    assert seqs == list(range(1, len(seqs) + 1))


def test_stop_keeps_what_is_done_and_resume_goes_on(supervisor: Supervisor) -> None:
    job = supervisor.start("count", "ada", {"steps": 20})
    until_step(supervisor, job, 5)
    supervisor.stop(job, "ada")
    assert until(supervisor, job).state == "stopped"
    supervisor.resume(job, "ada")
    assert until(supervisor, job, "done").step == 20
    assert supervisor.report(job, "ada")["from"] >= 5
    with pytest.raises(Busy):
        supervisor.resume(job, "ada")


def test_a_queued_job_stops_at_once_and_is_passed_over(supervisor: Supervisor) -> None:
    first, second, third = (supervisor.start("count", "ada", {"steps": 8}) for _ in range(3))
    supervisor.stop(second, "ada")
    assert supervisor.status(second, "ada").state == "stopped"
    assert until(supervisor, third).state == until(supervisor, first).state == "done"
    assert supervisor.status(second, "ada").state == "stopped"


def test_work_that_does_not_stop_is_ended_with_its_children(supervisor: Supervisor) -> None:
    job = supervisor.start("stubborn", "ada", {})
    child = supervisor.result_path(job, "ada") / "child"
    while not (child.exists() and child.read_text()):
        time.sleep(0.05)
    supervisor.stop(job, "ada")
    assert until(supervisor, job).state == "stopped"
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(child.read_text())).wait(10)


@pytest.mark.parametrize(
    ("how", "code"),
    [("bad_input", "no_model"), ("bug", "job_bug"), ("memory", "job_memory"), ("disk", "job_disk_full")],
)
def test_what_goes_wrong_is_a_code_with_words_and_the_traceback_is_kept(
    supervisor: Supervisor, how: str, code: str
) -> None:
    job = supervisor.start("broken", "ada", {"how": how})
    status = until(supervisor, job)
    assert status.state == "failed"
    assert status.problem
    assert status.problem.code == f"error.{code}"
    assert status.problem.text("zh") != status.problem.text("en")
    assert "Traceback" in log_of(supervisor, job)
    assert supervisor.events(job, "ada")[-1]["code"] == f"error.{code}"


def test_going_on_is_offered_where_it_may_lead_further(supervisor: Supervisor) -> None:
    job = supervisor.start("broken", "ada", {"how": "memory"})
    assert until(supervisor, job).resumable
    supervisor.resume(job, "ada")
    assert until(supervisor, job, "failed").resumable
    job = supervisor.start("broken", "ada", {"how": "bad_input"})
    assert not until(supervisor, job).resumable
    with pytest.raises(Busy, match="can go on"):
        supervisor.resume(job, "ada")


def test_a_kind_nobody_knows_fails_with_words(supervisor: Supervisor) -> None:
    job = supervisor.start("juggle", "ada", {})
    assert "juggle" in str(until(supervisor, job).problem)


def test_a_worker_that_can_not_start_is_said_and_not_tried_again_for_ever(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "jobs", AppSettings(), (sys.executable, "-c", "import nothing_of_this_name"))
    job = supervisor.start("count", "ada", {"steps": 1})
    status = until(supervisor, job)
    assert status.state == "interrupted"
    assert status.problem
    assert status.problem.code == "error.job_not_started"
    assert log_of(supervisor, job).count("ModuleNotFoundError") == 1


@pytest.mark.faults
def test_the_worker_outlives_the_app_and_a_new_app_finds_it(supervisor: Supervisor, tmp_path: Path) -> None:
    start = f"""
import time; from pathlib import Path
from llmapp.jobs.supervisor import Supervisor; from llmapp.settings import AppSettings
s = Supervisor(Path({str(tmp_path / "jobs")!r}), AppSettings(), {COMMAND!r})
print(s.start("count", "ada", {{"steps": 30}}), s.start("count", "ada", {{"steps": 1}}), flush=True)
time.sleep(600)
"""
    app = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True)
    assert app.stdout
    first, second = app.stdout.readline().split()
    until_step(supervisor, first, 3)
    app.kill()
    app.wait()
    supervisor.reconcile()
    assert supervisor.status(first, "ada").state == "running"
    assert until(supervisor, first).state == until(supervisor, second).state == "done"
    assert supervisor.report(first, "ada")["from"] == 0


@pytest.mark.faults
def test_after_a_reboot_what_ran_is_interrupted_and_what_waited_runs(supervisor: Supervisor, tmp_path: Path) -> None:
    quiet = Supervisor(tmp_path / "jobs", AppSettings(), (sys.executable, "-c", ""))
    ran = quiet.start("count", "ada", {"steps": 2})
    until(quiet, ran, "interrupted")
    with folder_of(quiet, ran).held() as held:
        held.state("running", pid=1)
    with (tmp_path / "jobs" / "starting.json").open("w") as file:
        file.write('{"job": "gone", "pid": 1, "started": 0.5}')
    (tmp_path / "jobs" / ".new-half").mkdir()
    supervisor.reconcile()
    assert supervisor.status(ran, "ada").state == "interrupted"
    assert not (tmp_path / "jobs" / ".new-half").exists()
    supervisor.resume(ran, "ada")
    assert until(supervisor, ran, "done")


def test_nobody_reaches_anothers_job(supervisor: Supervisor) -> None:
    job = supervisor.start("count", "ada", {"steps": 1})
    until(supervisor, job)
    asked = (
        lambda: supervisor.status(job, "bob"),
        lambda: supervisor.events(job, "bob"),
        lambda: supervisor.stop(job, "bob"),
        lambda: supervisor.resume(job, "bob"),
        lambda: supervisor.delete(job, "bob"),
        lambda: supervisor.discard(job, "bob"),
        lambda: supervisor.spec(job, "bob"),
        lambda: supervisor.report(job, "bob"),
        lambda: supervisor.result_path(job, "bob"),
        lambda: supervisor.ahead(job, "bob"),
        lambda: supervisor.name(job, "bob"),
        lambda: supervisor.rename(job, "bob", "mine"),
        lambda: supervisor.status("../" + job, "ada"),
        lambda: supervisor.status("", "ada"),
    )
    for ask in asked:
        with pytest.raises(NotFound):
            ask()
    assert supervisor.jobs("bob") == []
    assert [status.id for status in supervisor.jobs("ada")] == [job]


def test_a_job_is_called_as_asked_until_it_is_renamed(supervisor: Supervisor) -> None:
    job, nameless = (supervisor.start("count", "ada", spec) for spec in ({"steps": 1, "name": "Mail"}, {"steps": 1}))
    assert (supervisor.name(job, "ada"), supervisor.name(nameless, "ada")) == ("Mail", nameless)
    supervisor.rename(job, "ada", "邮件")
    assert supervisor.name(job, "ada") == "邮件"
    assert supervisor.spec(job, "ada")["name"] == "Mail"
    until(supervisor, nameless)


def test_delete_takes_all_of_it_but_not_while_it_runs(supervisor: Supervisor, tmp_path: Path) -> None:
    job = supervisor.start("count", "ada", {"steps": 100})
    until(supervisor, job, "running")
    with pytest.raises(Busy):
        supervisor.delete(job, "ada")
    supervisor.stop(job, "ada")
    until(supervisor, job)
    supervisor.delete(job, "ada")
    with pytest.raises(NotFound):
        supervisor.status(job, "ada")
    assert [path.name for path in (tmp_path / "jobs").iterdir() if path.is_dir()] == []


def test_discard_ends_it_at_once_and_the_next_starts(supervisor: Supervisor) -> None:
    running, waiting, queued = (supervisor.start("count", "ada", {"steps": n}) for n in (100, 100, 2))
    until(supervisor, running, "running")
    supervisor.discard(waiting, "ada")
    supervisor.discard(running, "ada")
    assert [status.id for status in supervisor.jobs("ada")] == [queued]
    assert until(supervisor, queued).state == "done"


@pytest.mark.faults
def test_the_worker_has_its_own_copy_of_the_data_and_the_settings_but_no_secret_on_disk(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    data = tmp_path / "Mes données.csv"
    data.write_text("text,label\n")
    job = supervisor.start("read", "ada", {"seconds": 0.3}, {"rows.csv": data})
    data.unlink()
    assert until(supervisor, job).state == "done"
    assert supervisor.report(job, "ada") == {
        "rows": "text,label\n",
        "named": "Mes données.csv",
        "owner": "ada",
        "token": "hf_secret",
        "offline": True,
        "data_dir": str(tmp_path),
    }
    kept = [p for p in folder_of(supervisor, job).path.rglob("*") if p.is_file() and p.name != "report.json"]
    assert kept
    assert not [p for p in kept if b"hf_secret" in p.read_bytes()]


@pytest.mark.faults
def test_data_that_changed_under_a_job_is_not_used(supervisor: Supervisor, tmp_path: Path) -> None:
    data = tmp_path / "a.csv"
    data.write_text("text,label\n")
    job = supervisor.start("read", "ada", {"seconds": 1}, {"rows.csv": data})
    (folder_of(supervisor, job).path / "data" / "rows.csv").write_text("other")
    assert str(until(supervisor, job).problem).startswith("`a.csv`")


def test_one_folder_that_can_not_be_read_does_not_hide_the_others(supervisor: Supervisor) -> None:
    bad, good = (supervisor.start("count", "ada", {"steps": 1}) for _ in range(2))
    until(supervisor, good)
    until(supervisor, bad)
    folder: JobFolder = folder_of(supervisor, bad)
    (folder.path / "spec.json").write_text("")
    write_json(folder.path / "status.json", [])
    assert [status.id for status in supervisor.jobs("ada")] == [good]
