"""Rows of token ids to the batches of a training: which rows, in which order, in what rectangle, with what weight.

Knows token ids, label numbers, where answers begin, and seeds. Does not know texts, models or steps of a training.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SKEW = 4
"""How many times commoner a label may be than another before the loss is weighted."""
SHUFFLED_BATCHES = 50
"""Batches drawn together and then sorted by length: enough for little padding, and for chance."""


@dataclass(frozen=True)
class Encoded:
    """Rows as token ids, and each row's label as a position in the list of labels."""

    ids: Sequence[Sequence[int]]
    labels: Sequence[int]


def cut(rows: Encoded, tokens: int) -> Encoded:
    """Rows of at most so many tokens, what ends a longer one still at its end, as tokenizers cut."""
    return Encoded([[*ids[: tokens - 1], ids[-1]] if len(ids) > tokens else ids for ids in rows.ids], rows.labels)


@dataclass(frozen=True)
class Example:
    """A prompt and its answer as token ids; the answer begins at `start` and includes what ends it.

    Of a conversation with several answers `start` is where the first begins, and what is said `between` them, as (from,
    to), is none of them.
    """

    ids: Sequence[int]
    start: int
    between: tuple[tuple[int, int], ...] = ()

    @cached_property
    def answer(self) -> list[int]:
        """Positions of the answers' tokens."""
        begins = (self.start, *(end for _, end in self.between))
        ends = (*(begin for begin, _ in self.between), len(self.ids))
        return [at for begin, end in zip(begins, ends, strict=True) for at in range(begin, end)]

    @property
    def answer_tokens(self) -> int:
        """Tokens of the answers."""
        return len(self.answer)


def batches(lengths: Sequence[int], size: int, steps: int, seed: int) -> list[list[int]]:
    """Which rows each step sees: drawn anew every epoch, rows of like length together so that little is padding."""
    drawn: list[list[int]] = []
    epoch = 0
    while len(drawn) < steps:
        dice = random.Random(f"{seed}:{epoch}")  # noqa: S311  no secret
        order = list(range(len(lengths)))
        dice.shuffle(order)
        chunk = size * SHUFFLED_BATCHES
        sorted_chunks = (sorted(order[at : at + chunk], key=lambda i: lengths[i]) for at in range(0, len(order), chunk))
        fresh = [part[at : at + size] for part in sorted_chunks for at in range(0, len(part), size)]
        dice.shuffle(fresh)
        drawn += fresh
        epoch += 1
    return drawn[:steps]


def class_weights(labels: Sequence[int], classes: int) -> list[float] | None:
    """Weights that count rare labels more, None where none is SKEW times commoner than another. Their mean is 1."""
    counts = Counter(labels)
    if max(counts.values()) <= SKEW * min(counts.values()):
        return None
    raw = [1 / math.sqrt(counts[i]) for i in range(classes)]
    return [weight * classes / sum(raw) for weight in raw]


def padded(ids: Sequence[Sequence[int]], model: Any) -> dict[str, torch.Tensor]:
    """The rows as one rectangle on the model's device, and which of it is text."""
    import torch

    width = max(len(row) for row in ids)
    pad = model.config.pad_token_id or 0
    tokens = torch.tensor([[*row, *[pad] * (width - len(row))] for row in ids], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids], device=model.device)
    return {"input_ids": tokens, "attention_mask": mask}


def aligned(ids: Sequence[Sequence[int]], model: Any) -> dict[str, torch.Tensor]:
    """As `padded`, the rows ending side by side, each counting its positions from its own first token."""
    import torch

    width = max(len(row) for row in ids)
    pad = model.config.pad_token_id or 0
    tokens = torch.tensor([[*[pad] * (width - len(row)), *row] for row in ids], device=model.device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids], device=model.device)
    return {"input_ids": tokens, "attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}
