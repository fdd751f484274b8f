"""A supervisor over a fresh folder, with real worker processes that are ended after the test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from llmapp.jobs.job import JobFolder, JobStatus
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import AppSettings

from .kinds import COMMAND

PATIENCE_S = 200
ENDED = ("done", "stopped", "failed", "interrupted")
Await = Callable[..., JobStatus]


@pytest.fixture
def settings(tmp_path: Path) -> AppSettings:
    return AppSettings(data_dir=tmp_path, hub_token="hf_secret", offline=True)


@pytest.fixture
def supervisor(tmp_path: Path, settings: AppSettings) -> Iterator[Supervisor]:
    root = tmp_path / "jobs"
    yield Supervisor(root, settings, COMMAND, stop_grace_s=0.5)
    end_workers(root)


def end_workers(root: Path) -> None:
    """End every process that was started for a job under this root."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(root) in part for part in process.info["cmdline"] or ()):
            with suppress(psutil.NoSuchProcess):
                process.kill()
                process.wait(10)


def until(supervisor: Supervisor, job: str, *states: str, owner: str = "ada") -> JobStatus:
    """The job's status as soon as it is in one of these states, by default one that ends it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        status = supervisor.status(job, owner)
        if status.state in (states or ENDED):
            return status
        time.sleep(0.05)
    raise TimeoutError(f"{status}\n{log_of(supervisor, job)}")


def until_step(supervisor: Supervisor, job: str, step: int) -> JobStatus:
    """The status once the job has come that far."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        status = supervisor.status(job, "ada")
        if status.step >= step:
            return status
        time.sleep(0.05)
    raise TimeoutError(f"{status}\n{log_of(supervisor, job)}")


def until_dead(supervisor: Supervisor, job: str) -> None:
    """Wait for the end of a worker that was killed; the state that it left is not touched."""
    while folder_of(supervisor, job).alive():
        time.sleep(0.01)


def folder_of(supervisor: Supervisor, job: str) -> JobFolder:
    return JobFolder(supervisor.result_path(job, "ada").parent)


def log_of(supervisor: Supervisor, job: str) -> str:
    log = folder_of(supervisor, job).path / "log.txt"
    return log.read_text(encoding="utf-8") if log.exists() else ""
