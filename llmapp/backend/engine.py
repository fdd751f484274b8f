"""What a task may ask of a loaded model: values in, text or numbers out. No torch, no weights here.

A request is a value and an answer is a stream that can be closed, so no task knows which engine answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..catalog import Adapter, Model
from ..errors import BadInput
from ..messages import Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Role = Literal["system", "user", "assistant"]
Finish = Literal["", "stop", "length", "cancelled"]


def _knob(default: Any, low: float, high: float) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. Temperature 0 takes the likeliest; the same seed gives the same answer."""

    temperature: float = _knob(0.2, 0.0, 2.0)
    top_p: float = _knob(0.9, 0.01, 1.0)
    top_k: int = _knob(50, 0, 1000)
    repetition_penalty: float = _knob(1.0, 0.5, 2.0)
    max_new_tokens: int = _knob(512, 1, 32768)
    seed: int | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.metadata and not item.metadata["low"] <= value <= item.metadata["high"]:
                raise BadInput("sampling_range", name=item.name, value=value, **item.metadata)


@dataclass(frozen=True)
class Turn:
    """One message of a conversation."""

    role: Role
    text: str


@dataclass(frozen=True)
class Request:
    """One thing to write. A tuple of turns is put through the model's chat template; text is taken as it is.

    Where the last turn is the assistant's, the answer goes on from there. `languages` is (source, target),
    BCP-47, for translation models. `stop`: strings that end the answer and are not part of it. `enough`: given all
    that is written so far, as it is shown, whether a stream ends there; what it says is no part of what is asked.
    """

    prompt: str | tuple[Turn, ...]
    sampling: Sampling = Sampling()
    stop: tuple[str, ...] = ()
    languages: tuple[str, str] | None = None
    enough: Callable[[str], bool] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Piece:
    """New text of a stream; `tokens` counts all generated so far; the last piece says why it ended."""

    text: str
    tokens: int
    finish: Finish = ""


@dataclass(frozen=True)
class ScoreRequest:
    """Text to judge. With candidates: how likely each follows the prompt; without: the model's own labels."""

    prompt: str | tuple[Turn, ...]
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Precision:
    """How weights are held and computed, where, and why."""

    kind: Literal["fp32", "bf16", "fp16", "4-bit"]
    compute: Literal["float32", "bfloat16", "float16"]
    device: Literal["cpu", "cuda", "mps"]
    why: Message


@dataclass(frozen=True)
class EngineInfo:
    """What answers: shown under every result. `weights` is what was on disk ("Q4_1", "bf16").

    `labels`: what a classifier answers with, also one that an adapter's head made of another model.
    """

    model: Model
    revision: str
    precision: Precision
    weights: str
    adapter: Adapter | None = None
    labels: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """What answered, as plain values to keep beside a result."""
        return {
            "model": self.model.id,
            "model_name": self.model.name,
            "revision": self.revision,
            "adapter": self.adapter and self.adapter.id,
            "adapter_name": self.adapter and self.adapter.name,
            "precision": self.precision.kind,
            "weights": self.weights,
        }


class Engine(Protocol):
    """A loaded model, as tasks see it."""

    @property
    def info(self) -> EngineInfo:
        """What this is."""

    def stream(self, request: Request) -> Iterator[Piece]:
        """Text as it is written. Closing the iterator ends generation within one token."""

    def stream_batch(self, requests: Sequence[Request]) -> Iterator[tuple[int, Piece]]:
        """Several texts as they are written together: pieces, each with the number of its request.

        Each request has a last piece; what is not finished when the iterator is closed ends as with `stream`.
        """

    def generate_batch(self, requests: Sequence[Request]) -> list[str]:
        """Whole answers, in order, computed together."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[dict[str, float]]:
        """Probability of each label or candidate; each dictionary sums to 1."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), width)."""

    def count_tokens(self, prompt: str | tuple[Turn, ...]) -> int:
        """Length of a prompt in this model's tokens, chat template included."""
