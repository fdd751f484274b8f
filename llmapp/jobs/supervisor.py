"""Starts jobs, one at a time on the device, in the order they came; stops, resumes, deletes; finds the dead.

Any number of processes may have a Supervisor over one root: what counts is on disk and under OS locks. A worker
outlives the process that started it. Does not know what the work is: `command` starts the process that does.

  ROOT/<id>/           one folder a job (`job.py`)
  ROOT/dispatch.lock   held while jobs are made, queued, started or deleted
  ROOT/device.lock     held by the worker that computes
  ROOT/starting.json   which worker has been started and has not got that far yet
  ROOT/answering       fresh while somebody is being answered: workers rest
"""

from __future__ import annotations

import errno
import json
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import BadInput, Busy, CanNotRun, LlmappError, NotFound
from ..messages import message
from ..settings import AppSettings
from .job import (
    ALIVE_CHECK_S,
    BEAT,
    REPORT,
    JobFolder,
    JobSpec,
    JobStatus,
    new_status,
    pack_error,
    sha256,
    write_json,
)
from .link import has_link, make_link, opens, withdraw_link
from .process import Starting, kill_family, start_process
from .rest import Answering

WORKER = (sys.executable, "-m", "llmapp.worker")
HOME = Path(__file__).parents[2]
"""The folder that holds the package: where `-m llmapp.worker` is found, and `models/`."""
STOP_GRACE_S = 60.0
"""How long a worker that was asked to stop may take to save before it is ended."""
DISPATCH_WAIT_S = 30.0
MOMENT_S = 0.001
NAME = "name.json"
"""In a job's folder: what it is called, where that is not what it was asked for as."""
_ID = re.compile(r"[0-9a-f]{12}-[0-9a-f]{8}")


class Supervisor:
    """The jobs under one root. Every method that takes an owner raises NotFound for another's job."""

    def __init__(
        self,
        root: Path,
        settings: AppSettings,
        command: Sequence[str] = WORKER,
        stop_grace_s: float = STOP_GRACE_S,
    ) -> None:
        self._root, self._settings = root.absolute(), settings
        self._command, self._stop_grace_s = tuple(command), stop_grace_s
        self._root.mkdir(parents=True, exist_ok=True)
        self._start = Starting(self._root / "starting.json")
        self.answering = Answering(self._root / BEAT)

    def start(self, kind: str, owner: str, spec: Mapping[str, Any], files: Mapping[str, Path] | None = None) -> str:
        """Queue a job and return its id at once. Nothing secret belongs in the spec.

        The files are copied under the names they have here, such as "rows.csv".
        """
        given = {name: (path, path.name) for name, path in (files or {}).items()}
        with self._dispatching():
            job = self._make(kind, owner, spec, given)
            self._launch_next()
        return job

    def again(self, job_id: str, owner: str, spec: Mapping[str, Any]) -> str:
        """Queue another job of the same kind with the same files, and return its id at once."""
        job = self._job(job_id, owner)
        was = job.spec()
        given = {name: (job.path / "data" / name, entry["name"]) for name, entry in was.files.items()}
        with self._dispatching():
            new = self._make(was.kind, owner, spec, given)
            self._launch_next()
        return new

    def status(self, job_id: str, owner: str) -> JobStatus:
        """How a job stands, found out anew: a worker that died is noticed here."""
        return self._settled(self._job(job_id, owner))

    def jobs(self, owner: str) -> list[JobStatus]:
        """This owner's jobs, newest first."""
        mine = [self._settled(job) for job, status in self._all() if status.owner == owner]
        return sorted(mine, key=lambda status: -status.created)

    def ahead(self, job_id: str, owner: str) -> int:
        """How many jobs, of anybody, come before this one that is queued."""
        this = self._job(job_id, owner).status()
        others = [status for _, status in self._all() if status.id != job_id]
        return sum(
            status.state == "running" or (status.state == "queued" and status.updated <= this.updated)
            for status in others
        )

    def events(self, job_id: str, owner: str, after: int = 0) -> list[dict[str, Any]]:
        """What happened since event number `after`: dictionaries of seq, time, kind and what `work.py` adds."""
        return self._job(job_id, owner).events(after)

    def traceback(self, job_id: str, owner: str) -> str:
        """Where in the program the last failure was, for who mends it; empty where nothing failed."""
        return self._job(job_id, owner).traceback()

    def spec(self, job_id: str, owner: str) -> Mapping[str, Any]:
        """What was asked, as it was given to `start`."""
        return self._job(job_id, owner).spec().work

    def name(self, job_id: str, owner: str) -> str:
        """What a job is called: as it was renamed last, else as it was asked for."""
        job = self._job(job_id, owner)
        with suppress(OSError, ValueError):
            return str(json.loads((job.path / NAME).read_text(encoding="utf-8")))
        return str(job.spec().work.get("name", job_id))

    def rename(self, job_id: str, owner: str, name: str) -> None:
        """Call a job so from now on. What was asked for stays as it was written."""
        write_json(self._job(job_id, owner).path / NAME, name)

    def report(self, job_id: str, owner: str) -> Mapping[str, Any]:
        """What a job found out: its `result/report.json`. Raises NotFound before there is one."""
        try:
            return dict(json.loads((self.result_path(job_id, owner) / REPORT).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            raise NotFound("no_report", job=job_id) from None

    def reports(self, kind: str, owner: str) -> Iterator[Mapping[str, Any]]:
        """What this owner's jobs of a kind that are done found out, newest first."""
        for status in self.jobs(owner):
            if status.kind == kind and status.state == "done":
                with suppress(NotFound):
                    yield self.report(status.id, owner)

    def result_path(self, job_id: str, owner: str) -> Path:
        """The folder of what the job made; empty or not there before it is done."""
        return self._job(job_id, owner).path / "result"

    def share(self, job_id: str, owner: str) -> str:
        """The secret of a private link to this job; it is told once, and ends the link before it."""
        return make_link(self._job(job_id, owner))

    def unshare(self, job_id: str, owner: str) -> None:
        """End the private link to this job."""
        withdraw_link(self._job(job_id, owner))

    def shared(self, job_id: str, owner: str) -> bool:
        """True while there is a private link to this job."""
        return has_link(self._job(job_id, owner))

    def owner_by_link(self, job_id: str, secret: str) -> str:
        """Whose job a private link opens. Raises NotFound for a wrong or withdrawn one."""
        job = JobFolder(self._root / job_id)
        if not _ID.fullmatch(job_id) or not opens(job, secret):
            raise NotFound("no_link")
        return job.status().owner

    def stop(self, job_id: str, owner: str) -> None:
        """Ask a job to stop and keep what it has. One that does not within the grace time is ended."""
        job = self._job(job_id, owner)
        if self._settled(job).state not in ("queued", "running"):
            return
        job.ask_stop()
        with self._dispatching(), suppress(Busy), job.held(timeout=0) as held:
            if held.status.state == "queued":
                held.state("stopped")
        if self._settled(job).state == "running":
            timer = threading.Timer(self._stop_grace_s, self._end, [job])
            timer.daemon = True
            timer.start()

    def resume(self, job_id: str, owner: str) -> None:
        """Queue a job again, to go on from its checkpoint. Raises Busy where it is not resumable."""
        job = self._job(job_id, owner)
        self._settled(job)
        with self._dispatching():
            with job.held() as held:
                if not held.status.resumable:
                    raise Busy("job_not_resumable", job=job_id, state=message(f"job.{held.status.state}"))
                job.withdraw_stop()
                held.state("queued", pid=None, updated=self._now())
            self._launch_next()

    def delete(self, job_id: str, owner: str) -> None:
        """Take a job and what it made off the disk. Raises Busy while it runs."""
        job = self._job(job_id, owner)
        if self._settled(job).state == "running":
            raise Busy("job_runs", job=job_id)
        with self._dispatching():
            with job.held():
                trash = job.path.rename(self._root / f".trash-{job_id}")
            shutil.rmtree(trash, ignore_errors=True)

    def discard(self, job_id: str, owner: str) -> None:
        """End a job at once if it runs, and take it and what it made off the disk."""
        job = self._job(job_id, owner)
        job.ask_stop()
        self._end(job)
        self.delete(job_id, owner)

    def reconcile(self) -> None:
        """At the app's start: find workers that died, clear what a crash left half made, start what waits."""
        with self._dispatching():
            for left in (*self._root.glob(".new-*"), *self._root.glob(".trash-*")):
                shutil.rmtree(left, ignore_errors=True)
        for job, _ in self._all():
            self._settled(job)
        self.dispatch()

    def dispatch(self) -> None:
        """Start the next queued job if the device is free; any process may call this at any time."""
        with self._dispatching():
            self._launch_next()

    def got_device(self) -> None:
        """Said by a worker that holds the device, or gives up, before it takes its job: it is no longer starting.

        The order of locks is device, dispatch, job, so that nobody waits in a ring.
        """
        with suppress(Busy), self._dispatching():
            self._start.forget()

    def device(self, timeout: float) -> FileLock:
        """The lease on the device: one process holds it at a time."""
        return FileLock(self._root / "device.lock", timeout=timeout)

    @contextmanager
    def _dispatching(self) -> Iterator[None]:
        lock = FileLock(self._root / "dispatch.lock", timeout=DISPATCH_WAIT_S)
        try:
            lock.acquire()
        except Timeout:
            raise Busy("jobs_busy") from None
        try:
            yield
        finally:
            lock.release()

    def _job(self, job_id: str, owner: str) -> JobFolder:
        job = JobFolder(self._root / job_id)
        if not _ID.fullmatch(job_id) or not job.path.is_dir() or job.status().owner != owner:
            raise NotFound("no_job", job=job_id)
        return job

    def _all(self) -> Iterator[tuple[JobFolder, JobStatus]]:
        """Every job that can be read: one that can not must not hide the others."""
        for path in sorted(self._root.iterdir()):
            if _ID.fullmatch(path.name):
                with suppress(BadInput):
                    yield JobFolder(path), JobFolder(path).status()

    def _make(self, kind: str, owner: str, work: Mapping[str, Any], files: Mapping[str, tuple[Path, str]]) -> str:
        """Write the whole folder aside, then give it its name: it is there, or it is not.

        `files`: where each is, and what the person called it.
        """
        now = self._now()
        job_id = f"{int(now * 1000):012x}-{secrets.token_hex(4)}"
        aside = self._root / f".new-{job_id}"
        (aside / "data").mkdir(parents=True)
        kept = {}
        for name, (source, called) in files.items():
            copy = Path(shutil.copyfile(source, aside / "data" / name))
            kept[name] = {"name": called, "sha256": sha256(copy)}
        spec = JobSpec(job_id, kind, owner, now, work, kept)
        write_json(aside / "spec.json", asdict(spec))
        write_json(aside / "status.json", asdict(new_status(spec)))
        aside.rename(self._root / job_id)
        return job_id

    def _now(self) -> float:
        """Seconds since 1970, after all there is: where the clock was set back, who comes last is still the last."""
        latest = max((max(status.created, status.updated) for _, status in self._all()), default=0.0)
        return max(time.time(), latest + MOMENT_S)

    def _settled(self, job: JobFolder) -> JobStatus:
        """The status; if it says running while the lock is free, it is put right and the next job started.

        Where the disk is too full to write it down, what is told is true all the same.
        """
        status = job.status()
        if status.state != "running" or job.alive():
            return status
        try:
            self._bury(job, timeout=0)
            self.dispatch()
        except OSError as problem:
            if problem.errno != errno.ENOSPC:
                raise
            return replace(status, state="interrupted", error=pack_error(CanNotRun("job_disk_full")), pid=None)
        return job.status()

    def _bury(self, job: JobFolder, timeout: float) -> None:
        """Give a job that says running, and whose lock comes free in this time, the state it has in truth."""
        with suppress(Busy), job.held(timeout) as held:
            if held.status.state == "running" and job.stop_asked():
                held.state("stopped", pid=None)
            elif held.status.state == "running":
                held.state("interrupted", pack_error(Busy("job_interrupted")), pid=None)

    def _launch_next(self) -> None:
        """Start the first in the queue, unless a worker computes or is on its way. The caller dispatches."""
        if self._starting() or not self._device_free():
            return
        queued = [(status.updated, job.id) for job, status in self._all() if status.state == "queued"]
        if queued:
            self._launch(JobFolder(self._root / min(queued)[1]))

    def _device_free(self) -> bool:
        try:
            with self.device(timeout=0):
                return True
        except Timeout:
            return False

    def _starting(self) -> bool:
        """True while a worker that was started has yet to take the device; one that died before is put right."""
        late = self._start.died()
        if late:
            self._start.forget()
            self._never_started(JobFolder(self._root / late))
        return self._start.under_way()

    def _never_started(self, job: JobFolder) -> None:
        with suppress(LlmappError, OSError), job.held() as held:
            if held.status.state == "queued":
                held.state("interrupted", pack_error(Busy("job_not_started")))

    def _launch(self, job: JobFolder) -> None:
        environment = {**self._settings.environment(), "PYTHONUTF8": "1"}
        worker = start_process([*self._command, str(job.path)], HOME, environment, job.path / "log.txt")
        self._start.note(job.id, worker.pid, str(job.path))
        threading.Thread(target=self._watch, args=[worker, job], daemon=True).start()

    def _watch(self, worker: subprocess.Popen[bytes], job: JobFolder) -> None:
        """When the worker ends, however it ends, put its job right and start the next."""
        worker.wait()
        with suppress(LlmappError, OSError):
            self._settled(job)
            self.dispatch()

    def _end(self, job: JobFolder) -> None:
        """End a worker, and what it started, that did not stop when it was asked to."""
        with suppress(LlmappError, OSError):
            pid = job.status().pid
            if pid and job.stop_asked() and job.alive():
                kill_family(pid, str(job.path))
                self._bury(job, timeout=ALIVE_CHECK_S)
                self.dispatch()
