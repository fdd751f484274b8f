"""A classifier of two labels over runs of characters: small enough to lie in the repository, and it needs no torch.

One weight for each bucket that a run of characters is hashed to, in safetensors. Knows numpy.
`benchmarks/train_linear.py` makes such models with the same `features`, so that what was learned is what answers.
"""

from __future__ import annotations

import json
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..catalog import Model
from ..errors import CanNotRun, SourceError
from ..messages import message
from .engine import EngineInfo, Piece, Request, ScoreRequest
from .tokens import Prompt

FAMILY = "linear"
"""What the catalog calls such models."""
WEIGHTS = "model.safetensors"
CONFIG = "config.json"

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """Lengths of the runs of characters, and how many buckets they are hashed to."""

    shortest: int
    longest: int
    buckets: int


@dataclass(frozen=True)
class Linear:
    """Weights in memory: `rarity` and `weights` have one number a bucket; weights over 0 speak for the second label."""

    shape: Shape
    labels: tuple[str, str]
    rarity: Numbers
    weights: Numbers
    bias: float

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return self.rarity.nbytes + self.weights.nbytes

    def probability(self, text: str) -> float:
        """Of the second label: the logistic function of bias + weights . features, features of length 1."""
        found = features(text, self.shape)
        values = self.rarity[found]
        length = float(np.sqrt(values @ values)) or 1.0
        return float(1 / (1 + np.exp(-(self.bias + float(values @ self.weights[found]) / length))))


def features(text: str, shape: Shape) -> NDArray[np.int64]:
    """The different buckets of a text's runs of characters, in order, whatever its case, width and blanks."""
    plain = f"\n{' '.join(unicodedata.normalize('NFKC', text).casefold().split())}\n"
    sizes = range(shape.shortest, shape.longest + 1)
    runs = {plain[i : i + size] for size in sizes for i in range(len(plain) - size + 1)}
    return np.unique(np.array([zlib.crc32(run.encode()) % shape.buckets for run in runs], dtype=np.int64))


def load_linear(folder: Path, model: Model) -> Linear:
    """A model from its folder. Raises SourceError when that is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tensors = load_file(folder / WEIGHTS)
        rarity, weights = (tensors[name].astype(np.float32) for name in ("rarity", "weights"))
        shape = Shape(config["shortest"], config["longest"], len(weights))
        negative, positive = config["labels"]
        return Linear(shape, (negative, positive), rarity, weights, config["bias"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as problem:
        raise SourceError("weights_damaged", model=model.name, problem=str(problem)) from problem


class LinearEngine:
    """Implements `Engine` for a linear model: it judges, and does nothing else. A token is a character."""

    def __init__(self, linear: Linear, info: EngineInfo) -> None:
        self._linear, self._info = linear, info

    @property
    def info(self) -> EngineInfo:
        """What this is."""
        return self._info

    def stream(self, request: Request) -> Iterator[Piece]:
        """Raises CanNotRun."""
        del request
        raise self._can_not("write")

    def stream_batch(self, requests: Sequence[Request]) -> Iterator[tuple[int, Piece]]:
        """Raises CanNotRun."""
        del requests
        raise self._can_not("write")

    def generate_batch(self, requests: Sequence[Request]) -> list[str]:
        """Raises CanNotRun."""
        del requests
        raise self._can_not("write")

    def score(self, requests: Sequence[ScoreRequest]) -> list[dict[str, float]]:
        """Probability of each of its labels. Raises CanNotRun for candidates."""
        if any(request.candidates for request in requests):
            raise self._can_not("score")
        odds = [self._linear.probability(_text(request.prompt)) for request in requests]
        return [dict(zip(self._linear.labels, (1 - p, p), strict=True)) for p in odds]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Raises CanNotRun."""
        del texts
        raise self._can_not("encode")

    def count_tokens(self, prompt: Prompt) -> int:
        """Characters."""
        return len(_text(prompt))

    def end(self) -> None:
        """Nothing of it runs on."""

    def _can_not(self, work: str) -> CanNotRun:
        return CanNotRun("wrong_kind", model=self._info.model.name, why=message(f"reason.can_not_{work}"))


def _text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "\n\n".join(turn.text for turn in prompt)
