"""`python -m llmapp.worker JOB_DIR`: a process for one job; the one place that maps a kind of job to a function.

Holds the job's lock and the device for as long as it lives, and yields to whoever uses the computer. What goes wrong
ends as a code in the status, with the traceback in log.txt. Does not know the page.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from filelock import Timeout

from .errors import CanNotRun, LlmappError, OutOfMemory
from .jobs.job import HeldJob, JobFolder, pack_error
from .jobs.supervisor import HOME, WORKER, Supervisor
from .jobs.work import Kind, Outcome, Work
from .settings import read_settings

if TYPE_CHECKING:
    from .backend.pool import Pool

DEVICE_WAIT_S = 5.0
NICE = 10
BELOW_NORMAL = 0x4000
"""BELOW_NORMAL_PRIORITY_CLASS of Windows' SetPriorityClass."""
OOM_SCORE = 500
RESERVE_BYTES = 64 << 10
"""Room on the disk for the last words of a job that fills it."""


def finetune(work: Work) -> Outcome:
    """Teach a model with a table."""
    from .backend.sources import Sources
    from .backend.steps import between_steps
    from .catalog import Catalog
    from .finetune.run import run

    between_steps(work.rest)
    settings = read_settings([])
    catalog = Catalog.read(HOME / "models", settings.data_dir / "adapters")
    return run(work, catalog, Sources(settings.data_dir / "models", settings), settings)


def judge_table(work: Work) -> Outcome:
    """Judge a column of a table."""
    from .bulk.judging import run

    with _own_pool(work) as pool:
        return run(work, pool)


def summarize_file(work: Work) -> Outcome:
    """Summarize a document."""
    from .bulk.writing import summarize_document

    with _own_pool(work) as pool:
        return summarize_document(work, pool)


def translate_file(work: Work) -> Outcome:
    """Translate a document."""
    from .bulk.writing import translate_document

    with _own_pool(work) as pool:
        return translate_document(work, pool)


@contextmanager
def _own_pool(work: Work) -> Iterator[Pool]:
    """Models for this process alone, which leave a core to the app and rest while somebody is answered."""
    from .backend.device import detect
    from .backend.pool import Pool
    from .backend.sources import Sources
    from .backend.steps import between_steps
    from .catalog import Catalog

    between_steps(work.rest)
    settings = read_settings([])
    catalog = Catalog.read(HOME / "models", settings.data_dir / "adapters")
    hardware = detect(settings.device)
    fewer = replace(hardware, cores=max(1, hardware.cores - 1))
    pool = Pool(catalog, Sources(settings.data_dir / "models", settings), fewer, settings.precision)
    try:
        yield pool
    finally:
        pool.close()


KINDS: Mapping[str, Kind] = {kind.__name__: kind for kind in (finetune, judge_table, summarize_file, translate_file)}


def run_job(path: Path, kinds: Mapping[str, Kind] = KINDS, command: Sequence[str] = WORKER) -> None:
    """Do one queued job to its end, then start the next with `command`."""
    _yield_to_people()
    supervisor = Supervisor(path.parent, read_settings([]), command)
    try:
        with supervisor.device(DEVICE_WAIT_S):
            supervisor.got_device()
            _do_queued(JobFolder(path), kinds)
    except Timeout:
        supervisor.got_device()
    finally:
        supervisor.dispatch()


def _do_queued(job: JobFolder, kinds: Mapping[str, Kind]) -> None:
    """Do it, unless it was stopped meanwhile."""
    with job.held() as held:
        if held.status.state == "queued":
            held.state("running", pid=os.getpid())
            _do(held, kinds)


def _do(held: HeldJob, kinds: Mapping[str, Kind]) -> None:
    reserve = held.folder.path / "reserve"
    try:
        reserve.write_bytes(os.urandom(RESERVE_BYTES))
        work = kinds.get(held.status.kind)
        if work is None:
            raise CanNotRun("job_kind", kind=held.status.kind)
        outcome = work(Work(held))
        reserve.unlink()
        held.state(outcome, pid=None)
    except Exception as problem:
        reserve.unlink(missing_ok=True)
        traceback.print_exc()
        sys.stderr.flush()
        held.state("failed", pack_error(_said(problem)), pid=None)


def _said(problem: Exception) -> LlmappError:
    """The error with a sentence for what went wrong; what nobody foresaw is called a bug."""
    from .backend.disk import is_full
    from .backend.memory import ran_out

    if isinstance(problem, LlmappError):
        return problem
    if ran_out(problem):
        return OutOfMemory("job_memory")
    if is_full(problem):
        return CanNotRun("job_disk_full")
    return LlmappError("job_bug", problem=f"{type(problem).__name__}: {problem}"[:300])


def _yield_to_people() -> None:
    """Low claim on the processor, and first to go when memory runs out: the app and its chat live on."""
    me = psutil.Process()
    with suppress(psutil.AccessDenied, OSError):
        me.nice(BELOW_NORMAL if sys.platform == "win32" else NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")


if __name__ == "__main__":
    run_job(Path(sys.argv[1]))
