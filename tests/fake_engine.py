"""An engine without weights for tests: same answers for same questions, and it remembers what it was asked.

Streams word by word. Tokens are words and single CJK characters, so lengths can be reckoned by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmapp.backend.engine import EngineInfo, Piece, Precision, Request, ScoreRequest, Turn
from llmapp.catalog import FolderSource, Model
from llmapp.messages import message

Prompt = str | tuple[Turn, ...]

MODEL = Model(
    id="fake",
    name="Fake",
    kind="causal",
    family="llama",
    tasks=("chat", "summarize", "translate", "sentiment"),
    parameters=1,
    context=2048,
    languages=("en", "zh", "de", "fr", "es"),
    licence="Apache-2.0",
    licence_url="",
    sources=(FolderSource(path=Path(), weights="fp32"),),
    memory_mb={"fp32": 1},
    note={"en": "", "zh": ""},
    chat=True,
)


def written(prompt: Prompt) -> str:
    """A prompt as plain text: turns joined by line breaks."""
    return prompt if isinstance(prompt, str) else "\n".join(turn.text for turn in prompt)


def echo(request: Request) -> str:
    """The default answer: the last five words of the prompt."""
    return " ".join(written(request.prompt).split()[-5:])


def alike(request: ScoreRequest) -> dict[str, float]:
    """The default judgement: every candidate the same."""
    return dict.fromkeys(request.candidates, 1 / len(request.candidates))


def by_letters(text: str) -> NDArray[np.float32]:
    """The default vector: how often each of 26 letters stands in the text."""
    return np.array([text.lower().count(chr(97 + i)) for i in range(26)], dtype=np.float32)


@dataclass
class FakeEngine:
    """Implements `Engine`. Three functions say what it answers; it remembers what it was asked.

    `batches` holds the sizes of `generate_batch` calls, `streamed` those of `stream_batch`; `open_streams` counts
    streams neither finished nor closed, `closed_early` those closed before their end, `ended_early` those of which
    there was enough. A prompt longer than the context raises ValueError.
    """

    model: Model = MODEL
    answer: Callable[[Request], str] = echo
    judge: Callable[[ScoreRequest], dict[str, float]] = alike
    vector: Callable[[str], NDArray[np.float32]] = by_letters
    labels: tuple[str, ...] = ()
    asked: list[Request] = field(default_factory=list)
    scored: list[ScoreRequest] = field(default_factory=list)
    encoded: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    streamed: list[int] = field(default_factory=list)
    open_streams: int = 0
    closed_early: int = 0
    ended_early: int = 0

    @classmethod
    def of(cls, answer: Callable[[Request], str] = echo, **changes: object) -> FakeEngine:
        """An engine whose model differs in some fields: `FakeEngine.of(kind="encoder", context=64)`."""
        return cls(model=replace(MODEL, **changes), answer=answer)  # type: ignore[arg-type]

    @property
    def info(self) -> EngineInfo:
        precision = Precision("fp32", "float32", "cpu", message("reason.cpu"))
        return EngineInfo(self.model, "0", precision, "fp32", labels=self.labels)

    def stream(self, request: Request) -> Iterator[Piece]:
        words = re.findall(r"\s*\S+|\s+\Z", self._whole_answer(request))
        limit = request.sampling.max_new_tokens
        self.open_streams += 1
        try:
            for number, word in enumerate(words[:limit], start=1):
                if request.enough and request.enough("".join(words[:number])):
                    self.ended_early += 1
                    yield Piece(word, number, "stop")
                    return
                yield Piece(word, number)
            yield Piece("", min(len(words), limit), "length" if len(words) > limit else "stop")
        except GeneratorExit:
            self.closed_early += 1
            raise
        finally:
            self.open_streams -= 1

    def stream_batch(self, requests: Sequence[Request]) -> Iterator[tuple[int, Piece]]:
        self.streamed.append(len(requests))
        streams = {row: self.stream(request) for row, request in enumerate(requests)}
        try:
            while streams:
                for row in list(streams):
                    piece = next(streams[row])
                    if piece.finish:
                        next(streams.pop(row), None)
                    yield row, piece
        finally:
            for stream in streams.values():
                stream.close()

    def generate_batch(self, requests: Sequence[Request]) -> list[str]:
        self.batches.append(len(requests))
        return [self._cut(self._whole_answer(request), request) for request in requests]

    def score(self, requests: Sequence[ScoreRequest]) -> list[dict[str, float]]:
        for request in requests:
            self._fits(request.prompt)
        self.scored += requests
        return [self.judge(request) for request in requests]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        for text in texts:
            self._fits(text)
        self.encoded += texts
        rows = np.stack([self.vector(text) for text in texts])
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(lengths, 1e-9), dtype=np.float32)

    def count_tokens(self, prompt: Prompt) -> int:
        turns = 0 if isinstance(prompt, str) else len(prompt)
        return len(re.findall(r"[\u3040-\u9fff]|[^\s\u3040-\u9fff]+", written(prompt))) + 3 * turns + 1

    def _whole_answer(self, request: Request) -> str:
        self._fits(request.prompt)
        self.asked.append(request)
        text = self.answer(request)
        ends = [text.find(stop) for stop in request.stop if stop in text]
        return text[: min(ends)] if ends else text

    def _cut(self, text: str, request: Request) -> str:
        words = re.findall(r"\s*\S+|\s+\Z", text)
        return "".join(words[: request.sampling.max_new_tokens])

    def _fits(self, prompt: Prompt) -> None:
        size = self.count_tokens(prompt)
        if size > self.model.context:
            raise ValueError(f"{size} tokens do not fit {self.model.context}")
