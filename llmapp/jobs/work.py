"""What a running job sees of itself: what to do, where to put it, how to say how far it is, whether to stop.

Knows the job's folder. Does not know what the work is, processes, or who looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ..errors import BadInput
from ..messages import Message, message
from .job import BEAT, HeldJob, sha256
from .rest import Rest

Outcome = Literal["done", "stopped"]
Kind = Callable[["Work"], Outcome]
"""The function that does one kind of job: raises for what went wrong, returns "stopped" when told to stop."""

STATUS_EVERY_S = 0.5


class Work:
    """A held job, as the function sees it that does the work."""

    def __init__(self, job: HeldJob) -> None:
        self._job = job
        self._spec = job.folder.spec()
        self._phase_began = self._written = time.monotonic()
        self._first_step: int | None = None
        self.rest = Rest(job.folder.path.parent / BEAT, self.stop_asked)

    @property
    def id(self) -> str:
        """The job's id."""
        return self._spec.id

    @property
    def owner(self) -> str:
        """Who asked for it."""
        return self._spec.owner

    @property
    def todo(self) -> Mapping[str, Any]:
        """What was asked, as given to `Supervisor.start`."""
        return self._spec.work

    def file(self, name: str) -> Path:
        """The job's own copy of a file. Raises BadInput when it is no longer what was given."""
        entry = self._spec.files[name]
        path = self._job.folder.path / "data" / name
        if not path.is_file() or sha256(path) != entry["sha256"]:
            raise BadInput("job_data_changed", file=entry["name"])
        return path

    def file_name(self, name: str) -> str:
        """What the person called that file."""
        return self._spec.files[name]["name"]

    def folder(self, name: Literal["checkpoints", "result"]) -> Path:
        """The work's own folder, made if it is not there."""
        folder = self._job.folder.path / name
        folder.mkdir(exist_ok=True)
        return folder

    def phase(self, name: str) -> None:
        """What happens now: a word of the work with a sentence `job.phase_<name>`; steps count from 0 again."""
        self._phase_began, self._first_step = time.monotonic(), None
        self._job.event("phase", message(f"job.phase_{name}"), {"phase": name})
        self._job.change(phase=name, step=0, steps=0, eta_s=None)

    def say(self, words: Message) -> None:
        """A sentence for the person who watches."""
        self._job.event("say", words)

    def point(self, name: str, step: int, **values: float) -> None:
        """Numbers for a chart: one point of the series `name` at this step."""
        self._job.event("point", data={"series": name, "step": step, **values})

    def show(self, step: int, rows: Sequence[Mapping[str, str]]) -> None:
        """What it would say at this step: {"text", "answer"} each."""
        self._job.event("shown", data={"step": step, "rows": [dict(row) for row in rows]})

    def progress(self, step: int, steps: int) -> None:
        """How far this phase is. What is left is reckoned from the steps seen since the phase began."""
        now = time.monotonic()
        if self._first_step is None:
            self._phase_began, self._first_step = now, step
        if step < steps and now - self._written < STATUS_EVERY_S:
            return
        self._written = now
        seen = step - self._first_step
        eta = (now - self._phase_began) / seen * (steps - step) if seen > 0 else None
        self._job.change(step=step, steps=steps, eta_s=eta)

    def stop_asked(self) -> bool:
        """True when the person asked it to stop; the work then keeps what it has and returns "stopped"."""
        return self._job.folder.stop_asked()
