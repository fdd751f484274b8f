"""An engine that remembers on disk what it wrote: work that is begun again is spared what it had done.

A task asks the same questions in the same order, so the summary of a book or its translation goes on where it was
stopped or killed, without knowing it. Knows no task and no job.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..backend.engine import Engine, EngineInfo, Piece, Request, ScoreRequest, Turn
from .rows import DoneRows


class Memo:
    """Implements `Engine` over another one. Answers are kept whole, each as it ends; another model's are not taken."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._maker = repr(engine.info.facts())
        self._file = DoneRows(path)
        self._kept = {row["key"]: row for row in self._file.rows}

    @property
    def info(self) -> EngineInfo:
        """What the engine below is."""
        return self._engine.info

    def stream(self, request: Request) -> Iterator[Piece]:
        """As the engine below; what was written before comes in one piece."""
        with closing(self.stream_batch([request])) as pieces:
            for _, piece in pieces:
                yield piece

    def stream_batch(self, requests: Sequence[Request]) -> Generator[tuple[int, Piece], None, None]:
        """As the engine below, which is asked for what it has not written yet."""
        keys = [self._key(request) for request in requests]
        new = [number for number, key in enumerate(keys) if key not in self._kept]
        for number in sorted(set(range(len(keys))) - set(new)):
            row = self._kept[keys[number]]
            yield number, Piece(row["text"], row["tokens"], row["finish"])
        if new:
            yield from self._written([keys[i] for i in new], [requests[i] for i in new], new)

    def _written(
        self, keys: Sequence[str], requests: Sequence[Request], numbers: Sequence[int]
    ) -> Generator[tuple[int, Piece], None, None]:
        """Pieces by the requests' numbers; what is left unfinished is not kept."""
        # Engines stream from generators, whose close() the protocol's Iterator does not name.
        stream = cast("Generator[tuple[int, Piece], None, None]", self._engine.stream_batch(requests))
        texts = [""] * len(requests)
        with closing(stream):
            for row, piece in stream:
                texts[row] += piece.text
                if piece.finish and piece.finish != "cancelled":
                    self._keep([_row(keys[row], texts[row], piece.tokens, piece.finish)])
                yield numbers[row], piece

    def generate_batch(self, requests: Sequence[Request]) -> list[str]:
        """As the engine below, which is asked for what it has not written yet."""
        keys = [self._key(request) for request in requests]
        new = {key: request for key, request in zip(keys, requests, strict=True) if key not in self._kept}
        if new:
            texts = self._engine.generate_batch(list(new.values()))
            self._keep([_row(key, text, 0, "stop") for key, text in zip(new, texts, strict=True)])
        return [self._kept[key]["text"] for key in keys]

    def score(self, requests: Sequence[ScoreRequest]) -> list[dict[str, float]]:
        """As the engine below."""
        return self._engine.score(requests)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As the engine below."""
        return self._engine.encode(texts)

    def count_tokens(self, prompt: str | tuple[Turn, ...]) -> int:
        """As the engine below."""
        return self._engine.count_tokens(prompt)

    def _key(self, request: Request) -> str:
        return hashlib.sha256(f"{self._maker}\n{request!r}".encode()).hexdigest()

    def _keep(self, rows: list[dict[str, Any]]) -> None:
        self._file.add(rows)
        self._kept |= {row["key"]: row for row in rows}


def _row(key: str, text: str, tokens: int, finish: str) -> dict[str, Any]:
    return {"key": key, "text": text, "tokens": tokens, "finish": finish}
