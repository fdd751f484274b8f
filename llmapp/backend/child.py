"""Work in a child process, so that its memory is gone when it ends: progress and one error come as lines of JSON.

Knows processes and the errors of this app. Does not know what the work is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from .. import errors
from ..errors import LlmappError
from .progress import Progress, Report
from .waiting import in_background

NICENESS = 5
HOME = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a child ended that did its work: the last it reported, and what its work returned."""

    last: Progress
    made: Any


def run_child(
    module: str, arguments: Sequence[str], report: Report, environment: Mapping[str, str] | None = None
) -> Ended | None:
    """Run `python -m module arguments` to its end; None when it was ended from outside.

    A `report` that raises stops it. `environment` is its own instead of this process's. Raises what the child raised,
    where it has words; a bug with its traceback.
    """
    with tempfile.TemporaryFile() as log:
        with _started([sys.executable, "-m", module, *arguments], log, environment) as child:
            try:
                ended = _follow(child, report)
                child.wait()
            finally:
                child.kill()
                child.wait()
        log.seek(0)
        trace = log.read().decode(errors="replace")
    if child.returncode and not trace:
        return None
    if child.returncode:
        raise RuntimeError(f"{module} failed:\n{trace}")
    return ended


def be_child(work: Callable[[Report], Any]) -> int:
    """The child's side: does the work, says how far it is and what it returned; gives its exit status."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)

    def line(said: object) -> None:
        print(json.dumps(said, default=str), flush=True)

    try:
        line({"made": work(lambda progress: line(asdict(progress)))})
    except LlmappError as problem:
        line({"error": type(problem).__name__, "code": problem.code, "values": dict(problem.message.values)})
        return 1
    return 0


def _started(command: list[str], log: IO[bytes], environment: Mapping[str, str] | None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=HOME,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        encoding="utf-8",
    )


def _follow(child: subprocess.Popen[str], report: Report) -> Ended:
    """Pass on what the child says; where it is silent, say the last again, so that `report` can stop it."""
    last, made, stop = Progress("converting"), None, threading.Event()
    try:
        for line in in_background(lambda: iter(child.stdout or ()), stop):
            said = json.loads(line) if line else asdict(last)
            if "error" in said:
                raise getattr(errors, said["error"])(said["code"], **said["values"])
            if "made" in said:
                made = said["made"]
                continue
            last = Progress(**said)
            report(last)
    finally:
        stop.set()
    return Ended(last, made)
