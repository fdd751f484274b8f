"""Long work rests while somebody is answered, and for nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from llmapp.jobs.rest import FRESH_S, Answering, Rest
from llmapp.jobs.supervisor import Supervisor

from .conftest import until, until_step

BEATING = """
import sys, time; from pathlib import Path; from llmapp.jobs.rest import Answering
with Answering(Path(sys.argv[1]))(): print("begun", flush=True); time.sleep(600)
"""


@pytest.fixture
def beat(tmp_path: Path) -> Path:
    return tmp_path / "answering"


def rested_s(beat: Path, stop: threading.Event | None = None) -> float:
    began = time.monotonic()
    Rest(beat, (stop or threading.Event()).is_set)()
    return time.monotonic() - began


def test_nobody_waits_where_nobody_is_answered(beat: Path) -> None:
    assert rested_s(beat) < 0.05
    with Answering(beat)():
        pass
    assert rested_s(beat) < 0.05


def test_it_lasts_as_long_as_the_last_of_those_who_overlap(beat: Path) -> None:
    answering = Answering(beat)
    with answering():
        later = threading.Thread(target=hold, args=(answering, FRESH_S + 1))
        later.start()
        time.sleep(0.1)
    rested = rested_s(beat)
    later.join()
    assert FRESH_S < rested < FRESH_S + 2


def hold(answering: Answering, seconds: float) -> None:
    with answering():
        time.sleep(seconds)


@pytest.mark.faults
def test_an_app_that_was_killed_keeps_nobody_waiting(beat: Path) -> None:
    app = subprocess.Popen([sys.executable, "-c", BEATING, str(beat)], stdout=subprocess.PIPE)
    assert app.stdout
    app.stdout.readline()
    app.kill()
    app.wait()
    assert 0 < rested_s(beat) < FRESH_S + 0.5


@pytest.mark.faults
def test_a_clock_that_was_set_back_keeps_nobody_waiting(beat: Path) -> None:
    beat.touch()
    os.utime(beat, (time.time() + 3600,) * 2)
    assert rested_s(beat) < 0.05


def test_who_rests_can_be_stopped(beat: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with Answering(beat)():
        assert rested_s(beat, stop) < 1


def test_a_job_goes_on_where_it_rested(supervisor: Supervisor) -> None:
    job = supervisor.start("count", "ada", {"steps": 15})
    until_step(supervisor, job, 3)
    with supervisor.answering():
        time.sleep(0.5)
        before = len(supervisor.events(job, "ada"))
        time.sleep(FRESH_S + 0.5)
        assert len(supervisor.events(job, "ada")) == before
        assert supervisor.status(job, "ada").state == "running"
    assert until(supervisor, job).state == "done"
    assert supervisor.report(job, "ada")["from"] == 0
