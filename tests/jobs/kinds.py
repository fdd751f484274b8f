"""`python -m tests.jobs.kinds JOB_DIR`: a worker with kinds of work that are quick to do and to break."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from llmapp.errors import BadInput
from llmapp.jobs.job import write_json
from llmapp.jobs.work import Outcome, Work
from llmapp.messages import message
from llmapp.settings import read_settings
from llmapp.worker import run_job

COMMAND = (sys.executable, "-m", "tests.jobs.kinds")
BROKEN = {
    "bad_input": BadInput("no_model", model="nothing"),
    "bug": ZeroDivisionError("a bug"),
    "memory": MemoryError(),
    "disk": OSError(errno.ENOSPC, "No space left on device"),
}


def count(work: Work) -> Outcome:
    """Count to `steps`, a tenth of a second each; a checkpoint a step; the times of start and end are the result."""
    place = work.folder("checkpoints") / "step"
    began = time.monotonic()
    done = int(place.read_text()) if place.exists() else 0
    print(f"counting from {done}", flush=True)
    work.say(message("settings.about"))
    work.phase("training")
    for step in range(done + 1, work.todo["steps"] + 1):
        work.rest()
        if work.stop_asked():
            return "stopped"
        time.sleep(0.1)
        place.write_text(str(step))
        work.progress(step, work.todo["steps"])
        work.point("loss", step, loss=1 / step)
    times = {"began": began, "ended": time.monotonic(), "from": done}
    write_json(work.folder("result") / "report.json", times)
    return "done"


def read(work: Work) -> Outcome:
    """What the worker sees: its file, its owner, its settings."""
    time.sleep(work.todo.get("seconds", 0))
    seen = {"rows": work.file("rows.csv").read_text(), "named": work.file_name("rows.csv"), "owner": work.owner}
    settings = read_settings([])
    seen |= {"token": settings.hub_token, "offline": settings.offline, "data_dir": str(settings.data_dir)}
    write_json(work.folder("result") / "report.json", seen)
    return "done"


def stubborn(work: Work) -> Outcome:
    """Never looks whether it should stop, and has a child."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (work.folder("result") / "child").write_text(str(child.pid))
    time.sleep(600)
    return "done"


def broken(work: Work) -> Outcome:
    """Raise what is asked for."""
    raise BROKEN[work.todo["how"]]


def torn(work: Work) -> Outcome:
    """Count; the first time, be killed in the middle of the write of an event."""
    marker, write = work.folder("checkpoints") / "was-torn", os.write

    def half(file: int, line: bytes) -> int:
        if b'"series": "loss", "step": 3' in line:
            marker.touch()
            write(file, line[: len(line) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(file, line)

    if not marker.exists():
        os.write = half
    return count(work)


def fill(work: Work) -> Outcome:
    """Count, keep a little more a step, and take all there is of the disk at step 5, unless there was room made."""
    hog = work.folder("checkpoints").parent.parent / "hog"
    if not hog.exists():
        fill_up(hog)
    for step in range(1, 2000):
        work.point("loss", step, loss=1 / step)
    return count(work)


def fill_up(hog: Path) -> None:
    """Take all room that the disk of this file has."""
    with hog.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 12))


def clock_of(place: Path) -> Callable[[], float]:
    """The time of day, set back by as many seconds as the file says."""
    true = time.time
    return lambda: true() - (float(place.read_text()) if place.exists() else 0.0)


KINDS = {work.__name__: work for work in (count, read, stubborn, broken, torn, fill)}

if __name__ == "__main__":
    time.time = clock_of(Path(sys.argv[1]).parent / "set-back")
    run_job(Path(sys.argv[1]), KINDS, COMMAND)
