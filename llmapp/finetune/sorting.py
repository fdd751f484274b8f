"""To sort texts: the untouched model asked, a classifier trained, tested on rows it never saw, read back from disk.

Says where it is and asks whether to stop through `Watch`. Does not know processes, jobs or the page.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from ..backend.device import Hardware, choose_precision
from ..backend.loader import Loaded, load_for_training
from ..backend.progress import while_wanted
from ..errors import Busy
from ..messages import message
from ..tasks.watch import Ordered, Watch
from .adapter import Base, save, verify
from .baseline import Before, best, by_names, by_shipped
from .batching import Encoded
from .course import ADAPTER, Made, School, Teller, compute, fetched, keep_result
from .dataset import split
from .goals import settings_for
from .lesson import Lesson, Taught
from .objective import Sorting, probabilities
from .order import ROWS, TESTED, LessonOrder
from .report import report_card, suspected, tested, wrong_answers
from .settings import step_budget
from .train import train, with_lora

MOST_LOOKED_AT = 500
"""Rows the best state is chosen with; more would take longer than the steps between."""
GOOD = 0.9
"""Share right without any training from which a person is told that they may not need one."""


def learn_to_sort(work: Ordered, order: LessonOrder, school: School) -> Made | None:
    """The adapter that tells the labels of the order's table apart; None when told to stop meanwhile."""
    knobs, model = settings_for(order.goal, order.settings), school.catalog.model(order.base)
    rows = order.rows(work.file(ROWS))
    parts = split(rows, knobs.seed)
    steps = step_budget(order.effort, len(parts.train), knobs.batch)
    keep_result(work, "split.json", asdict(parts))
    for note in rows.notes:
        work.say(note)
    local = fetched(work, model, school.sources)
    if local is None:
        return None
    base = Base(model, local, choose_precision(model, school.hardware, school.settings.precision))
    lesson = Lesson(rows, parts, base, steps, knobs)
    before = _untouched(work, lesson, school)
    taught = teach(lesson, school.hardware, work, school.room) if before else None
    if before is None or taught is None:
        return None
    work.phase("saving")
    folder = work.folder("result") / ADAPTER
    keep(lesson, taught, folder)
    rows_tested = tested(lesson, taught, before)
    keep_result(work, TESTED, rows_tested)
    doubtful = {"wrong": wrong_answers(rows_tested), "suspected": suspected(lesson, taught)}
    return Made(folder, report_card(lesson, taught, before), doubtful, rows.classes)


def teach(lesson: Lesson, hardware: Hardware, watch: Watch, room: Callable[[], int] | None = None) -> Taught | None:
    """Train on the lesson's rows and test on those kept for it. None when it was told to stop.

    `room`: bytes that are free; it is made to fit into them.
    """
    import torch

    watch.phase("loading")
    torch.set_num_threads(max(1, hardware.cores - 1))
    torch.manual_seed(lesson.settings.seed)
    loaded = load_for_training(lesson.base.local, lesson.base.model, lesson.base.precision, lesson.rows.classes)
    encoded = _encoded(loaded, lesson, watch)
    train_rows, valid_rows, test_rows = (_picked(encoded, part) for part in _sides(lesson))
    model = with_lora(loaded.model, lesson.settings, loaded.fresh)
    outcome = train(
        model,
        Sorting(train_rows, valid_rows, len(lesson.rows.classes)),
        lesson.settings,
        lesson.steps,
        watch.folder("checkpoints"),
        Teller(watch, lesson.steps, "accuracy"),
        watch.stop_asked,
        compute(hardware),
        room,
    )
    if not outcome.finished:
        return None
    if outcome.early:
        watch.say(message("training.early", step=outcome.best_step))
    watch.phase("evaluating")
    doubted = lesson.doubted()
    asked = (test_rows.ids, _picked(encoded, doubted).ids)
    odds, learned = (probabilities(model, ids, outcome.parts) for ids in asked)
    return Taught(model, outcome, test_rows, odds, learned)


def keep(lesson: Lesson, taught: Taught, folder: Path) -> None:
    """Save the adapter, load it from disk again and compare. It is listed once `publish` gives it a card."""
    save(taught.model, lesson.base, folder)
    parts = taught.outcome.parts
    verify(folder, lesson.base, lambda model: probabilities(model, taught.test.ids, parts), taught.odds)


def _untouched(work: Watch, lesson: Lesson, school: School) -> Before | None:
    """The best that can be had without training, on the rows kept for the test; None when told to stop meanwhile.

    A person is told where that is good already.
    """
    work.phase("baseline")
    rows, test, base = lesson.rows, lesson.parts.test, lesson.base.model.id
    labels = rows.truth
    truth, texts = [labels[i] for i in test], [rows.texts[i] for i in test]
    found: list[Before | None] = [lesson.usual()]
    report, cancel = while_wanted(work.progress, work.stop_asked)
    pool = school.pool()
    try:
        with pool.lease(base, report=report, cancel=cancel) as engine:
            own = lesson.base.model.kind == "classifier"
            found.append(by_shipped(engine, texts, rows.classes, lesson.base.model.name) if own else None)
            found.append(by_names(engine, texts, rows.classes))
        for adapter in (each for each in school.catalog.adapters("") if each.base == base and each.labels):
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
