"""How many rows a second a training learns from, beside the usual trainers: `python -m benchmarks.bench_train`

Sorting: film snippets, all-MiniLM-L6-v2 under a new head, beside `transformers.Trainer`. Writing: SmolLM2 135M on the
long and short descriptions of Debian's packages, one asked for by the other, beside TRL's `SFTTrainer`, loss on the
answers. All sides: the same rows as the same tokens (padded by batch, never cut), batch, steps, schedule, LoRA and its
first weights, threads; only the loop is timed, and one function scores every side on rows that none saw.

  ours, ours_bf16   the app's own loop, as it computes on processors that bf16 is not made for, and is
  peer              the trainer with its defaults, but bf16 (SFTTrainer's) only where the processor is made for it
  lean              SFTTrainer in fp32, without its default of computing everything twice to save memory

Prints one JSON object. For each part:
  ratio             as the app would train over `peer`: rows a second, median of the rounds, turn about
  ratio_fp32        ours over the fastest fp32 of the other's
  rows_per_s        medians
  score, error      held-out accuracy, or loss of an answer's token (less is better), and its standard error
  bf16_off          difference that bf16 makes to the score, in standard errors; none where it is not made for it
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
import trl
from datasets import Dataset

from llmapp.backend.device import detect
from llmapp.backend.engine import Precision
from llmapp.backend.loader import Loaded, load_for_training
from llmapp.backend.tokens import Tokens
from llmapp.finetune.batching import Encoded, Example
from llmapp.finetune.course import compute
from llmapp.finetune.goals import SORTER, WRITER, settings_for
from llmapp.finetune.gradients import Gradients
from llmapp.finetune.objective import Objective, Sorting, Writing, answer_losses, probabilities
from llmapp.finetune.pairs import Pairs, encoded
from llmapp.finetune.settings import LoraSettings
from llmapp.finetune.told import Step
from llmapp.finetune.train import WARMUP, WEIGHT_DECAY, _Run, lora_config, with_lora
from llmapp.messages import message

from .data import debian_descriptions, movie_snippets
from .house import catalog, machine, packaged

LABELS = ("negative", "positive")
FP32 = Precision("fp32", "float32", "cpu", message("reason.cpu"))
SORT_STEPS, WRITE_STEPS, ROUNDS = 60, 10, 2
SORT_HELD, WRITE_HELD = 1000, 48
LONGEST, LEAST_WORDS = 256, 5
SEED = 7


@dataclass(frozen=True)
class Ran:
    """One training: rows learned from in a second, and what it came to on rows it never saw, with its error."""

    rows_per_s: float
    score: float
    error: float


Side = Callable[[], Ran]
Score = Callable[[Any], tuple[float, float]]


@dataclass(frozen=True)
class Task:
    """What all sides learn: how a base is loaded, which LoRA, how long, and how the end is scored."""

    base: Callable[[], Loaded]
    kind: str
    settings: LoraSettings
    steps: int
    objective: Objective
    rows: Sequence[Mapping[str, Any]]
    score: Score


def ours(task: Task, number_format: str = "float32") -> Ran:
    """By the app's own loop."""
    loaded = task.base()
    model = with_lora(loaded.model, task.settings, loaded.fresh, task.kind)
    with tempfile.TemporaryDirectory() as place:
        gradients = Gradients(model, task.objective, number_format, lambda _: None)
        run = _Run(model, task.objective, task.settings, task.steps, Path(place), gradients)
        began = time.perf_counter()
        rows = sum(step.rows for _ in range(task.steps) if isinstance(step := run.forward(), Step))
        seconds = time.perf_counter() - began
    return Ran(rows / seconds, *task.score(model))


class Clock(transformers.TrainerCallback):  # type: ignore[misc]
    """Seconds of the loop alone."""

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.began = time.perf_counter()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.seconds = time.perf_counter() - self.began


def sorted_by_peer(task: Task) -> Ran:
    """By `transformers.Trainer`, which pads by batch where it has the tokenizer."""
    from peft import get_peft_model

    loaded = task.base()
    torch.manual_seed(task.settings.seed)
    model = get_peft_model(loaded.model, lora_config(task.settings, loaded.fresh, task.kind))
    with tempfile.TemporaryDirectory() as place:
        trainer = transformers.Trainer(
            model=model,
            args=transformers.TrainingArguments(**told(task, place)),
            train_dataset=Dataset.from_list(list(task.rows)),
            processing_class=loaded.tokenizer,
        )
        return timed(task, trainer)


def written_by_peer(task: Task, **changed: Any) -> Ran:
    """By TRL's trainer, its loss on the answers."""
    loaded = task.base()
    with tempfile.TemporaryDirectory() as place:
        trainer = trl.SFTTrainer(
            model=loaded.model,
            args=trl.SFTConfig(**told(task, place), max_length=LONGEST, completion_only_loss=True, **changed),
            train_dataset=Dataset.from_list(list(task.rows)),
            processing_class=loaded.tokenizer,
            peft_config=lora_config(task.settings, task=task.kind),
        )
        return timed(task, trainer)


def told(task: Task, place: str) -> dict[str, Any]:
    """What both of the others' trainers are told, so that they do the same work."""
    return {
        "output_dir": place,
        "per_device_train_batch_size": task.settings.batch,
        "max_steps": task.steps,
        "learning_rate": task.settings.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": max(1, round(WARMUP * task.steps)),
        "weight_decay": WEIGHT_DECAY,
        "seed": task.settings.seed,
        "use_cpu": True,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
    }


def timed(task: Task, trainer: Any) -> Ran:
    """Train, and score the model without what the trainer put around it."""
    clock = Clock()
    trainer.add_callback(clock)
    trainer.train()
    model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    return Ran(task.settings.batch * task.steps / clock.seconds, *task.score(model))


def sorting(steps: int) -> Task:
    """Film snippets to their mood."""
    rows = movie_snippets()
    random.Random(SEED).shuffle(rows)
    settings, base = settings_for("sort", {}), partial(loaded_base, SORTER, LABELS)
    count = steps * settings.batch
    ids = base().tokenizer([row.text for row in rows[: SORT_HELD + count]])["input_ids"]
    truth = [LABELS.index(row.label) for row in rows[: SORT_HELD + count]]
    held, learned = (Encoded(ids[part], truth[part]) for part in (slice(SORT_HELD), slice(SORT_HELD, None)))
    told_rows = [{"input_ids": i, "label": label} for i, label in zip(learned.ids, learned.labels, strict=True)]
    return Task(base, "SEQ_CLS", settings, steps, Sorting(learned, held, 2), told_rows, partial(accuracy, held))


def writing(steps: int) -> Task:
    """Every other package is described when its short description is given; of the others, the other way round."""
    packages = debian_descriptions(words=LEAST_WORDS)
    random.Random(SEED).shuffle(packages)
    settings, base = settings_for("answer", {"max_tokens": LONGEST}), partial(loaded_base, WRITER, None)
    inputs = [f"In one line: {p.text}" if i % 2 else f"What is {p.name}? ({p.summary})" for i, p in enumerate(packages)]
    answers = [p.summary if i % 2 else p.text for i, p in enumerate(packages)]
    pairs = Pairs(tuple(inputs), tuple(answers), tuple(range(len(packages))), ())
    tokens, count = Tokens(base().tokenizer, catalog().model(WRITER)), WRITE_HELD + steps * settings.batch
    rows = list(encoded(tokens, pairs, range(2 * count), LONGEST).values())[:count]
    held, learned = rows[:WRITE_HELD], rows[WRITE_HELD:]
    told_rows = [
        {"input_ids": row.ids, "completion_mask": [int(i >= row.start) for i in range(len(row.ids))]} for row in learned
    ]
    objective = Writing(learned, held, lambda _: [])
    return Task(base, "CAUSAL_LM", settings, steps, objective, told_rows, partial(loss_of_a_token, held))


def loaded_base(name: str, labels: Sequence[str] | None) -> Loaded:
    """A packaged model to train, a new head's first weights always the same."""
    torch.manual_seed(0)
    return load_for_training(packaged(name), catalog().model(name), FP32, labels)


def accuracy(held: Encoded, model: Any) -> tuple[float, float]:
    """Share of the held-out rows that are right, and its standard error."""
    right = float((probabilities(model, held.ids).argmax(-1) == held.labels).mean())
    return right, math.sqrt(right * (1 - right) / len(held.labels))


def loss_of_a_token(held: Sequence[Example], model: Any) -> tuple[float, float]:
    """Mean over all tokens of the held-out answers, in nats, and its standard error, rows being what was drawn."""
    losses, counts = answer_losses(model, held), np.array([row.answer_tokens for row in held])
    mean = losses.sum() / counts.sum()
    return float(mean), float(np.sqrt(np.square(losses - mean * counts).sum()) / counts.sum())


def sides_of(part: str, task: Task, bf16: bool) -> dict[str, Side]:
    """Who trains."""
    mine: dict[str, Side] = {"ours": partial(ours, task)}
    if bf16:
        mine["ours_bf16"] = partial(ours, task, "bfloat16")
    if part == "sort":
        return {**mine, "peer": partial(sorted_by_peer, task)}
    lean = partial(written_by_peer, task, bf16=False, gradient_checkpointing=False)
    return {**mine, "peer": partial(written_by_peer, task, bf16=bf16), "lean": lean}


def measured(part: str, task: Task, rounds: int, bf16: bool) -> dict[str, Any]:
    """All sides, turn about, after a step each that does not count."""
    for warm in sides_of(part, replace(task, steps=1, score=lambda _: (0.0, 0.0)), bf16).values():
        warm()
    sides = sides_of(part, task, bf16)
    found: dict[str, list[Ran]] = {name: [] for name in sides}
    for i in range(rounds):
        for name in list(sides)[:: -1 if i % 2 else 1]:
            found[name].append(sides[name]())
            print(part, i, name, found[name][-1], file=sys.stderr)
    app, exact = ("ours_bf16" if bf16 else "ours"), ("lean" if "lean" in sides else "peer")
    last = {name: ran[-1] for name, ran in found.items()}
    off = abs(last["ours_bf16"].score - last["ours"].score) / last["ours"].error if bf16 else None
    lengths = task.objective.lengths
    return {
        "ratio": median_ratio(found[app], found["peer"]),
        "ratio_fp32": median_ratio(found["ours"], found[exact]),
        "rows_per_s": {name: round(statistics.median(r.rows_per_s for r in ran), 2) for name, ran in found.items()},
        "score": {name: round(ran.score, 4) for name, ran in last.items()},
        "error": round(last["ours"].error, 4),
        "bf16_off": off,
        "steps": task.steps,
        "batch": task.settings.batch,
        "tokens": {"median": statistics.median(lengths), "mean": round(statistics.mean(lengths)), "most": max(lengths)},
    }


def median_ratio(mine: Sequence[Ran], other: Sequence[Ran]) -> float:
    """How many times as fast, of each round."""
    return round(statistics.median(a.rows_per_s / b.rows_per_s for a, b in zip(mine, other, strict=True)), 2)


TASKS: Mapping[str, tuple[Callable[[int], Task], int]] = {
    "sort": (sorting, SORT_STEPS),
    "write": (writing, WRITE_STEPS),
}


def main() -> None:
    """Both parts, or one; one JSON object."""
    parser = argparse.ArgumentParser(description="Rows a second, beside the usual trainers.")
    parser.add_argument("--part", choices=tuple(TASKS), help="only this one")
    parser.add_argument("--steps", type=int, help=f"of a training; {SORT_STEPS} and {WRITE_STEPS} unless told")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--bf16", action="store_true", help="also where the processor is not made for it")
    given = parser.parse_args()
    bf16 = given.bf16 or compute(detect("cpu")) == "bfloat16"
    parts = [given.part] if given.part else list(TASKS)
    with redirect_stdout(sys.stderr):
        found = {
            part: measured(part, TASKS[part][0](given.steps or TASKS[part][1]), given.rounds, bf16) for part in parts
        }
    about = {"threads": torch.get_num_threads(), "machine": machine(), "transformers": transformers.__version__}
    print(json.dumps({**found, "rounds": given.rounds, **about, "trl": trl.__version__}))


if __name__ == "__main__":
    main()
