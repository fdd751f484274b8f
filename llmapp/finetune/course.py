"""What every training does around its lesson: fetch the base, tell how it goes, write down what came of it.

Knows jobs' watches and models' sources. Does not know what is learned.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..backend.device import BF16_FEATURES, Hardware, available_memory
from ..backend.pool import Pool
from ..backend.progress import while_wanted
from ..backend.sources import Local, Sources
from ..catalog import Catalog, Model
from ..errors import SourceError
from ..messages import Message, message
from ..settings import AppSettings
from ..tasks.watch import Watch
from .rehearsal import Rehearsal
from .told import Broke, Halved, Look, Recomputing, Shortened, Step, Told

ADAPTER = "adapter"
"""The folder of an adapter in the result, until it is handed over."""
POINTS = 200
"""Points of the loss curve; each is the mean of the steps since the one before."""


@dataclass(frozen=True)
class School:
    """Where a training happens: the models there are, where they come from, what it runs on."""

    catalog: Catalog
    sources: Sources
    hardware: Hardware
    settings: AppSettings

    def room(self) -> int:
        """Bytes free where a training computes."""
        return available_memory(self.hardware)

    def pool(self, catalog: Catalog | None = None) -> Pool:
        """Models to ask, of this catalog or another; to be closed."""
        return Pool(catalog or self.catalog, self.sources, self.hardware, self.settings.precision)


@dataclass(frozen=True)
class Made:
    """What a lesson made: the adapter's folder, its report, what only the job's own report holds, a sorter's labels."""

    folder: Path
    report: dict[str, Any]
    more: Mapping[str, Any]
    labels: Sequence[str] = ()


def fetched(work: Watch, model: Model, sources: Sources) -> Local | None:
    """The base, downloaded where needed; None when told to stop meanwhile."""
    work.phase("loading")
    report, cancel = while_wanted(work.progress, work.stop_asked)
    try:
        return sources.fetch(model, report, cancel)
    except SourceError:
        if cancel.is_set():
            return None
        raise


def compute(hardware: Hardware) -> str:
    """bf16 where it is made in hardware, 1.7 times as fast on a processor with AMX; else exact."""
    if hardware.device == "cuda":
        return "bfloat16" if hardware.cuda[0].half == "bf16" else "float32"
    return "bfloat16" if hardware.device == "cpu" and hardware.features & BF16_FEATURES else "float32"


def keep_result(work: Watch, name: str, data: Any) -> None:
    """Write JSON into the job's result."""
    (work.folder("result") / name).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


def _lowered(seen: Halved | Recomputing | Shortened) -> Message:
    """What was lowered for memory, and why where that was found beforehand."""
    why = {"needs_gb": seen.needs / 1e9, "free_gb": seen.free / 1e9}
    if isinstance(seen, Shortened):
        code = "training.lowered_cut" if seen.cut else "training.lowered_left_out"
        return message(code, tokens=seen.tokens, rows=seen.rows, **why)
    if isinstance(seen, Recomputing):
        return message("training.lowered_twice", **why) if seen.needs else message("training.twice")
    if seen.needs:
        return message("training.lowered_rows", rows=seen.rows, **why)
    return message("training.halved", rows=seen.rows)


class Teller:
    """Steps and looks of a training as progress, points of a chart, and a word when it got better.

    `measure` is the score that is told, as `training.better_<measure>`: accuracy, or perplexity, of which less is more.
    """

    def __init__(self, watch: Watch, steps: int, measure: Literal["accuracy", "perplexity"]) -> None:
        self._watch, self._steps, self._measure = watch, steps, measure
        self._losses: list[float] = []
        self._best = -math.inf

    def __call__(self, seen: Told) -> None:
        if isinstance(seen, Step):
            self._step(seen)
        elif isinstance(seen, Look):
            self._look(seen)
        elif isinstance(seen, Rehearsal):
            minutes = max(1, round(seen.seconds / 60))
            self._watch.say(message("training.rehearsed", minutes=minutes, gb=seen.peak_bytes / 1e9))
        elif isinstance(seen, (Halved, Recomputing, Shortened)):
            self._watch.say(_lowered(seen))
        elif isinstance(seen, Broke):
            self._watch.say(message("training.broke", step=seen.step, kept=seen.kept, rate=seen.rate))
        else:
            self._watch.phase(seen)

    def _look(self, seen: Look) -> None:
        self._watch.point("valid", seen.step, loss=seen.loss, **seen.scores)
        if seen.samples:
            self._watch.show(seen.step, [{"text": text, "answer": answer} for text, answer in seen.samples])
        value = seen.scores[self._measure]
        worth = value if self._measure == "accuracy" else -value
        if seen.best and worth > self._best:
            self._best = worth
            self._watch.say(message(f"training.better_{self._measure}", value=value, step=seen.step))

    def _step(self, seen: Step) -> None:
        self._watch.progress(seen.step, self._steps)
        self._losses.append(seen.loss)
        if len(self._losses) * POINTS >= self._steps:
            self._watch.point("loss", seen.step, loss=sum(self._losses) / len(self._losses))
            self._losses.clear()
