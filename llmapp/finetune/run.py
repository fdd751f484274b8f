"""A whole fine-tuning in order: what is asked for, the lesson, an adapter that is listed with its report.

Does not know how anything is learned, processes, jobs or the page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal

from ..backend.device import detect
from ..backend.sources import Sources
from ..catalog import Catalog
from ..settings import AppSettings
from ..tasks.watch import Ordered, read_order
from .adapter import hand_over, publish
from .course import Made, School, keep_result
from .export import pack
from .goals import TASKS, Goal, check_base
from .order import LessonOrder
from .sorting import learn_to_sort
from .writing import learn_to_write

LESSONS: Mapping[Goal, Callable[[Ordered, LessonOrder, School], Made | None]] = {
    "sort": learn_to_sort,
    "answer": learn_to_write,
    "rewrite": learn_to_write,
}


def run(work: Ordered, catalog: Catalog, sources: Sources, settings: AppSettings) -> Literal["done", "stopped"]:
    """Fine-tune as a `LessonOrder` says; the adapter is listed under the job's id. Raises LlmappError."""
    order = read_order(LessonOrder, work.todo)
    model = catalog.model(order.base)
    check_base(order.goal, model)
    work.phase("preflight")
    made = LESSONS[order.goal](work, order, School(catalog, sources, detect(settings.device), settings))
    if made is None:
        return "stopped"
    inputs = [order.text, order.second] if order.second else []
    report = made.report | {"goal": order.goal, "effort": order.effort, "inputs": inputs}
    card = {"id": work.id, "name": order.name, "owner": work.owner, "task": TASKS[order.goal], "created": time.time()}
    publish(made.folder, card | {"base": model.id, "labels": list(made.labels), "report": report})
    files = {"adapter": pack(made.folder, work.folder("result"), order.name, model)}
    keep_result(work, "report.json", report | {"adapter": work.id, "files": files, **made.more})
    hand_over(made.folder, settings.data_dir / "adapters" / work.id)
    return "done"
