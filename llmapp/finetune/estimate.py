"""What a training will cost, reckoned before any model is loaded: gigabytes and minutes, for a base and one's rows.

Knows catalog entries, lengths of rows and what the machine is. Loads nothing: a rehearsal measures, and decides.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from ..backend.choose import USEFUL_CORES
from ..backend.device import Hardware, choose_precision
from ..catalog import Model, Shape
from .course import compute
from .gradients import MOST_PARTS
from .lengths import Lengths
from .lowering import SHARE
from .settings import LoraSettings, step_budget
from .train import KEPT_OF_A_WEIGHT

Badge = Literal["fits", "tight", "too_big"]

WORKER_BYTES = 550_000_000
"""What a process of its own takes with torch, transformers and PEFT imported; measured on Linux."""
VALUE_BYTES: Mapping[str, float] = {"float32": 4, "bfloat16": 3}
"""Of a value that is kept: with bf16 about half of them stay in fp32."""
ATTENTION_VALUES = 3.5
"""Kept for each head and pair of tokens where attention itself drops values by chance, as encoders' does."""
HEAD_VALUES = 3.5
"""Kept for each word of the vocabulary at each token of an answer."""
FLOPS_OF_A_WEIGHT = 4
"""For a token: two forward, two back through it; what is frozen has no gradient of its own."""
CORE_FLOPS, CARD_FLOPS = 2e10, 2e13
"""A second, where no training has told yet. Measured: 15 to 33 GFLOP/s on one busy core; the card's is a guess."""
TEMPLATE_TOKENS = 40
"""What a chat template sets around a question and its answer."""
LOOKED_AT = 400
"""Rows whose tokens are counted, beside the longest."""
LATEST = 5
"""Trainings that tell how fast this machine is."""


@dataclass(frozen=True)
class Rows:
    """Rows to learn from, as tokens of one base: how many, how long they are, and their answers, 0 for labels."""

    count: int
    mean: float
    longest: int
    answer: int = 0


@dataclass(frozen=True)
class Estimate:
    """`needs`: bytes of a training as it is wished, `least`: of one that is lowered as far as shortens no row; `badge`
    says which of them fits. `minutes` are rough where no training has run here yet.
    """

    badge: Badge
    needs: int
    least: int
    minutes: float


def rows_of(texts: Sequence[str], answers: Sequence[str], lengths: Lengths, settings: LoraSettings) -> Rows:
    """Of some hundred rows from all over the table, and the longest; `answers` is empty where labels are learned."""
    whole = [f"{text}\n{answer}" for text, answer in zip(texts, answers, strict=True)] if answers else list(texts)
    extra = TEMPLATE_TOKENS if answers else 0
    some = whole[:: -(-len(whole) // LOOKED_AT)]
    found = [min(length + extra, settings.max_tokens) for length in lengths(some)]
    longest = sorted(range(len(whole)), key=lambda i: -len(whole[i]))[: settings.batch]
    most = min(settings.max_tokens, max(lengths([whole[i] for i in longest])) + extra)
    said = min(most, max(lengths([answers[i] for i in longest]))) if answers else 0
    return Rows(len(whole), statistics.mean(found), max(most, *found), said)


def estimate(
    model: Model, rows: Rows, effort: str, settings: LoraSettings, hardware: Hardware, free: int, rate: float = 0.0
) -> Estimate:
    """What teaching these rows costs, and whether `free` bytes will do. `rate` is `measured_rate`, 0 where none is."""
    shape = model.shape or guessed(model.parameters)
    precision, number = choose_precision(model, hardware).kind, compute(hardware)
    learned = 4 * lora_weights(shape, settings.rank, rows.answer > 0) * (1 + KEPT_OF_A_WEIGHT)
    held = WORKER_BYTES + int(model.memory_mb[precision] * 1e6) + learned
    needs = held + activations(shape, settings.batch, rows, number)
    few = -(-settings.batch // MOST_PARTS)
    least = held + activations(shape, few, rows, number, recomputing=True)
    room = SHARE * free
    badge: Badge = "fits" if needs <= room else "tight" if least <= room else "too_big"
    steps = step_budget(effort, round(0.8 * rows.count), settings.batch)
    flops = FLOPS_OF_A_WEIGHT * computing(model) * steps * settings.batch * rows.mean
    return Estimate(badge, needs, least, flops / (rate or usual_rate(hardware)) / 60)


def activations(shape: Shape, batch: int, rows: Rows, number: str, recomputing: bool = False) -> int:
    """Bytes that the costliest step keeps for its gradients.

    After Korthikanti et al. 2022 (arXiv:2205.05198, section 4), counted in values instead of bytes of 16 bits: of a
    token each layer keeps 12 times its width and 2 times its inner width, twice that where it is gated; LoRA with
    dropout two copies of what goes into each of its linear maps; attention with dropout some for each pair of tokens.
    Recomputing keeps the width of each layer, and one layer whole.
    """
    tokens, layer = batch * rows.longest, _layer_values(shape)
    if not rows.answer:
        layer += 4 * shape.hidden + int(ATTENTION_VALUES * shape.heads * rows.longest)
    values = tokens * (layer + shape.layers * shape.hidden if recomputing else layer * shape.layers)
    values += int(HEAD_VALUES * shape.vocabulary * batch * rows.answer)
    return int(values * VALUE_BYTES[number])


def _layer_values(shape: Shape) -> int:
    gated = 2 if shape.gated else 1
    return 12 * shape.hidden + 2 * gated * shape.inner + 2 * ((4 + gated) * shape.hidden + shape.inner)


def computing(model: Model) -> int:
    """Weights that every token goes through: all but those of the words, of which it takes one row."""
    return model.parameters - (model.shape.vocabulary * model.shape.hidden if model.shape else 0)


def lora_weights(shape: Shape, rank: int, writes: bool) -> int:
    """Weights that learn: `rank` times what goes in and out of each linear layer, and a sorter's own head."""
    maps = 4 * 2 * shape.hidden + (3 if shape.gated else 2) * (shape.hidden + shape.inner)
    return rank * shape.layers * maps + (0 if writes else shape.hidden * shape.hidden)


def guessed(parameters: int) -> Shape:
    """The shape of a model that only its size is known of: layers of 64 to the width, an inner width of four."""
    hidden = max(64, round((64 * parameters / 12) ** (1 / 3)))
    return Shape(max(1, hidden // 64), hidden, 4 * hidden, max(1, hidden // 64), 32_000)


def usual_rate(hardware: Hardware) -> float:
    """FLOP a second of a machine on which nothing was taught yet."""
    if hardware.device != "cpu":
        return CARD_FLOPS
    return CORE_FLOPS * max(1, min(hardware.cores, USEFUL_CORES) - 1)


def measured_rate(reports: Iterable[Mapping[str, Any]], models: Mapping[str, Model]) -> float:
    """FLOP a second of the trainings that ended here last, looks and all, by their reports, newest first; else 0."""
    found = (
        FLOPS_OF_A_WEIGHT * computing(models[report["base"]]) * report["tokens"] / (60 * report["minutes"])
        for report in reports
        if report.get("tokens") and report.get("minutes") and report.get("base") in models
    )
    latest = list(islice(found, LATEST))
    return statistics.median(latest) if latest else 0.0
