"""A job is a folder; this is its protocol: what lies in it, and how it is written so that no crash tears it.

  spec.json      what to do; never changed after the start; no secrets
  data/          copies of the files the work reads, with their sha256 in the spec
  events.jsonl   what happened; one line a write, numbered by `seq` from 1
  status.json    how it stands; written aside, synced, renamed
  control/stop   is there when the work has been asked to stop
  worker.lock    held for as long as the worker lives: the lock, not the pid, says whether it is alive
  log.txt        the worker's output
  reserve        a little room on the disk while it runs, so that the end can be written down where the disk is full
  link.json      the hash of the secret that opens it to who has the private link (`link.py`)
  checkpoints/   the work's own, to go on from
  result/        what it made; report.json says how well

Who holds `worker.lock` writes the status and the events, nobody else. Does not know what the work is.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, get_args

from filelock import FileLock, Timeout

from ..errors import BadInput, Busy, LlmappError, NotFound
from ..messages import Message

State = Literal["queued", "running", "done", "stopped", "failed", "interrupted"]
STATES: tuple[State, ...] = get_args(State)
RESUMABLE: tuple[State, ...] = ("stopped", "failed", "interrupted")
ENDED: tuple[State, ...] = ("done", *RESUMABLE)
VERSION = 1
REPORT = "report.json"
BEAT = "answering"
"""Beside the job folders: fresh while somebody is being answered (`rest.py`)."""
LOG_TAIL = 8000
ALIVE_CHECK_S = 5.0
"""How long to try for a lock that another process may hold for a moment, only to see whether it is free."""


@dataclass(frozen=True)
class JobStatus:
    """How a job stands. `phase` is a word of the work; `error` is what `pack_error` made.

    `eta_s` is None until it can be told. `created` and `updated` are seconds since 1970.
    """

    id: str
    kind: str
    state: State
    phase: str
    step: int
    steps: int
    eta_s: float | None
    error: Mapping[str, Any] | None
    created: float
    updated: float
    owner: str
    pid: int | None

    @property
    def problem(self) -> Message | None:
        """The error as a message that speaks every language."""
        return unpack(self.error) if self.error else None

    @property
    def resumable(self) -> bool:
        """True where going on may lead further."""
        return self.state in RESUMABLE and not (self.error and self.error.get("final"))

    def facts(self) -> dict[str, Any]:
        """What a script is told: {id, kind, state, phase, step, steps, eta_s, error}, the error with its sentence."""
        error = {"code": self.problem.code, "text": self.problem.text()} if self.problem else None
        names = ("id", "kind", "state", "phase", "step", "steps", "eta_s")
        return {**{name: getattr(self, name) for name in names}, "error": error}


@dataclass(frozen=True)
class JobSpec:
    """What to do: `work` for the function that does it; `files` maps a name in data/ to {"name", "sha256"}."""

    id: str
    kind: str
    owner: str
    created: float
    work: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    version: int = VERSION


def pack(message: Message) -> dict[str, Any]:
    """A message as JSON: {"code", "values"}, messages among the values likewise."""
    values = {k: pack(v) if isinstance(v, Message) else v for k, v in message.values.items()}
    return {"code": message.code, "values": values}


def unpack(packed: Mapping[str, Any]) -> Message:
    """The message that `pack` wrote."""
    values = {
        k: unpack(v) if isinstance(v, Mapping) and set(v) == {"code", "values"} else v
        for k, v in packed["values"].items()
    }
    return Message(packed["code"], values)


def pack_error(error: LlmappError) -> dict[str, Any]:
    """An error as the status holds it: {"code", "values", "final"}. Final is what was given: it stays as it is."""
    return {**pack(error.message), "final": isinstance(error, BadInput)}


def write_json(path: Path, data: Any) -> None:
    """Write aside, sync, rename: a reader, or a crash, sees the old file or the new one."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("w", encoding="utf-8") as file:
            json.dump(data, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:  # on a full disk half a file would keep others from being written
        aside.unlink(missing_ok=True)
        raise


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class JobFolder:
    """One job's folder. Reading needs no lock and never waits."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    def spec(self) -> JobSpec:
        """What was asked. Raises BadInput when it was written by a newer version, or can not be read."""
        try:
            data = json.loads((self.path / "spec.json").read_text(encoding="utf-8"))
            if data["version"] > VERSION:
                raise BadInput("job_newer", job=self.id)
            return JobSpec(**data)
        except (OSError, ValueError, TypeError, KeyError) as problem:
            raise BadInput("job_damaged", job=self.id, problem=str(problem)) from problem

    def status(self) -> JobStatus:
        """How it stands, as last written. One that can not be read makes an interrupted job, which can go on."""
        try:
            return JobStatus(**json.loads((self.path / "status.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            spec = self.spec()
        error = pack_error(BadInput("job_damaged", job=self.id, problem="status.json"))
        return replace(new_status(spec), state="interrupted", error=error)

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """What happened since event number `after`, in order. A line that a crash tore is left out."""
        newest_first = takewhile(lambda event: event["seq"] > after, self._events_backwards())
        return list(newest_first)[::-1]

    def last_seq(self) -> int:
        """The number of the newest event, 0 before the first."""
        return next((event["seq"] for event in self._events_backwards()), 0)

    def ask_stop(self) -> None:
        """Ask the work to stop at its next step."""
        (self.path / "control").mkdir(exist_ok=True)
        (self.path / "control" / "stop").touch()

    def stop_asked(self) -> bool:
        """True when somebody asked it to stop."""
        return (self.path / "control" / "stop").exists()

    def withdraw_stop(self) -> None:
        """Forget that it was asked to stop."""
        (self.path / "control" / "stop").unlink(missing_ok=True)

    def alive(self) -> bool:
        """True while a worker, or somebody about to change the state, holds the lock."""
        lock = self.path / "worker.lock"
        if not lock.exists():
            return False
        try:
            with FileLock(lock, timeout=0):
                return False
        except Timeout:
            return True

    @contextmanager
    def held(self, timeout: float = ALIVE_CHECK_S) -> Iterator[HeldJob]:
        """The right to write, for as long as this lasts. Raises Busy while a worker has it, NotFound when deleted."""
        if not (self.path / "spec.json").exists():  # or the lock would make the folder anew
            raise NotFound("no_job", job=self.id)
        lock = FileLock(self.path / "worker.lock", timeout=timeout)
        try:
            lock.acquire()
        except Timeout:
            raise Busy("job_runs", job=self.id) from None
        try:
            yield HeldJob(self)
        finally:
            lock.release()

    def traceback(self) -> str:
        """The last traceback in the worker's output, at most LOG_TAIL characters; empty where there is none."""
        try:
            log = (self.path / "log.txt").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        begun = log.rfind("Traceback (most recent call last)")
        return log[begun:][-LOG_TAIL:] if begun >= 0 else ""

    def _events_backwards(self) -> Iterator[dict[str, Any]]:
        try:
            lines = (self.path / "events.jsonl").read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        for line in reversed(lines):
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and isinstance(event.get("seq"), int):
                    yield event


class HeldJob:
    """A job whose lock this process holds: it alone may change the status and add events."""

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder
        self.status = folder.status()
        self._seq = folder.last_seq()
        self._path = folder.path / "events.jsonl"
        self._torn = self._path.exists() and not self._path.read_bytes().endswith(b"\n")

    def change(self, **values: Any) -> None:
        """Write the status with these fields changed."""
        changed = replace(self.status, **{"updated": time.time(), **values})
        write_json(self.folder.path / "status.json", asdict(changed))
        self.status = changed

    def event(self, kind: str, message: Message | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Add one event: {"seq", "time", "kind"}, the data, and where there are words {"code", "values"}.

        Raises OSError where the disk is full.
        """
        words = pack(message) if message else {}
        event = {"seq": self._seq + 1, "time": time.time(), "kind": kind, **(data or {}), **words}
        line = json.dumps(event, ensure_ascii=False).encode() + b"\n"
        if self._torn:
            line = b"\n" + line
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._torn = os.write(file, line) < len(line)
        finally:
            os.close(file)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self._seq += 1

    def state(self, state: State, error: Mapping[str, Any] | None = None, **values: Any) -> None:
        """Change the state: first among the events, so that who sees the new status finds all of them."""
        self.event("state", unpack(error) if error else None, {"state": state})
        self.change(state=state, error=error, eta_s=None, **values)


def new_status(spec: JobSpec) -> JobStatus:
    """The status of a job that waits for its turn."""
    return JobStatus(
        id=spec.id, kind=spec.kind, state="queued", phase="", step=0, steps=0, eta_s=None, error=None,
        created=spec.created, updated=spec.created, owner=spec.owner, pid=None,
    )  # fmt: skip
