"""How a causal model writes: read the prompt in parts, then one token after another for one answer or several.

A loop of its own, not `model.generate`: it stops between two parts of a long prompt too, draws with a generator of
its own for each answer, and keeps keys and values without copying them for each token. Knows torch; no text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from .engine import Sampling

if TYPE_CHECKING:
    import torch

Take = Callable[[int, int], bool]
"""Given (number of the answer, token); True when that answer has ended."""

PART = {"cpu": 256}
"""Tokens of a prompt read at once: on a CPU 256 took as long in all as 2,048, 128 a tenth longer."""
PART_ELSEWHERE = 2048
GROWTH = 256


class Draw:
    """Chooses the next token of one answer from logits, as `transformers` would, with its own random numbers.

    Order and meaning are those of transformers' logits warpers: repetition penalty (CTRL, arXiv:1909.05858; over
    prompt and answer), temperature, top-k, top-p (arXiv:1904.09751).
    """

    def __init__(self, sampling: Sampling, prompt: Sequence[int], device: Any) -> None:
        import torch

        self._sampling, self._prompt = sampling, list(prompt)
        self._seen: torch.Tensor | None = None
        self._random = torch.Generator(device)
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed)

    def __call__(self, logits: torch.Tensor) -> int:
        """The next token for logits of shape (vocabulary,)."""
        import torch

        tokens, chances = self.choices(logits)
        chosen = 0 if len(tokens) == 1 else torch.multinomial(chances, 1, generator=self._random)
        token = int(tokens[chosen])
        if self._seen is not None:
            self._seen[token] = True
        return token

    def choices(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens that may come next, the likeliest first, and their chances (up to a factor)."""
        how = self._sampling
        if how.repetition_penalty != 1:
            logits = self._less_of_the_same(logits)
        if how.temperature == 0:
            best = logits.argmax()[None]
            return best, best
        values, tokens = logits.topk(min(how.top_k or logits.numel(), logits.numel()))
        chances = (values / how.temperature).softmax(0)
        if how.top_p < 1:
            chances = chances * (chances.cumsum(0) - chances < how.top_p)
        return tokens, chances

    def _less_of_the_same(self, logits: torch.Tensor) -> torch.Tensor:
        import torch

        if self._seen is None:
            self._seen = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
            self._seen[self._prompt] = True
        penalty = self._sampling.repetition_penalty
        return torch.where(self._seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


@dataclass
class Reading:
    """What a model has read: keys and values, the logits after it, and which positions are padding.

    `logits` (rows, vocabulary); `mask` (rows, tokens) or None where no row is padded.
    """

    cache: Any
    logits: torch.Tensor
    mask: torch.Tensor | None


@dataclass(frozen=True)
class Begun:
    """The beginning of a prompt that is read already: its keys and values, and how many tokens it has."""

    cache: Any
    tokens: int


def write(
    model: Any,
    prompts: Sequence[Sequence[int]],
    draws: Sequence[Draw],
    take: Take,
    cancel: threading.Event,
    begun: Begun | None = None,
) -> Reading | None:
    """Write an answer to each prompt, all of them together, until `take` has ended each or `cancel` is set.

    `cancel` ends it within one token, or within one part of a prompt still being read. `begun` is for a single prompt.
    What was read is returned, with what was written; None where it was cancelled before the prompt's end.
    """
    import torch

    with torch.inference_mode():
        reading = read(model, prompts, cancel, begun)
        rows = list(range(len(prompts)))
        while reading and not cancel.is_set():
            tokens = [draws[row](logits) for row, logits in zip(rows, reading.logits, strict=True)]
            going = [i for i, row in enumerate(rows) if not take(row, tokens[i])]
            if not going:
                break
            if len(going) < len(rows):
                _keep(reading, going)
                rows, tokens = [rows[i] for i in going], [tokens[i] for i in going]
            _step(model, reading, torch.tensor(tokens, device=reading.logits.device)[:, None])
    return reading


def read(
    model: Any,
    prompts: Sequence[Sequence[int]],
    cancel: threading.Event | None = None,
    begun: Begun | None = None,
) -> Reading | None:
    """Read prompts (rows of token ids, padded on the left here); None if cancelled meanwhile."""
    import torch

    longest = max(map(len, prompts))
    padded = any(len(prompt) < longest for prompt in prompts)
    ids = torch.zeros((len(prompts), longest), dtype=torch.long, device=model.device)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(list(prompt), device=model.device)
        mask[row, longest - len(prompt) :] = 1
    cache, start = (begun.cache, begun.tokens) if begun else (roomy_cache(model), 0)
    reading = Reading(cache, torch.empty(0), mask[:, :0] if padded else None)
    for part, marks in _parts(ids[:, start:], mask[:, start:]):
        if cancel and cancel.is_set():
            return None
        _step(model, reading, part, marks)
    return reading


def part_size(device: str) -> int:
    """Tokens of a prompt that are read at once on a kind of device ("cpu", "cuda", "mps")."""
    return PART.get(device, PART_ELSEWHERE)


def _parts(ids: torch.Tensor, mask: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    size = part_size(ids.device.type)
    for start in range(0, ids.shape[1], size):
        yield ids[:, start : start + size], mask[:, start : start + size]


def _step(model: Any, reading: Reading, ids: torch.Tensor, marks: torch.Tensor | None = None) -> None:
    """Let the model read `ids` (rows, new tokens) on top of what it has read; only the last logits are made."""
    import torch

    more: dict[str, Any] = {}
    if reading.mask is not None:
        new = torch.ones_like(ids) if marks is None else marks
        reading.mask = torch.cat([reading.mask, new], dim=1)
        places = (reading.mask.cumsum(1) - 1).clamp(min=0)
        more = {"attention_mask": reading.mask, "position_ids": places[:, -ids.shape[1] :]}
    out = model(input_ids=ids, past_key_values=reading.cache, use_cache=True, logits_to_keep=1, **more)
    reading.logits = out.logits[:, -1].float()


def _keep(reading: Reading, rows: list[int]) -> None:
    """Drop the rows whose answers have ended."""
    import torch

    chosen = torch.tensor(rows, device=reading.logits.device)
    reading.cache.batch_select_indices(chosen)
    if reading.mask is not None:
        reading.mask = reading.mask[chosen]


def roomy_cache(model: Any) -> Any:
    """An empty cache of keys and values for this model whose plain layers grow in steps, not by one token.

    Layers of other kinds (sliding windows) hold little and stay as they are.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    empty = DynamicCache(config=model.config)
    roomy = _roomy_layer()
    empty.layers = [roomy() if type(layer) is DynamicLayer else layer for layer in empty.layers]
    return empty


@cache
def _roomy_layer() -> type:
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):  # type: ignore[misc]
        """Keys and values at the front of tensors with room behind them; what others see are views.

        transformers' own layer copies all it holds for every token: at 2,048 tokens a fifth of the time of a
        135M model on a CPU.
        """

        keys: torch.Tensor
        values: torch.Tensor
        rooms: tuple[torch.Tensor, ...] = ()

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
        ) -> tuple[torch.Tensor, torch.Tensor]:
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
            held = self.get_seq_length()
            size = held + key_states.shape[-2]
            if not self.rooms or self.rooms[0].shape[-2] < size:
                self.rooms = (_room(self.keys, key_states, held), _room(self.values, value_states, held))
            for room, new in zip(self.rooms, (key_states, value_states), strict=True):
                room[:, :, held:size] = new
            self.keys, self.values = (room[:, :, :size] for room in self.rooms)
            return self.keys, self.values

        def batch_select_indices(self, indices: torch.Tensor) -> None:
            super().batch_select_indices(indices)
            self.rooms = ()

        def batch_repeat_interleave(self, repeats: int) -> None:
            super().batch_repeat_interleave(repeats)
            self.rooms = ()

    return RoomyLayer


def _room(held: torch.Tensor, new: torch.Tensor, size: int) -> torch.Tensor:
    """A tensor like `new` with what is held at its front and room for `GROWTH` tokens more than both."""
    rows, heads, more, width = new.shape
    room = new.new_empty((rows, heads, size + more + GROWTH, width))
    if size:
        room[:, :, :size] = held
    return room
