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
        if not _lives(pid, argument):
            return
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=END_S)


class Starting:
    """A note on disk of the one worker that has been started and does not hold the device yet.

    It names a process by its id and what it was started with, not by when: that moves with the clock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, job: str, pid: int, argument: str) -> None:
        """This process was started for this job, with this among its arguments."""
        write_json(self._path, {"job": job, "pid": pid, "argument": argument})

    def forget(self) -> None:
        """It holds the device, or gave up."""
        self._path.unlink(missing_ok=True)

    def under_way(self) -> bool:
        """True while there is a note and its process lives."""
        entry = self._read()
        return bool(entry) and self._there(entry)

    def died(self) -> str:
        """The job of a process that ended before its note was forgotten, or nothing."""
        entry = self._read()
        return str(entry["job"]) if entry and not self._there(entry) else ""

    def _there(self, entry: Mapping[str, Any]) -> bool:
        return "argument" in entry and _lives(int(entry["pid"]), str(entry["argument"]))

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}


def _lives(pid: int, argument: str) -> bool:
    try:
        process = psutil.Process(pid)
        return argument in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
