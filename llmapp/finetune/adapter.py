"""A trained adapter on disk: saved, read back and compared before it is listed.

Knows adapter folders and their cards. Does not know rows, training or jobs. A folder without its card is not listed, so
the card is written last; a job makes its adapter in its own folder and hands it over whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.adapters import attach
from ..backend.engine import Precision
from ..backend.loader import load
from ..backend.sources import Local
from ..catalog import CARD, Model
from ..errors import LlmappError

SAME = 1e-3
"""Largest difference of a probability, or of the loss of a token, that rounding in another order explains, in fp32."""


@dataclass(frozen=True)
class Base:
    """The model an adapter is for, where it lies and how it is held."""

    model: Model
    local: Local
    precision: Precision


def save(model: Any, base: Base, folder: Path) -> None:
    """Write adapter_config.json and adapter_model.safetensors of a peft model; the base goes by its name on the Hub."""
    shutil.rmtree(folder, ignore_errors=True)
    for config in model.peft_config.values():
        config.base_model_name_or_path = base.model.hub_name
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)


def verify(folder: Path, base: Base, ask: Callable[[Any], NDArray[np.float64]], expected: NDArray[np.float64]) -> None:
    """Load base and adapter from disk as every tab will, and ask again. `expected` is what `ask` gave before saving.

    Raises LlmappError when no weight was learned, or the answers are others.
    """
    from safetensors.torch import load_file

    weights = load_file(folder / "adapter_model.safetensors")
    if not any(tensor.any() for name, tensor in weights.items() if "lora_B" in name):
        raise LlmappError("training_unchanged")
    loaded = load(base.local, base.model, base.precision)
    view = attach(loaded, folder, folder.name)
    difference = float(np.abs(ask(view.model) - expected).max())
    if not difference < SAME:
        raise LlmappError("training_differs", difference=difference)


def publish(folder: Path, card: Mapping[str, Any]) -> None:
    """Give the adapter its card: where the catalog looks, it is listed from now on."""
    aside = folder / f"{CARD}.tmp"
    with aside.open("w", encoding="utf-8") as file:
        json.dump(card, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / CARD)


def hand_over(folder: Path, place: Path) -> None:
    """Move a finished adapter to where the catalog looks, in one rename; one that a crash left there is replaced."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    folder.rename(place)
