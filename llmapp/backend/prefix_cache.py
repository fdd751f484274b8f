"""What a model read last, kept for the prompt that begins alike: a conversation is not read anew for each answer.

Only whole parts of a prompt are kept, which would be read again in the same parts: so an answer is the same, to the
last bit, as without it. What was written token by token would differ in the last bits, and is read again.
Knows no text, and not whether there is memory for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from .decoding import Begun, part_size


@dataclass(frozen=True)
class _Held:
    by: str
    ids: Sequence[int]
    cache: Any


class PrefixCache:
    """Keys and values of the last prompt of one loaded model; for one user at a time, as its lease is."""

    def __init__(self) -> None:
        self._held: _Held | None = None

    def take(self, by: str, ids: Sequence[int], device: str) -> Begun | None:
        """What is read already of a prompt (token ids), None if nothing is. It is the taker's, whatever comes of it.

        `by` names the weights that read it: the adapter, for one. At least one token is left to be read.
        """
        held, self._held = self._held, None
        if held is None or held.by != by:
            return None
        alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(held.ids, ids, strict=False)))
        tokens = _whole_parts(min(alike, len(ids) - 1), device)
        if not tokens:
            return None
        held.cache.crop(tokens - held.cache.get_seq_length())  # so many that go, as a negative number
        return Begun(held.cache, tokens)

    def keep(self, by: str, ids: Sequence[int], cache: Any, device: str) -> None:
        """Hold what was read of a prompt, and answered, unless it is too short, or can not be cut where it is wanted.

        Layers with a sliding window can not: they have let go of what was before.
        """
        tokens = _whole_parts(len(ids), device)
        if tokens and all(hasattr(layer, "rooms") for layer in cache.layers):
            self._held = _Held(by, tuple(ids[:tokens]), cache)

    def clear(self) -> None:
        """Let go of it."""
        self._held = None


def _whole_parts(tokens: int, device: str) -> int:
    return tokens - tokens % part_size(device)
