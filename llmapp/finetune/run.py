"""A whole fine-tuning in order: rows, base, training, test on rows it never saw, an adapter that was read back.

Says where it is and asks whether to stop through `Watch`. Does not know processes, jobs or the page.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from ..backend.device import BF16_FEATURES, Hardware, choose_precision, detect
from ..backend.loader import Loaded, load_for_training
from ..backend.pool import Pool
from ..backend.progress import while_wanted
from ..backend.sources import Local, Sources
from ..catalog import Catalog, Model
from ..errors import BadInput, Busy, SourceError
from ..messages import message
from ..settings import AppSettings
from ..tasks.watch import Ordered, Watch, read_order
from .adapter import Base, hand_over, publish, save, verify
from .baseline import Before, best, by_names, by_shipped
from .batching import Encoded
from .dataset import split
from .export import pack
from .lesson import Lesson, Taught
from .order import ROWS, TESTED, LessonOrder
from .report import report_card, suspected, tested, wrong_answers
from .settings import LoraSettings, step_budget
from .train import Look, Step, probabilities, train, with_lora

MOST_LOOKED_AT = 500
"""Rows the best state is chosen with; more would take longer than the steps between."""
GOOD = 0.9
"""Share right without any training from which a person is told that they may not need one."""
POINTS = 200
"""Points of the loss curve; each is the mean of the steps since the one before."""


def run(work: Ordered, catalog: Catalog, sources: Sources, settings: AppSettings) -> Literal["done", "stopped"]:
    """Fine-tune as a `LessonOrder` says; the adapter is listed under the job's id. Raises LlmappError."""
    order = read_order(LessonOrder, work.todo)
    knobs = LoraSettings(**order.settings)
    model = catalog.model(order.base)
    if model.kind not in ("encoder", "classifier"):
        raise BadInput("training_base", model=model.name)
    work.phase("preflight")
    rows = order.rows(work.file(ROWS))
    parts = split(rows, knobs.seed)
    steps = step_budget(order.effort, len(parts.train), knobs.batch)
    _write(work, "split.json", asdict(parts))
    for note in rows.notes:
        work.say(note)
    local = _fetched(work, model, sources)
    if local is None:
        return "stopped"
    hardware = detect(settings.device)
    base = Base(model, local, choose_precision(model, hardware, settings.precision))
    lesson = Lesson(rows, parts, base, steps, knobs)
    before = _untouched(work, lesson, catalog, Pool(catalog, sources, hardware, settings.precision))
    taught = teach(lesson, hardware, work) if before else None
    if before is None or taught is None:
        return "stopped"
    work.phase("saving")
    report = report_card(lesson, taught, before) | {"effort": order.effort}
    folder = work.folder("result") / "adapter"
    keep(lesson, taught, folder)
    rows_tested = tested(lesson, taught, before)
    _write(work, TESTED, rows_tested)
    card = {"id": work.id, "name": order.name, "owner": work.owner, "task": "sentiment", "created": time.time()}
    publish(folder, card | {"base": model.id, "labels": list(rows.classes), "report": report})
    files = {"adapter": pack(folder, work.folder("result"), order.name, model)}
    doubtful = {"wrong": wrong_answers(rows_tested), "suspected": suspected(lesson, taught)}
    _write(work, "report.json", report | {"adapter": work.id, "files": files, **doubtful})
    hand_over(folder, settings.data_dir / "adapters" / work.id)
    return "done"


def teach(lesson: Lesson, hardware: Hardware, watch: Watch) -> Taught | None:
    """Train on the lesson's rows and test on those kept for it. None when it was told to stop."""
    import torch

    watch.phase("loading")
    torch.set_num_threads(max(1, hardware.cores - 1))
    torch.manual_seed(lesson.settings.seed)
    loaded = load_for_training(lesson.base.local, lesson.base.model, lesson.base.precision, lesson.rows.classes)
    encoded = _encoded(loaded, lesson, watch)
    train_rows, valid_rows, test_rows = (_picked(encoded, part) for part in _sides(lesson))
    model = with_lora(loaded.model, lesson.settings, loaded.fresh)
    watch.phase("training")
    outcome = train(
        model,
        train_rows,
        valid_rows,
        lesson.settings,
        lesson.steps,
        watch.folder("checkpoints"),
        _Teller(watch, lesson.steps),
        watch.stop_asked,
        _compute(hardware),
    )
    if not outcome.finished:
        return None
    if outcome.early:
        watch.say(message("training.early", step=outcome.best_step))
    watch.phase("evaluating")
    doubted = lesson.doubted()
    odds, learned = (probabilities(model, ids) for ids in (test_rows.ids, _picked(encoded, doubted).ids))
    return Taught(model, outcome, test_rows, odds, learned)


def keep(lesson: Lesson, taught: Taught, folder: Path) -> None:
    """Save the adapter, load it from disk again and compare. It is listed once `publish` gives it a card."""
    save(taught.model, lesson.base, folder)
    verify(folder, lesson.base, taught.test.ids, taught.odds)


def _untouched(work: Watch, lesson: Lesson, catalog: Catalog, pool: Pool) -> Before | None:
    """The best that can be had without training, on the rows kept for the test; None when told to stop meanwhile.

    A person is told where that is good already.
    """
    work.phase("baseline")
    rows, test, base = lesson.rows, lesson.parts.test, lesson.base.model.id
    labels = rows.truth
    truth, texts = [labels[i] for i in test], [rows.texts[i] for i in test]
    found: list[Before | None] = [lesson.usual()]
    report, cancel = while_wanted(work.progress, work.stop_asked)
    try:
        with pool.lease(base, report=report, cancel=cancel) as engine:
            own = lesson.base.model.kind == "classifier"
            found.append(by_shipped(engine, texts, rows.classes, lesson.base.model.name) if own else None)
            found.append(by_names(engine, texts, rows.classes))
        for adapter in (each for each in catalog.adapters("") if each.base == base and each.labels):
            with pool.lease(adapter.id, report=report, cancel=cancel) as engine:
                found.append(by_shipped(engine, texts, rows.classes, adapter.name))
    except Busy:
        if not cancel.is_set():
            raise
        return None
    finally:
        pool.close()
    before = best([each for each in found if each], truth)
    right = sum(a == t for a, t in zip(before.answers, truth, strict=True))
    good = right >= GOOD * len(truth)
    work.say(message("training.good_already" if good else "training.before", right=right, rows=len(truth)))
    return before


def _fetched(work: Watch, model: Model, sources: Sources) -> Local | None:
    """The base, downloaded where needed; None when told to stop meanwhile."""
    work.phase("loading")
    report, cancel = while_wanted(work.progress, work.stop_asked)
    try:
        return sources.fetch(model, report, cancel)
    except SourceError:
        if cancel.is_set():
            return None
        raise


def _encoded(loaded: Loaded, lesson: Lesson, watch: Watch) -> Encoded:
    """All rows as token ids, cut at the longest the settings and the model allow; how many were cut is said."""
    most = min(lesson.settings.max_tokens, lesson.base.model.context)
    whole = loaded.tokenizer(list(lesson.rows.texts), truncation=True, max_length=most + 1)["input_ids"]
    cut = sum(len(ids) > most for ids in whole)
    if cut:
        watch.say(message("training.too_long", rows=cut, tokens=most))
    ids = loaded.tokenizer(list(lesson.rows.texts), truncation=True, max_length=most)["input_ids"]
    return Encoded(ids, lesson.rows.truth)


def _sides(lesson: Lesson) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    parts, valid = lesson.parts, list(lesson.parts.valid)
    random.Random(lesson.settings.seed).shuffle(valid)  # noqa: S311  no secret
    return parts.train, sorted(valid[:MOST_LOOKED_AT]), parts.test


def _picked(rows: Encoded, positions: Sequence[int]) -> Encoded:
    return Encoded([rows.ids[i] for i in positions], [rows.labels[i] for i in positions])


def _compute(hardware: Hardware) -> str:
    """bf16 where it is made in hardware, 1.7 times as fast on a processor with AMX; else exact."""
    if hardware.device == "cuda":
        return "bfloat16" if hardware.cuda[0].half == "bf16" else "float32"
    return "bfloat16" if hardware.device == "cpu" and hardware.features & BF16_FEATURES else "float32"


class _Teller:
    """Steps and looks of a training as progress, points of a chart, and a word when it got better."""

    def __init__(self, watch: Watch, steps: int) -> None:
        self._watch, self._steps = watch, steps
        self._losses: list[float] = []
        self._right = 0.0

    def __call__(self, seen: Step | Look) -> None:
        if isinstance(seen, Step):
            self._step(seen)
            return
        self._watch.point("valid", seen.step, loss=seen.loss, accuracy=seen.accuracy, macro_f1=seen.macro_f1)
        if seen.best and seen.accuracy > self._right:
            self._right = seen.accuracy
            self._watch.say(message("training.better", right=seen.accuracy, step=seen.step))

    def _step(self, seen: Step) -> None:
        self._watch.progress(seen.step, self._steps)
        self._losses.append(seen.loss)
        if len(self._losses) * POINTS >= self._steps:
            self._watch.point("loss", seen.step, loss=sum(self._losses) / len(self._losses))
            self._losses.clear()


def _write(work: Watch, name: str, data: Any) -> None:
    (work.folder("result") / name).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
