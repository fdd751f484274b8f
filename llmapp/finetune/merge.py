"""A base's weights with a LoRA adapter merged into them, one tensor at a time: W + scale * B A, in fp32.

Reads the safetensors of both, without torch: one tensor is held at a time, so that a base larger than memory can be
merged too. What was taught on a base in 4 bits is merged into its weights on the disk, before they were rounded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.adapters import lora_settings
from ..backend.tensors import Stored, stored_in
from ..errors import BadInput

PREFIX = "base_model.model."
MORE = ("modules_to_save", "rank_pattern", "alpha_pattern", "use_dora", "lora_bias", "fan_in_fan_out")
"""Settings of an adapter that change more than W + scale * B A says."""


class Merged:
    """The tensors of a base, by transformers' names, as an adapter changes them."""

    def __init__(self, base: Path, adapter: Path) -> None:
        """Reads tables of names only. Raises BadInput for an adapter that is not plain LoRA, or of another base."""
        self._base, self._lora = stored_in(base), stored_in(adapter)
        settings = lora_settings(adapter)
        used = [name for name in MORE if settings.get(name)]
        if used or settings.get("bias", "none") != "none":
            raise BadInput("take_along_adapter", what=", ".join(used) or "bias")
        rank = settings["r"]
        self._scale = np.float32(settings["lora_alpha"] / (math.sqrt(rank) if settings.get("use_rslora") else rank))
        self._changed = _changed(self._base, self._lora)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Every tensor's shape."""
        return {name: tensor.shape for name, tensor in self._base.items()}

    @property
    def exact(self) -> bool:
        """True where the base itself lies in fp32."""
        return all(tensor.kind == "F32" for tensor in self._base.values())

    def values(self, name: str) -> NDArray[np.float32]:
        """One tensor's values."""
        whole = self._base[name].read()
        if name in self._changed:
            up, down = (self._lora[f"{PREFIX}{self._changed[name]}.lora_{side}.weight"].read() for side in "BA")
            whole += up @ down * self._scale
        return whole


def _changed(base: Mapping[str, Stored], lora: Mapping[str, Stored]) -> dict[str, str]:
    """Names of the base's tensors that an adapter changes, and of their modules; nothing of it may be left over."""
    found = {}
    for module in {name.removeprefix(PREFIX).rpartition(".lora_")[0] for name in lora}:
        sides: list[Any] = [lora.get(f"{PREFIX}{module}.lora_{side}.weight") for side in "BA"]
        whole = base.get(f"{module}.weight")
        if whole is None or None in sides or whole.shape != (sides[0].shape[0], sides[1].shape[1]):
            raise BadInput("take_along_adapter", what=module or "other weights")
        found[f"{module}.weight"] = module
    if 2 * len(found) != len(lora):
        raise BadInput("take_along_adapter", what="other weights")
    return found
