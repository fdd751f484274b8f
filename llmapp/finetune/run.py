"""A whole fine-tuning in order: rows, base, training, test on rows it never saw, an adapter that was read back.

Says where it is and asks whether to stop through `Watch`. Does not know processes, jobs or the page.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..backend.device import BF16_FEATURES, Hardware, choose_precision, detect
from ..backend.loader import Loaded, load_for_training
from ..backend.progress import while_wanted
from ..backend.sources import Local, Sources
from ..catalog import Catalog, Model
from ..errors import BadInput, SourceError
from ..messages import message
from ..settings import AppSettings
from ..tasks.metrics import score
from ..tasks.watch import Ordered, Watch, read_order
from .adapter import Base, hand_over, publish, save, verify
from .batching import Encoded
from .dataset import Rows, Split, read_table, split, validate
from .evaluate import commonest, interval, mcnemar
from .order import ROWS, LessonOrder
from .settings import LoraSettings, step_budget
from .train import Look, Outcome, Step, hash_of, probabilities, train, with_lora

MOST_LOOKED_AT = 500
"""Rows the best state is chosen with; more would take longer than the steps between."""
MOST_WRONG = 20
POINTS = 200
"""Points of the loss curve; each is the mean of the steps since the one before."""


@dataclass(frozen=True)
class Lesson:
    """What shall be learned, on what, how."""

    rows: Rows
    parts: Split
    base: Base
    steps: int
    settings: LoraSettings = field(default_factory=LoraSettings)


@dataclass(frozen=True)
class Taught:
    """A trained model, and its answers on the rows kept for the test: probabilities of shape (rows, labels)."""

    model: Any
    outcome: Outcome
    test: Encoded
    odds: NDArray[np.float64]


def run(work: Ordered, catalog: Catalog, sources: Sources, settings: AppSettings) -> Literal["done", "stopped"]:
    """Fine-tune as a `LessonOrder` says; the adapter is listed under the job's id. Raises LlmappError."""
    order = read_order(LessonOrder, work.todo)
    knobs = LoraSettings(**order.settings)
    model = catalog.model(order.base)
    if model.kind not in ("encoder", "classifier"):
        raise BadInput("training_base", model=model.name)
    work.phase("preflight")
    rows = validate(read_table(work.file(ROWS)), order.text, order.label)
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
    taught = teach(lesson, hardware, work)
    if taught is None:
        return "stopped"
    work.phase("saving")
    report = report_card(lesson, taught) | {"effort": order.effort}
    folder = work.folder("result") / "adapter"
    keep(lesson, taught, folder)
    _write(work, "report.json", report | {"adapter": work.id, "wrong": wrong_answers(lesson, taught)})
    card = {"id": work.id, "name": order.name, "owner": work.owner, "task": "sentiment", "created": time.time()}
    publish(folder, card | {"base": model.id, "labels": list(rows.classes), "report": report})
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
    odds = probabilities(model, test_rows.ids)
    return Taught(model, outcome, test_rows, odds)


def report_card(lesson: Lesson, taught: Taught) -> dict[str, Any]:
    """How good it is on rows it never saw, fractions of 1, and what made it.

    `before` is always naming the commonest label: a new head has no skill before its training. `p`: how likely so
    large a difference is by luck. `interval`: where the true accuracy is, in 95 of 100 tests.
    """
    labels, truth = lesson.rows.classes, list(taught.test.labels)
    answers = taught.odds.argmax(-1).tolist()
    usual = commonest([lesson.rows.classes.index(lesson.rows.labels[i]) for i in lesson.parts.train])
    before, after = score(truth, [usual] * len(truth), labels), score(truth, answers, labels)
    hits = [answer == true for answer, true in zip(answers, truth, strict=True)]
    outcome = taught.outcome
    return {
        "test_rows": len(truth),
        "train_rows": len(lesson.parts.train),
        "valid_rows": len(lesson.parts.valid),
        "labels": list(labels),
        "before": {"kind": "commonest", "answer": labels[usual], **_short(before)},
        "after": {**_short(after), "labels": {name: asdict(entry) for name, entry in after.labels.items()}},
        "interval": interval(sum(hits), len(hits)),
        "p": mcnemar([true == usual for true in truth], hits),
        "confusion": after.confusion,
        "steps": outcome.steps,
        "best_step": outcome.best_step,
        "early": outcome.early,
        "minutes": round(outcome.seconds / 60, 2),
        "settings": asdict(lesson.settings),
        "base": lesson.base.model.id,
        "revision": lesson.base.local.revision,
        "precision": lesson.base.precision.kind,
        "sha256": hash_of([lesson.rows.texts, lesson.rows.labels]),
    }


def wrong_answers(lesson: Lesson, taught: Taught) -> list[dict[str, Any]]:
    """Tested rows it got wrong, the surest first: {"row", "text", "label", "answer", "probability"}."""
    labels, rows = lesson.rows.classes, lesson.rows
    answers = zip(lesson.parts.test, taught.odds.argmax(-1).tolist(), taught.odds.max(-1).tolist(), strict=True)
    wrong = [(sure, i, labels[answer]) for i, answer, sure in answers if labels[answer] != rows.labels[i]]
    return [
        {"row": rows.numbers[i], "text": rows.texts[i], "label": rows.labels[i], "answer": said, "probability": sure}
        for sure, i, said in sorted(wrong, reverse=True)[:MOST_WRONG]
    ]


def keep(lesson: Lesson, taught: Taught, folder: Path) -> None:
    """Save the adapter, load it from disk again and compare. It is listed once `publish` gives it a card."""
    save(taught.model, lesson.base, folder)
    verify(folder, lesson.base, taught.test.ids, taught.odds)


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
    return Encoded(ids, [lesson.rows.classes.index(label) for label in lesson.rows.labels])


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


def _short(scores: Any) -> dict[str, float]:
    return {"accuracy": scores.accuracy, "macro_f1": scores.macro_f1}


def _write(work: Watch, name: str, data: Any) -> None:
    (work.folder("result") / name).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
