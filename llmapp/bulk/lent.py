"""The model that long work asks for, lent while it is needed, and what is kept about it. Knows no task and no job."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..backend.engine import Engine
from ..backend.pool import Pool
from ..backend.progress import while_wanted
from ..errors import Busy
from ..tasks.watch import Ordered

T = TypeVar("T")


def with_model(work: Ordered, pool: Pool, model: str, use: Callable[[Engine], T]) -> T | None:
    """What `use` makes with a model, by name; None where the work is told to stop while it loads."""
    work.phase("loading")
    report, cancel = while_wanted(work.progress, work.stop_asked)
    try:
        with pool.lease(model, work.owner, report, cancel) as engine:
            _made_file(work).write_text(json.dumps(engine.info.facts()), encoding="utf-8")
            return use(engine)
    except Busy:
        if not cancel.is_set():
            raise
        return None


def save_report(work: Ordered, report: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Keep what there is to say about the result, and what made it; where no model was loaded yet, nothing did.

    `made` is the engine's facts, and the `settings` that the work was ordered with.
    """
    made = _made_file(work)
    by = json.loads(made.read_text(encoding="utf-8")) if made.exists() else {}
    if by:
        by["settings"] = dict(settings)
    path = work.folder("result") / "report.json"
    path.write_text(json.dumps(report | {"made": by}, ensure_ascii=False), encoding="utf-8")


def _made_file(work: Ordered) -> Path:
    return work.folder("checkpoints") / "made.json"
