"""What a training makes small, and how its state is judged: the label of a text, or the tokens of an answer.

Knows token ids, a torch model and losses. Does not know steps, checkpoints, rows of a table or the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..tasks.metrics import score
from .batching import Encoded, Example, class_weights, cut, padded
from .pairs import LEAST_PAIRS
from .scarce import in_batches

if TYPE_CHECKING:
    import torch

SCORING_BATCH = 32
MOST_NATS = 50.0
ANSWER_BATCH = 8
"""Answers scored at once: each of their tokens has a number for every word of the vocabulary."""


@dataclass(frozen=True)
class Seen:
    """The rows kept for choosing, scored: their loss, what a chart shows, and what the best state has most of.

    `samples`: texts, and what it answers to each.
    """

    loss: float
    scores: Mapping[str, float]
    rank: tuple[float, ...]
    samples: Sequence[tuple[str, str]] = ()


class Objective(Protocol):
    """What is learned, from which rows, and how well it goes."""

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each row to learn from."""

    @property
    def answers(self) -> Sequence[int]:
        """How often the model's head computes for each of them."""

    def shorter(self, tokens: int) -> Objective | None:
        """The same without what is longer than so many tokens, or of it only so much; None where too little is left."""

    def loss(self, model: Any, chosen: Sequence[int]) -> torch.Tensor:
        """Mean loss of some of the rows to learn from, positions in `lengths`; a scalar."""

    def weight(self, chosen: Sequence[int]) -> float:
        """What the mean over these rows counts where means over several parts of a batch are added up."""

    def look(self, model: Any, parts: int = 1) -> Seen:
        """Score the rows kept for choosing, without dropout, the usual batch in `parts`."""

    def key(self) -> Any:
        """What tells this objective from another, as JSON holds it."""


@dataclass(frozen=True)
class Sorting:
    """To tell labels apart. Loss: cross entropy, rare labels counted more where the table is skewed."""

    rows: Encoded
    valid: Encoded
    classes: int

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each row to learn from."""
        return [len(ids) for ids in self.rows.ids]

    @property
    def answers(self) -> Sequence[int]:
        """One label each."""
        return [1] * len(self.rows.ids)

    def shorter(self, tokens: int) -> Sorting:
        """Texts are cut."""
        return replace(self, rows=cut(self.rows, tokens), valid=cut(self.valid, tokens))

    @cached_property
    def weights(self) -> Sequence[float] | None:
        """How much each label counts; None where all count the same."""
        return class_weights(self.rows.labels, self.classes)

    def loss(self, model: Any, chosen: Sequence[int]) -> torch.Tensor:
        """Mean over the rows."""
        import torch

        logits = model(**padded([self.rows.ids[i] for i in chosen], model)).logits
        truth = torch.tensor([self.rows.labels[i] for i in chosen], device=logits.device)
        weight = torch.tensor(self.weights, device=logits.device) if self.weights else None
        return torch.nn.functional.cross_entropy(logits.float(), truth, weight=weight)

    def weight(self, chosen: Sequence[int]) -> float:
        """Each row counts as its label does."""
        return sum(self.weights[self.rows.labels[i]] for i in chosen) if self.weights else float(len(chosen))

    def look(self, model: Any, parts: int = 1) -> Seen:
        """Accuracy and macro-F1; the best state has most of the latter, then the lowest loss."""
        odds = probabilities(model, self.valid.ids, parts)
        truth = list(self.valid.labels)
        scores = score(truth, odds.argmax(-1).tolist(), [str(i) for i in range(odds.shape[1])])
        loss = float(-np.log(np.clip(odds[np.arange(len(truth)), truth], 1e-9, None)).mean())
        shown = {"accuracy": scores.accuracy, "macro_f1": scores.macro_f1}
        return Seen(loss, shown, (scores.macro_f1, -loss))

    def key(self) -> Any:
        """Its rows and labels."""
        return [list(self.rows.ids), list(self.rows.labels), list(self.valid.labels)]


@dataclass(frozen=True)
class Writing:
    """To write the answers. Loss: cross entropy of the answers' tokens alone, each token counting the same.

    `say` answers a few texts at each look.
    """

    rows: Sequence[Example]
    valid: Sequence[Example]
    say: Callable[[Any], Sequence[tuple[str, str]]]

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each row to learn from."""
        return [len(row.ids) for row in self.rows]

    @property
    def answers(self) -> Sequence[int]:
        """Tokens of each answer."""
        return [row.answer_tokens for row in self.rows]

    def shorter(self, tokens: int) -> Writing | None:
        """Rows are left out whole."""
        rows, valid = ([row for row in side if len(row.ids) <= tokens] for side in (self.rows, self.valid))
        return replace(self, rows=rows, valid=valid) if valid and len(rows) >= LEAST_PAIRS // 2 else None

    def loss(self, model: Any, chosen: Sequence[int]) -> torch.Tensor:
        """Mean over the answers' tokens."""
        import torch

        logits, truth = _answered(model, [self.rows[i] for i in chosen])
        return torch.nn.functional.cross_entropy(logits, truth)

    def weight(self, chosen: Sequence[int]) -> float:
        """Each token of the answers counts the same."""
        return float(sum(self.rows[i].answer_tokens for i in chosen))

    def look(self, model: Any, parts: int = 1) -> Seen:
        """Perplexity of the answers; the best state has the lowest."""
        found = answer_losses(model, self.valid, parts)
        loss = float(found.sum() / sum(row.answer_tokens for row in self.valid))
        return Seen(loss, {"perplexity": perplexity(loss)}, (-loss,), self.say(model))

    def key(self) -> Any:
        """Its rows, and where their answers begin."""
        return [[list(row.ids), row.start, *map(list, row.between)] for row in (*self.rows, *self.valid)]


def perplexity(loss: float) -> float:
    """Of a mean negative log-likelihood of a token, in nats; kept finite."""
    return math.exp(min(loss, MOST_NATS))


def probabilities(model: Any, ids: Sequence[Sequence[int]], parts: int = 1) -> NDArray[np.float64]:
    """Probability of each label for each row, shape (rows, labels), without dropout; the usual batch in `parts`."""
    import torch

    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    found: dict[int, Any] = {}

    def score_some(chosen: Sequence[int]) -> None:
        logits = model(**padded([ids[i] for i in chosen], model)).logits
        found.update(zip(chosen, logits.double().softmax(-1).cpu().numpy(), strict=True))

    model.eval()
    with torch.inference_mode():
        in_batches(order, SCORING_BATCH // parts, score_some)
    return np.stack([found[i] for i in range(len(ids))])


def answer_losses(model: Any, rows: Sequence[Example], parts: int = 1) -> NDArray[np.float64]:
    """Negative log-likelihood of each row's answer, the sum over its tokens, in nats; shape (rows,). No dropout; the
    usual batch in `parts`.
    """
    import torch

    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
    found = np.zeros(len(rows))

    def score_some(chosen: Sequence[int]) -> None:
        logits, truth = _answered(model, [rows[i] for i in chosen])
        each = torch.nn.functional.cross_entropy(logits, truth, reduction="none").double().cpu().numpy()
        ends = np.cumsum([rows[i].answer_tokens for i in chosen])
        found[list(chosen)] = [part.sum() for part in np.split(each, ends[:-1])]

    model.eval()
    with torch.inference_mode():
        in_batches(order, ANSWER_BATCH // parts, score_some)
    return found


def _answered(model: Any, rows: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits before each token of the answers and those tokens, shapes (tokens, vocabulary) and (tokens,), row by row.

    Nothing else goes through the head. What fills a row up stands behind it, where no token of it looks, so that the
    rows need no mask.
    """
    import torch

    given = padded([row.ids for row in rows], model)["input_ids"]
    before = torch.zeros(given.shape, dtype=torch.bool, device=given.device)
    for kept, row in zip(before, rows, strict=True):
        kept[[at - 1 for at in row.answer]] = True
    with _looking(model, before):
        logits = model(input_ids=given, use_cache=False).logits[0]
    truth = [token for row in rows for token in (row.ids[at] for at in row.answer)]
    return logits.float(), torch.tensor(truth, device=logits.device)


@contextmanager
def _looking(model: Any, positions: torch.Tensor) -> Iterator[None]:
    """The model's head computes at these positions alone, as if they were one row."""
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, given: (given[0][positions][None],))
    try:
        yield
    finally:
        hook.remove()
