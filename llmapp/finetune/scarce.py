"""What is computed in batches without learning from it: fewer rows at a time where memory runs out.

Knows memory. Does not know models or rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..backend.memory import give_back, ran_out
from ..errors import OutOfMemory

T = TypeVar("T")


def in_batches(given: Sequence[T], size: int, work: Callable[[Sequence[T]], None]) -> None:
    """`work` on all that is given, `size` at a time, in order; on half as many from where memory runs out on.

    Raises what one alone raises.
    """
    at, size = 0, max(1, size)
    while at < len(given):
        if _done(given[at : at + size], work):
            at += size
        else:
            size = -(-min(size, len(given) - at) // 2)
            give_back()


def _done(some: Sequence[T], work: Callable[[Sequence[T]], None]) -> bool:
    try:
        work(some)
    except (RuntimeError, MemoryError, OutOfMemory) as problem:
        if len(some) == 1 or not (isinstance(problem, OutOfMemory) or ran_out(problem)):
            raise
        return False
    return True
