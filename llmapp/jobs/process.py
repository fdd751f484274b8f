"""Worker processes: started on their own, known while they start, ended with all they started.

Knows processes and log files. Does not know what a job is.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from .job import write_json

SAME_START_S = 5.0
"""How far two readings of one process's start may lie apart: the clock they are counted from can be set."""
END_S = 5.0
"""How long to wait for the end of what was killed."""


def start_process(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """A process in a session of its own, its output in a file: it neither waits for this one nor ends with it."""
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def kill_family(pid: int, argument: str) -> None:
    """Kill a process and its children, if `argument` is among what it was started with: ids are used again."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if argument not in process.cmdline():
            return
        family = [process, *process.children(recursive=True)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=END_S)


class Starting:
    """A note on disk of the one worker that has been started and does not hold the device yet."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, job: str, pid: int) -> None:
        """This process was started for this job."""
        with suppress(psutil.NoSuchProcess):
            write_json(self._path, {"job": job, "pid": pid, "started": psutil.Process(pid).create_time()})

    def forget(self) -> None:
        """It holds the device, or gave up."""
        self._path.unlink(missing_ok=True)

    def under_way(self) -> bool:
        """True while there is a note and its process lives."""
        entry = self._read()
        return bool(entry) and _lives(entry)

    def died(self) -> str:
        """The job of a process that ended before its note was forgotten, or nothing."""
        entry = self._read()
        return str(entry["job"]) if entry and not _lives(entry) else ""

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}


def _lives(entry: Mapping[str, Any]) -> bool:
    try:
        process = psutil.Process(int(entry["pid"]))
        same = abs(process.create_time() - entry["started"]) < SAME_START_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
