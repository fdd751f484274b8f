"""What long work sees, for tests: a job's folder without a job, a pool of one engine; and a wait for a real job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llmapp.jobs.job import JobStatus
from llmapp.jobs.supervisor import Supervisor
from llmapp.messages import Message
from tests.fake_engine import FakeEngine


@dataclass
class OnePool:
    """A pool that lends one engine, or one of `others` by name, and counts the loans."""

    engine: FakeEngine
    others: Mapping[str, FakeEngine] = field(default_factory=dict)
    loans: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def lease(self, name: str, owner: str, report: Any = None, cancel: Any = None) -> Iterator[FakeEngine]:
        self.loans.append((name, owner))
        yield self.others.get(name, self.engine)


@dataclass
class Order:
    """What was asked for, of one file; it is to stop once so many steps are done."""

    place: Path
    given: Path
    name: str
    todo: Mapping[str, Any]
    stop_at: int = 10**9
    steps: list[int] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    id: str = "1"
    owner: str = "ada"

    def file(self, name: str) -> Path:
        return self.given

    def file_name(self, name: str) -> str:
        return self.name

    def folder(self, name: Literal["checkpoints", "result"]) -> Path:
        folder = self.place / name
        folder.mkdir(exist_ok=True)
        return folder

    def phase(self, name: str) -> None:
        self.phases.append(name)

    def say(self, words: Message) -> None:
        raise AssertionError(words)

    def point(self, name: str, step: int, **values: float) -> None:
        raise AssertionError(name)

    def show(self, step: int, rows: Sequence[Mapping[str, str]]) -> None:
        raise AssertionError(rows)

    def progress(self, step: int, steps: int) -> None:
        self.steps.append(step)

    def stop_asked(self) -> bool:
        return bool(self.steps) and self.steps[-1] >= self.stop_at


def until(supervisor: Supervisor, job: str, within_s: float, reached: Callable[[JobStatus], bool]) -> JobStatus:
    """Ada's job, once it is as far as that."""
    deadline = time.monotonic() + within_s
    while not reached(status := supervisor.status(job, "ada")):
        assert time.monotonic() < deadline, status
        time.sleep(0.05)
    return status
