"""A word in between two steps of whatever computes in this process: long work rests there. Knows no reason to."""

from __future__ import annotations

from collections.abc import Callable


def between_steps(act: Callable[[], None]) -> None:
    """From now on call `act` before each layer of any model; it may take its time."""
    from torch.nn.modules.module import register_module_forward_pre_hook

    register_module_forward_pre_hook(lambda *_: act())
