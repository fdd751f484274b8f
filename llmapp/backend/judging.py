"""How likely candidates or labels are, and texts as vectors: one pass through a model, nothing is written.

Knows torch. Does not know threads, or what labels and vectors are for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .decoding import read
from .engine import ScoreRequest
from .tokens import Prompt, Tokens

if TYPE_CHECKING:
    import torch

COPIED = 4096  # tokens of keys and values, over all candidates at once, that the shared prompt is repeated to
TOGETHER = 4096  # tokens in one batch, padding included
ROWS = 32


def candidates(model: Any, tokens: Tokens, request: ScoreRequest) -> dict[str, float]:
    """Probability of each candidate to follow the prompt, among the candidates.

    p(c) = exp(S(c)) / sum over c' of exp(S(c')), where S(c) is the sum of log p(token | prompt, tokens before) over
    the candidate's tokens: log-likelihood as in "Language Models are Few-Shot Learners" (arXiv:2005.14165, 2.4),
    without normalising by length. The prompt is read once. Raises TooLong.
    """
    import torch

    prompt, rows = split_at_boundary(tokens, request.prompt, request.candidates)
    with torch.inference_mode():
        reading = read(model, [prompt])
        if reading is None:
            raise AssertionError("nothing cancels this reading")
        first = reading.logits[0].log_softmax(-1)
        scores = [float(first[row[0]]) for row in rows]
        longer = [i for i, row in enumerate(rows) if len(row) > 1]
        size = max(1, COPIED // (len(prompt) + max(map(len, rows))))
        for start in range(0, len(longer), size):
            chosen = longer[start : start + size]
            sums = _continuations(model, reading.cache, [rows[i] for i in chosen])
            for i, value in zip(chosen, sums, strict=True):
                scores[i] += value
        chances = torch.tensor(scores, dtype=torch.float64).softmax(0).tolist()
    return dict(zip(request.candidates, chances, strict=True))


def split_at_boundary(
    tokens: Tokens, prompt: Prompt, choices: Sequence[str]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The tokens that all choices share, and each one's own that follow: never empty.

    After a chat template a choice is a text of its own. A text goes on: prompt and choice are tokenized as one,
    because the last letters of the one and the first of the other may be a single token.
    """
    head = tokens.ids(prompt)
    if isinstance(prompt, str):
        wholes = [tokens.ids(prompt + choice) for choice in choices]
    else:
        wholes = [(*head, *tokens.encode(choice)) for choice in choices]
    shared = _shared([head, *wholes]) if isinstance(prompt, str) else len(head)
    shared = min(shared, *(len(whole) - 1 for whole in wholes))
    for whole in wholes:
        tokens.fitting(whole)
    return wholes[0][:shared], [whole[shared:] for whole in wholes]


def _shared(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens at the head are the same in all rows."""
    columns = enumerate(zip(*rows, strict=False))
    return next((i for i, column in columns if len(set(column)) > 1), min(map(len, rows)))


def _continuations(model: Any, cache: Any, rows: Sequence[Sequence[int]]) -> list[float]:
    """Log-likelihood of each row's second and later tokens after what the cache holds and the row's first.

    Rows are padded on the right; no row sees its padding, because attention only looks back.
    """
    import torch

    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[row[-1]] * (longest - len(row))] for row in rows], device=model.device)
    repeated = copy.deepcopy(cache)
    repeated.batch_repeat_interleave(len(rows))
    out = model(input_ids=ids[:, :-1], past_key_values=repeated, use_cache=True)
    likely = out.logits.float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    return [float(likely[i, : len(row) - 1].sum()) for i, row in enumerate(rows)]


def labels(model: Any, tokens: Tokens, prompts: Sequence[Prompt]) -> list[dict[str, float]]:
    """Probability of each of a classifier's own labels: the softmax over its logits. Raises TooLong."""
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    rows = _in_batches(model, tokens, prompts, lambda out, _: out.logits.float().softmax(-1))
    return [dict(zip(names, row.tolist(), strict=True)) for row in rows]


def vectors(model: Any, tokens: Tokens, texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors of texts, shape (len(texts), width): the mean over a text's tokens, divided by its length.

    This is the recipe of sentence-transformers' all-MiniLM-L6-v2 (mean pooling, L2 norm). Raises TooLong.
    """

    import torch

    def pooled(out: Any, mask: torch.Tensor) -> torch.Tensor:
        weights = mask[..., None].float()
        mean: torch.Tensor = (out.last_hidden_state.float() * weights).sum(1) / weights.sum(1)
        return torch.nn.functional.normalize(mean)

    rows = _in_batches(model, tokens, texts, pooled)
    if not rows:
        return np.empty((0, model.config.hidden_size), dtype=np.float32)
    return np.stack(rows).astype(np.float32)


def _in_batches(
    model: Any,
    tokens: Tokens,
    prompts: Sequence[Prompt],
    finish: Callable[[Any, torch.Tensor], torch.Tensor],
) -> list[NDArray[np.float32]]:
    """One row of numbers per prompt, in order; computed in batches of similar length."""
    import torch

    ids = tokens.all_checked(prompts)
    results: dict[int, NDArray[np.float32]] = {}
    pad = tokens.tokenizer.pad_token_id or 0
    with torch.inference_mode():
        for batch in by_length([len(row) for row in ids], ROWS, TOGETHER):
            longest = max(len(ids[i]) for i in batch)
            rows = torch.tensor([[*ids[i], *[pad] * (longest - len(ids[i]))] for i in batch], device=model.device)
            sizes = torch.tensor([len(ids[i]) for i in batch], device=model.device)
            mask = (torch.arange(longest, device=model.device) < sizes[:, None]).long()
            out = finish(model(input_ids=rows, attention_mask=mask), mask).cpu().numpy()
            results.update(zip(batch, out, strict=True))
    return [results[i] for i in range(len(prompts))]


def by_length(sizes: Sequence[int], rows: int, together: int) -> Iterator[list[int]]:
    """Indices in batches, shortest first: at most `rows` of them and `together` tokens, padding included."""
    batch: list[int] = []
    for i in sorted(range(len(sizes)), key=sizes.__getitem__):
        if batch and (len(batch) == rows or sizes[i] * (len(batch) + 1) > together):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
