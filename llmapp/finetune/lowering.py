"""A training made to fit into the memory that is free before it begins: its costliest batches are tried, and only what
must be is lowered.

First a batch is taken in halves, then in quarters; then what a step keeps is computed twice; then rows are shorter.
Knows gradients, an objective and bytes. Does not know weights, looks, checkpoints or the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from ..backend.memory import give_back
from ..errors import OutOfMemory
from .gradients import MOST_PARTS, Gradients
from .objective import Objective
from .rehearsal import forget_peak, held_bytes, peak_bytes
from .told import Halved, Recomputing, Shortened

SHARE = 0.9
"""Of the free memory; the rest is for what others take meanwhile, and for what a step takes that was not tried."""
SHORTEST = 16
"""Tokens below which there is nothing left to learn from."""
LEAST_CUT, MOST_CUT = 0.9, 0.5
"""What stays of the longest row at each try: at most, and at least."""

Plan = Callable[[Objective], Sequence[Sequence[int]]]
"""Which rows each step takes."""
Lowered = Halved | Recomputing | Shortened


class Lowering:
    """What fits, once `settle` is through: `peak` is the most memory that the process will hold in a step, `free` what
    was free beside what it held, `tokens` the longest row since `rows` are shorter; else 0.

    `kept`: bytes that the training will hold beside; `room`: bytes free now, where that counts. It is tried from little
    to much: on a processor Linux kills what takes too much, so nothing is tried that will not fit by what was measured
    before.
    """

    def __init__(self, gradients: Gradients, plan: Plan, kept: int, room: Callable[[], int] | None) -> None:
        self.peak = self.free = self.tokens = self.rows = 0
        self._gradients, self._plan, self._kept, self._room = gradients, plan, kept, room
        self._held = self._needs = 0
        self._rises: dict[int, float] = {}

    def settle(self) -> Iterator[Lowered]:
        """Lower what must be, and tell it. Raises OutOfMemory where nothing helps."""
        whole, recomputed = self._gradients.objective, False
        self._rise(self._costliest()[0][-1:])  # what is made once, at the first step of all, is none of a batch's
        parts = self._parts()
        told = (self._needs, self.free)
        while not parts:
            if self._gradients.recompute():
                recomputed = True
            else:
                self._shorten()
            parts = self._parts()
        self._gradients.parts = parts
        if parts > 1:
            yield Halved(-(-max(map(len, self._costliest())) // parts), *told)
        if recomputed:
            yield Recomputing(*told)
        if self.tokens:
            self.rows = sum(length > self.tokens for length in whole.lengths)
            cut = len(self._gradients.objective.lengths) == len(whole.lengths)
            yield Shortened(self.tokens, self.rows, cut, *told)

    def _costliest(self) -> list[Sequence[int]]:
        """The batch of most tokens, and the one that takes most of the head where that is another."""
        objective = self._gradients.objective
        lengths, answers = objective.lengths, objective.answers
        plan = self._plan(objective)
        most = max(plan, key=lambda chosen: len(chosen) * max(lengths[i] for i in chosen))
        said = max(plan, key=lambda chosen: sum(answers[i] for i in chosen))
        more = sum(answers[i] for i in said) > sum(answers[i] for i in most)
        return [most, said] if more else [most]

    def _parts(self) -> int:
        """The fewest parts in which all batches fit; 0 where they do not in the most."""
        found, self._needs, self.peak = [], 0, 0
        for chosen in self._costliest():
            self._rises = {}
            found.append(self._parts_of(chosen))
            expected = self._expected(len(chosen))
            self._needs = max(self._needs, int(expected) + self._kept if math.isfinite(expected) else 0)
            if not found[-1]:
                return 0
            self.peak = max(self.peak, self._held + self._kept + int(self._rises[-(-len(chosen) // found[-1])]))
        return max(found)

    def _parts_of(self, chosen: Sequence[int]) -> int:
        """As `_parts`, of one batch: a quarter first, then all where that will fit, else a half, and all again."""
        fitting = 0
        for parts in (MOST_PARTS, 1, MOST_PARTS // 2, 1):
            size = -(-len(chosen) // parts)
            if fitting and (parts >= fitting or not self._fits(self._expected(size))):
                continue
            if size not in self._rises:
                self._rises[size] = self._rise(chosen[-size:])
            if self._fits(self._rises[size]):
                fitting = parts
            elif not fitting:
                break
        return fitting

    def _rise(self, chosen: Sequence[int]) -> float:
        """Bytes that these rows take in a step, none of them shared; infinite where memory ran out."""
        give_back()
        self.free = self._room() if self._room else 0
        forget_peak()
        self._held, before = held_bytes(), peak_bytes()
        if not self._gradients.fit(chosen):
            return math.inf
        after = peak_bytes()
        return after - self._held if after > before else 0  # less than ever, where the peak could not be forgotten

    def _fits(self, rise: float) -> bool:
        return math.isfinite(rise) and (not self._room or rise + self._kept <= SHARE * self.free)

    def _expected(self, size: int) -> float:
        """What so many rows will take, by those that were tried: a step takes something fixed, and something for each.

        Of one try alone it is what it can be at most.
        """
        if math.isfinite(self._rises.get(size, math.inf)):
            return self._rises[size]
        known = sorted((rows, rise) for rows, rise in self._rises.items() if math.isfinite(rise))
        if len(known) < 2:
            return known[0][1] * size / known[0][0] if known else math.inf
        (few, less), (many, more) = known[-2:]
        return more + (more - less) * (size - many) / (many - few)

    def _shorten(self) -> None:
        """Shorter rows, as short as the last try says they must be."""
        objective, rise = self._gradients.objective, next(iter(self._rises.values()))
        longest = max(objective.lengths)
        stays = math.sqrt(max(0.0, SHARE * self.free - self._kept) / max(rise, 1))  # as if by the square of the length
        tokens = int(longest * min(LEAST_CUT, max(MOST_CUT, stays)))
        shorter = objective.shorter(tokens) if tokens >= SHORTEST else None
        if shorter is None:
            needs = int(rise) + self._kept if math.isfinite(rise) else self.free
            values = {"needs_gb": needs / 1e9, "free_gb": self.free / 1e9}
            raise OutOfMemory("training_no_room", **values, tokens=longest)
        self._gradients.objective, self.tokens = shorter, tokens
