"""One turn of a conversation: what of it fits the model's context, and the answer as it is written.

Sees the Engine protocol only. Does not know where conversations are kept or how they are shown.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from typing import cast

from ..backend.engine import Engine, Finish, Piece, Request, Sampling, Turn
from ..catalog import Model
from ..errors import BadInput, TooLong

UPDATES_PER_S = 12
"""More than the eye follows; each update is drawn by the page."""
LEAST_ANSWER = 64
"""Tokens that are always left to answer in: a message that leaves fewer is too long."""


@dataclass(frozen=True)
class ChatOptions:
    """The system prompt (may be empty) and how tokens are drawn."""

    system: str = ""
    sampling: Sampling = Sampling()


@dataclass(frozen=True)
class Fitted:
    """What is sent: system prompt first, newest turns kept.

    `tokens` is the exact length of the prompt, `dropped` how many of the oldest messages stayed out;
    `tokens + max_new_tokens` is never more than `context`.
    """

    turns: tuple[Turn, ...]
    tokens: int
    context: int
    dropped: int
    max_new_tokens: int


@dataclass(frozen=True)
class Answer:
    """The answer so far: all of `text` each time, a continued beginning included; reasoning apart from it.

    `tokens` counts what was generated, reasoning included. Times in seconds from the request; speed without
    the wait for the first token, 0.0 until there are two.
    """

    text: str
    reasoning: str
    tokens: int
    first_token_s: float
    tokens_per_s: float
    finish: Finish
    fitted: Fitted


def opening(model: Model, system: str) -> tuple[Turn, ...]:
    """What is said to a model before a conversation: a person's system prompt, else the model's own, if it has one."""
    first = system if system.strip() else model.system
    return (Turn("system", first),) if first is not None else ()


def fit(engine: Engine, turns: Sequence[Turn], system: str, max_new_tokens: int) -> Fitted:
    """Drop the oldest pairs until the rest leaves room for an answer: `max_new_tokens`, or half the context.

    Where a person gives no system prompt, it is the one that the adapter was taught with in every row, if any.

    Each turn is counted once, newest first, and no further than the context reaches; one exact count settles
    it. A long last message makes that room smaller, down to `LEAST_ANSWER`. Raises TooLong when it and the
    system prompt alone leave less, BadInput when there is nothing to answer.
    """
    context = engine.info.model.context
    taught = engine.info.adapter.report.get("system", "") if engine.info.adapter else ""
    head = opening(engine.info.model, system if system.strip() else taught)
    pairs = _pairs(_alternating(turns))
    if not pairs:
        raise BadInput("chat_empty")
    answer = min(max_new_tokens, context // 2)
    least = min(answer, LEAST_ANSWER)
    start = _first_kept(engine, pairs, context - answer - _count(engine, head))
    while True:
        sent = head + tuple(turn for pair in pairs[start:] for turn in pair)
        tokens = engine.count_tokens(sent)
        alone = start == len(pairs) - 1
        if tokens + (least if alone else answer) <= context:
            break
        if alone:
            raise TooLong("chat_too_long", tokens=tokens, limit=context - least, context=context)
        start += 1
    dropped = sum(len(pair) for pair in pairs[:start])
    return Fitted(sent, tokens, context, dropped, min(max_new_tokens, context - tokens))


def reply(engine: Engine, turns: Sequence[Turn], options: ChatOptions) -> Generator[Answer, None, None]:
    """Answer the last turn, or go on from it where it is the assistant's.

    Yields the first token at once, else at most `UPDATES_PER_S`, also while the engine has nothing new yet (so
    that who reads can stop it), and always the last. Closing it ends generation. Raises as `fit` does.
    """
    started = time.perf_counter()
    fitted = fit(engine, turns, options.system, options.sampling.max_new_tokens)
    sampling = replace(options.sampling, max_new_tokens=fitted.max_new_tokens)
    beginning = fitted.turns[-1].text if fitted.turns[-1].role == "assistant" else ""
    written, first_s, shown_s, first, piece = "", 0.0, 0.0, 0, Piece("", 0)

    def so_far(now: float, whole: bool) -> Answer:
        text, reasoning = split_reasoning(written, engine.info.model.reasoning, whole)
        # Some models put a space before their first word; in a continued text it parts two words.
        text = beginning + text if beginning else text.lstrip()
        speed = (piece.tokens - first) / (now - first_s) if piece.tokens > first and now > first_s else 0.0
        return Answer(text, reasoning, piece.tokens, first_s, speed, piece.finish, fitted)

    # Engines stream from generators, whose close() the protocol's Iterator does not name.
    stream = cast("Generator[Piece, None, None]", engine.stream(Request(fitted.turns, sampling)))
    with closing(stream) as pieces:
        for piece in pieces:
            now = time.perf_counter() - started
            written += piece.text
            begins = piece.tokens > 0 and not first
            if begins:
                first, first_s = piece.tokens, now
            if begins or piece.finish or now - shown_s >= 1 / UPDATES_PER_S:
                shown_s = now
                yield so_far(now, whole=bool(piece.finish))
    if not piece.finish:
        yield so_far(time.perf_counter() - started, whole=True)


def split_reasoning(text: str, tags: tuple[str, str] | None, whole: bool) -> tuple[str, str]:
    """Text and reasoning apart, for a text that may still grow (`whole` False).

    Only blocks before the answer count; an unclosed one is reasoning to the end. Some templates open the
    block in the prompt, so a closing tag without an opening one ends a block that began with the text.
    While the text grows, an end that may become a tag is in neither part.
    """
    if tags is None:
        return text, ""
    opening, ending = tags
    if not whole:
        text = text[: len(text) - max(_begun(text, tag) for tag in tags)]
    thoughts: list[str] = []
    while True:
        if text.lstrip().startswith(opening):
            thought, _, text = text.lstrip().removeprefix(opening).partition(ending)
        elif not thoughts and ending in text.partition(opening)[0]:
            thought, _, text = text.partition(ending)
        else:
            break
        thoughts.append(thought.strip())
    return (text.lstrip() if thoughts else text), "\n\n".join(filter(None, thoughts))


def _begun(text: str, tag: str) -> int:
    """Length of the longest beginning of a tag, short of all of it, that a text ends with."""
    return next((n for n in range(len(tag) - 1, 0, -1) if text.endswith(tag[:n])), 0)


def _alternating(turns: Sequence[Turn]) -> list[Turn]:
    """Without answers that never began, and neighbours of one role as one: many templates insist on it."""
    said = (turn for turn in turns if turn.text or turn.role == "user")
    return [
        Turn(role, "\n\n".join(turn.text for turn in group))
        for role, group in groupby(said, key=lambda turn: turn.role)
    ]


def _pairs(turns: Sequence[Turn]) -> list[list[Turn]]:
    """A person's message and what follows it, up to their next."""
    pairs: list[list[Turn]] = []
    for turn in turns:
        if turn.role == "user" or not pairs:
            pairs.append([])
        pairs[-1].append(turn)
    return pairs


def _first_kept(engine: Engine, pairs: Sequence[Sequence[Turn]], room: float) -> int:
    """The oldest pair that fits into `room` tokens by running sums; the last pair always stays."""
    around = _around(engine)
    for index in range(len(pairs) - 1, -1, -1):
        room -= sum(engine.count_tokens(turn.text) + around for turn in pairs[index])
        if room < 0:
            return min(index + 1, len(pairs) - 1)
    return 0


def _around(engine: Engine) -> float:
    """Tokens that the chat template puts around a turn, the mean of both roles."""
    one, two = Turn("user", "a"), Turn("assistant", "a")
    pair = engine.count_tokens((one, two, one)) - engine.count_tokens((one,))
    return max(0.0, pair / 2 - engine.count_tokens("a"))


def _count(engine: Engine, head: tuple[Turn, ...]) -> int:
    return sum(engine.count_tokens(turn.text) for turn in head)
