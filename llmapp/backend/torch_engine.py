"""The engine on transformers: one loaded model, for as long as it is leased.

Ties tokens, decoding and judging together and runs a stream in a thread of its own, so that a slow reader does
not slow the writing. Does not load weights, and does not know who leases or who waits.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalog import Kind
from ..errors import Busy, CanNotRun
from ..messages import message
from . import decoding, judging, seq2seq
from .engine import EngineInfo, Piece, Request, ScoreRequest
from .memory import Guard, in_words
from .prefix_cache import PrefixCache
from .tokens import Answer, Appearing, Prompt, Tokens

Put = Callable[[int, Piece], None]
"""Takes a piece, with the number of the request that it belongs to."""

EVERY_S = 0.15
"""Seconds between two pieces: it still flows to the eye, and who reads along wakes up 7 times a second at most."""

PULSE_S = 0.25
"""Without a new token for so long, as while a long prompt is read, an empty piece comes: a chance to close."""

TOGETHER = {"cpu": 8}
TOGETHER_ELSEWHERE = 32
"""Answers written at once: 8 gave four times the tokens of one on two cores; a card has room for more."""

BATCH_TOKENS = 16_384
"""Tokens in one batch, those to be written included: what bounds its keys and values, where memory does not."""


WORK: dict[str, tuple[tuple[Kind, ...], str]] = {
    "write": (("causal", "seq2seq"), "reason.can_not_write"),
    "score": (("causal",), "reason.can_not_score"),
    "judge": (("classifier",), "reason.can_not_judge"),
    "encode": (("encoder",), "reason.can_not_encode"),
}
"""Which kinds of model can do what is asked, and what is said of the others."""


class TorchEngine:
    """Implements `Engine` for a model of transformers, until `end` is called."""

    def __init__(
        self,
        model: Any,
        kind: Kind,
        tokens: Tokens,
        info: EngineInfo,
        guard: Guard,
        prefixes: PrefixCache | None = None,
    ) -> None:
        """`prefixes` outlives this engine: what it leaves there, the next one on the same weights need not read."""
        self._model, self._kind, self._tokens, self._info, self._guard = model, kind, tokens, info, guard
        self._prefixes = prefixes or PrefixCache()
        self._ended = threading.Event()
        self._streams: list[_Stream] = []

    @property
    def info(self) -> EngineInfo:
        """What this is."""
        return self._info

    def stream(self, request: Request) -> Iterator[Piece]:
        """Text as it is written; the last piece says why it ended.

        Closing the iterator returns when generation has ended: within one token, or one part of a long prompt.
        While nothing new comes, empty pieces do. Raises TooLong, OutOfMemory, CanNotRun, BadInput.
        """
        with closing(self.stream_batch([request])) as pieces:
            for _, piece in pieces:
                yield piece

    def stream_batch(self, requests: Sequence[Request]) -> Generator[tuple[int, Piece], None, None]:
        """Several texts as they are written, computed together in groups of similar length; else as `stream`."""
        self._check("write")
        for group in self._groups(requests):
            stream = _Stream(len(group), partial(self._write_streams, [requests[i] for i in group]))
            self._streams.append(stream)
            try:
                for row, piece in stream.pieces():
                    yield group[row], piece
            finally:
                stream.stop()
                self._streams.remove(stream)

    def generate_batch(self, requests: Sequence[Request]) -> list[str]:
        """Whole answers, in order, computed together in groups of similar length. Raises as `stream` does."""
        self._check("write")
        texts = [""] * len(requests)
        for group in self._groups(requests):
            written = in_words(self._info.model, partial(self._write_group, [requests[i] for i in group]))
            if self._ended.is_set():
                raise Busy("lease_stopped", model=self._info.model.name)
            for i, text in zip(group, written, strict=True):
                texts[i] = text
        return texts

    def score(self, requests: Sequence[ScoreRequest]) -> list[dict[str, float]]:
        """Probability of each label or candidate; each dictionary sums to 1.

        Formulas: `judging.candidates` (causal models), `judging.labels` (classifiers). Raises TooLong, CanNotRun.
        """
        own = not any(request.candidates for request in requests)
        self._check("judge" if own else "score")
        model, tokens = self._model, self._tokens
        if own:
            prompts = [request.prompt for request in requests]
            return in_words(self._info.model, lambda: judging.labels(model, tokens, prompts))
        return in_words(self._info.model, lambda: [judging.candidates(model, tokens, each) for each in requests])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), width). Raises TooLong, CanNotRun."""
        self._check("encode")
        return in_words(self._info.model, lambda: judging.vectors(self._model, self._tokens, texts))

    def count_tokens(self, prompt: Prompt) -> int:
        """Length of a prompt in this model's tokens, chat template included."""
        return len(self._tokens.ids(prompt))

    def end(self) -> None:
        """Stop what is still being written and let go of the weights; nothing can be asked after it."""
        self._ended.set()
        for stream in list(self._streams):
            stream.stop()
        self._model = None

    def _check(self, work: str) -> None:
        if self._ended.is_set():
            raise RuntimeError("the lease of this engine is over")
        kinds, code = WORK[work]
        if self._kind not in kinds:
            raise CanNotRun("wrong_kind", model=self._info.model.name, why=message(code))

    def _write_streams(self, requests: Sequence[Request], put: Put, cancel: threading.Event) -> None:
        in_words(self._info.model, lambda: self._write_pieces(requests, put, cancel))

    def _write_pieces(self, requests: Sequence[Request], put: Put, cancel: threading.Event) -> None:
        if self._kind == "seq2seq":
            for row, (text, count) in enumerate(self._translated(requests, cancel)):
                put(row, Piece(text, count, "cancelled" if cancel.is_set() else "stop"))
            return
        answers = [self._answer(request) for request in requests]
        paces = [_Pace() for _ in requests]

        def take(row: int, token: int) -> bool:
            answer = answers[row]
            if answer.take(token) or (answer.ready and paces[row].due()):
                text = answer.text()
                put(row, Piece(text, answer.tokens, answer.finish))
            return bool(answer.finish)

        self._write(requests, take, cancel)
        for row, answer in enumerate(answers):
            if not answer.finish:
                put(row, Piece(answer.text(), answer.tokens, "cancelled"))

    def _write_group(self, requests: Sequence[Request]) -> list[str]:
        if self._kind == "seq2seq":
            return [text for text, _ in self._translated(requests, self._ended)]
        answers = [self._answer(request) for request in requests]
        self._write(requests, lambda row, token: answers[row].take(token), self._ended)
        return [answer.text() for answer in answers]

    def _write(self, requests: Sequence[Request], take: decoding.Take, cancel: threading.Event) -> None:
        prompts = [self._tokens.checked(request.prompt) for request in requests]
        draws = [
            decoding.Draw(request.sampling, ids, self._model.device)
            for request, ids in zip(requests, prompts, strict=True)
        ]
        device, by = self._model.device.type, self._info.adapter.weights if self._info.adapter else ""
        begun = self._prefixes.take(by, prompts[0], device) if len(prompts) == 1 else None
        size = sum(map(self._size, requests))
        with self._guard.writing(self._info, size):
            reading = decoding.write(self._model, prompts, draws, take, cancel, begun)
        if reading and len(prompts) == 1 and self._guard.spares(self._info, size):
            self._prefixes.keep(by, prompts[0], reading.cache, device)

    def _translated(self, requests: Sequence[Request], cancel: threading.Event) -> list[tuple[str, int]]:
        """Texts of an encoder-decoder and how many tokens each has; the same languages in all requests."""
        rows = seq2seq.write(self._model, self._tokens, requests, cancel)
        texts = [self._tokens.decode(ids).strip() for ids in rows]
        return [
            (min((text.partition(stop)[0] for stop in request.stop), key=len, default=text), len(ids))
            for request, text, ids in zip(requests, texts, rows, strict=True)
        ]

    def _answer(self, request: Request) -> Answer:
        own, tokenizer = self._model.generation_config.eos_token_id, self._tokens.tokenizer
        ends = {tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None}
        appearing = Appearing(self._tokens.decode, self._tokens.continued(request.prompt))
        stops, limit = self._tokens.stops(request), self._limit(request)
        return Answer(appearing, frozenset(ends), stops, limit, request.enough)

    def _limit(self, request: Request) -> int:
        """Tokens an answer may have: what is asked for, or what the context leaves."""
        left = self._info.model.context - len(self._tokens.checked(request.prompt))
        return min(request.sampling.max_new_tokens, left)

    def _size(self, request: Request) -> int:
        """Tokens of a prompt and its longest answer."""
        return len(self._tokens.checked(request.prompt)) + self._limit(request)

    def _groups(self, requests: Sequence[Request]) -> Iterator[list[int]]:
        """Indices of requests to be computed together: what must be equal is equal, and lengths are similar."""
        if len(requests) == 1:  # an answer in a chat: its prompt is not counted for nothing
            yield [0]
            return
        alike: dict[object, list[int]] = defaultdict(list)
        for i, request in enumerate(requests):
            same = (request.languages, request.sampling.repetition_penalty)
            alike[same if self._kind == "seq2seq" else None].append(i)
        rows = TOGETHER.get(self._model.device.type, TOGETHER_ELSEWHERE)
        most = self._guard.together(self._info, BATCH_TOKENS)
        for indices in alike.values():
            sizes = [self._size(requests[i]) for i in indices]
            for batch in judging.by_length(sizes, rows, most):
                yield [indices[i] for i in batch]


class _Pace:
    """Says when the next piece is due: at once, then every `EVERY_S`."""

    def __init__(self) -> None:
        self._next = 0.0

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + EVERY_S
        return True


class _Stream:
    """Work in a thread of its own that puts pieces, and who takes them out; it can be stopped and then has ended."""

    def __init__(self, rows: int, work: Callable[[Put, threading.Event], None]) -> None:
        self._work = work
        self._open = dict.fromkeys(range(rows), 0)
        self._cancel = threading.Event()
        self._line: queue.SimpleQueue[tuple[int, Piece] | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="write")

    def pieces(self) -> Iterator[tuple[int, Piece]]:
        """Starts the work. Its errors are raised here; an empty piece comes where there is nothing new."""
        self._thread.start()
        while self._open:
            row, piece = self._next()
            self._open[row] = piece.tokens
            if piece.finish:
                del self._open[row]
            yield row, piece

    def stop(self) -> None:
        """Returns when the work has ended."""
        self._cancel.set()
        if self._thread.is_alive():
            self._thread.join()

    def _next(self) -> tuple[int, Piece]:
        try:
            got = self._line.get(timeout=PULSE_S)
        except queue.Empty:
            row, tokens = next(iter(self._open.items()))
            return row, Piece("", tokens)
        if isinstance(got, BaseException):
            raise got
        return got

    def _run(self) -> None:
        try:
            self._work(lambda row, piece: self._line.put((row, piece)), self._cancel)
        except BaseException as problem:  # raised where the pieces are taken
            self._line.put(problem)
