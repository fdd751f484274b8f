"""Summarize a text of any length: at once where it fits, else part by part and then the parts' summaries.

What is streamed is cleaned on the way: no "Here is a summary:", no sentence twice, no more sentences than asked
for. Knows no page and no weights; everything is read, and how much so far is in every update.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import cast

from ..backend.engine import Engine, Finish, Piece, Request, Sampling, Turn
from ..catalog import Model
from ..errors import BadInput, TooLong
from ..messages import Message, message
from .cleaning import Wish, cleaned, joined
from .documents import count_words
from .language import detect, foreign, name, normalise
from .splitting import chunks, sentences

LENGTHS = {"sentence": 1, "short": 3, "medium": 6, "long": 12}
"""Sentences of a summary, at most."""

FEWEST_WORDS, MOST_WORDS = 10, 2000
"""Words that can be asked for."""

FORMS = ("paragraph", "bullets", "headline")

PART = 1024
"""Tokens read at once, at most: a model of 135 M parameters said less, and less that is true, of twice as many."""

PART_SENTENCES = 3
"""Sentences kept of each part."""

TOGETHER = 8
"""Parts read at once: what is lost at most when long work is killed."""

WORDS = 18
"""Words that a sentence has, about."""

ENOUGH = 0.75
"""Share of the words asked for from which a summary is long enough."""

SENTENCE = 48
"""Tokens that a sentence may have: twice those of a usual one."""

ROUNDS = 8
"""Rounds of shortening, far more than a text needs that fits a computer: each leaves a fraction of it."""

FOCUS = 300
"""Characters that the focus may have: it stands in every question."""


@dataclass(frozen=True)
class SummaryOptions:
    """What summary is wanted: `length` is one of `LENGTHS` or a number of words; an empty language is the text's own.

    Raises BadInput for what there is not.
    """

    length: str = "short"
    form: str = "paragraph"
    focus: str = ""
    language: str = ""

    def __post_init__(self) -> None:
        if self.length not in LENGTHS and not FEWEST_WORDS <= self.words <= MOST_WORDS:
            values = {"low": FEWEST_WORDS, "high": MOST_WORDS, "choices": ", ".join(LENGTHS)}
            raise BadInput("summary_length", value=self.length, **values)
        if self.form not in FORMS:
            raise BadInput("setting_choice", name="form", value=self.form, choices=", ".join(FORMS))
        if len(self.focus) > FOCUS:
            raise TooLong("focus_too_long", chars=len(self.focus), limit=FOCUS)
        if self.language:
            object.__setattr__(self, "language", normalise(self.language))

    @property
    def words(self) -> int:
        """How many words are wanted; 0 where `length` says it in another way."""
        return int(self.length) if re.fullmatch("[0-9]{1,6}", self.length) else 0

    def most_sentences(self, of: int) -> int:
        """Sentences of the summary of a text that has so many: at most half of them."""
        return min(LENGTHS.get(self.length, of), max(1, of // 2))


@dataclass(frozen=True)
class SummaryUpdate:
    """The summary so far: `text` stays empty while parts are read. A part is one reading of the model.

    `words_read` of `words_total` words of the text were read (a Chinese or Japanese character is a word).
    `finish` is empty until the end, then why it ended: "length" means that a sentence may be cut. `outline` holds what
    was kept of each part of the text, in their order; a text that is read in one go has none. `places` are those of
    the sentences that were taken from the text as they stand, counted from 0.
    """

    text: str
    done_parts: int
    parts: int
    words_read: int
    words_total: int
    finish: Finish = ""
    notes: tuple[Message, ...] = ()
    outline: tuple[str, ...] = ()
    places: tuple[int, ...] = ()


def summarize(engine: Engine, text: str, options: SummaryOptions | None = None) -> Iterator[SummaryUpdate]:
    """Read the whole text and summarize it; there is an update for every piece the engine writes.

    Closing the iterator closes the engine's stream. Raises BadInput for a blank text.
    """
    if not text.strip():
        raise BadInput("prompt_empty", model=engine.info.model.name)
    wish, notes = _wish(engine.info.model, text, options or SummaryOptions())
    part = replace(wish, form="paragraph", sentences=PART_SENTENCES, words=0)
    update = SummaryUpdate("", 0, 1, 0, count_words(text), notes=notes)
    for round_ in range(ROUNDS):
        pieces = _pieces(engine, text, wish)
        update = replace(update, parts=update.done_parts + len(pieces) + (len(pieces) > 1))
        yield update
        if len(pieces) == 1:
            break
        short: list[str] = []
        for first in range(0, len(pieces), TOGETHER):
            some = pieces[first : first + TOGETHER]
            update, answers = yield from _mapped(engine, some, part, update, keep=round_ == 0)
            short += answers
        text = "\n".join(short)
    else:
        raise RuntimeError(f"{ROUNDS} rounds did not shorten the text enough")
    update = replace(update, words_read=update.words_total)
    for answer, finish in _as_long_as_asked(engine, text, wish):
        yield replace(update, text=answer, done_parts=update.parts - (not finish), finish=finish)


def _mapped(
    engine: Engine, pieces: Sequence[str], wish: Wish, before: SummaryUpdate, keep: bool
) -> Generator[SummaryUpdate, None, tuple[SummaryUpdate, list[str]]]:
    """Yields how far the reading of all pieces together is, from `before` on; returns that and what is said of each.

    `keep`: what is said belongs to the outline, which has no gaps.
    """
    answers, open_rows, update = [""] * len(pieces), list(range(len(pieces))), before
    for row, answer, finish in _answers(engine, pieces, wish):
        answers[row] = answer
        if finish:
            open_rows.remove(row)
            read = min(update.words_total, update.words_read + count_words(pieces[row]))
            update = replace(update, done_parts=update.done_parts + 1, words_read=read)
        if finish and keep:
            ready = open_rows[0] if open_rows else len(pieces)
            update = replace(update, outline=(*before.outline, *answers[:ready]))
        yield update
    return update, answers


def own_language(text: str) -> str:
    """The language of a text; empty where that is not certain."""
    found = detect(text)
    return found.language if found.certain else ""


def _wish(model: Model, text: str, options: SummaryOptions) -> tuple[Wish, tuple[Message, ...]]:
    """The options with what the text decides: its language, and at most half of its sentences."""
    found = detect(text)
    own = found.language if found.certain else ""
    language = options.language or own
    said = "" if language == own == "en" else language
    most = 1 if options.form == "headline" else max(1, len(sentences(text, own)) // 2)
    notes = []
    if model.kind == "causal" and model.parameters < 10**9:
        notes.append(message("reason.summary_rough", model=model.name))
    if warning := foreign(found, model):
        notes.append(warning)
    if language != own and language not in model.languages:
        notes.append(message("reason.language_unwritten", model=model.name, language=Message(f"language.{language}")))
    words = 0 if options.form == "headline" else min(options.words, count_words(text))
    number = _sentences(words) if words else min(LENGTHS.get(options.length, 1), most)
    return Wish(options.form, number, options.focus, language, said, words), tuple(notes)


def _sentences(words: int) -> int:
    return max(1, round(words / WORDS))


def _pieces(engine: Engine, text: str, wish: Wish) -> list[str]:
    """The text as it will be read: in one piece if that leaves room for the question and the answer."""
    model = engine.info.model
    room = 0 if model.kind == "seq2seq" else min(model.context // 4, SENTENCE * LENGTHS["long"])
    budget = min(PART, model.context - room - engine.count_tokens(_prompt(model, "", wish)))
    return chunks(text, budget, engine.count_tokens, wish.language)


def _prompt(model: Model, text: str, wish: Wish) -> str | tuple[Turn, ...]:
    """The question first and the text after it; for a headline the other way round.

    Tried on package descriptions with SmolLM2: so its summaries are nearer to the text and invent less, while
    its headlines become sentences of the text.
    """
    if model.kind == "seq2seq":
        return f"summarize: {text}" if model.family in ("t5", "mt5") else text
    if not model.chat:
        return f"{text}\n\nTL;DR:"
    language = f" Write in {name(wish.said)}." if wish.said else ""
    if wish.form == "headline":
        about = f" about {wish.focus}" if wish.focus else ""
        return (Turn("user", f"{text}\n\nWrite a short headline{about} for the text above.{language}"),)
    what = f"what this text says about {wish.focus}" if wish.focus else "this text"
    how = "one sentence" if wish.sentences == 1 else f"{wish.sentences} sentences"
    how += f", about {wish.words} words" if wish.words else ""
    return (Turn("user", f"Summarize {what} in {how}.{language}\n\n{text}"),)


def _as_long_as_asked(engine: Engine, text: str, wish: Wish) -> Iterator[tuple[str, Finish]]:
    """`_answers`; where they stay far below the words asked for, again from smaller pieces of the text together."""
    got = ""
    end: Finish = ""
    for _, got, end in _answers(engine, [text], wish):
        yield got, "" if wish.words else end
    if not wish.words:
        return
    made = [got]
    if count_words(got) < ENOUGH * wish.words:
        short = max(1, count_words(got))
        budget = max(SENTENCE, engine.count_tokens(text) * short // wish.words)
        made = []
        for piece in chunks(text, budget, engine.count_tokens, wish.language):
            left = wish.words - count_words(" ".join(made))
            if left < (1 - ENOUGH) * wish.words:
                break
            each = replace(wish, words=min(left, count_words(piece)), sentences=min(PART_SENTENCES, _sentences(left)))
            for _, answer, finish in _answers(engine, [piece], each):
                yield joined([*made, answer], wish), ""
                end = finish
            made.append(answer)
    yield joined(made, wish), end


def _answers(engine: Engine, texts: Sequence[str], wish: Wish) -> Iterator[tuple[int, str, Finish]]:
    """What is written so far about which text, cleaned, and why it ended; the last about each has a reason."""
    # Engines stream from generators, whose close() the protocol's Iterator does not name.
    requests = [replace(_request(engine, text, wish), enough=lambda raw: cleaned(raw, wish, "")[1]) for text in texts]
    stream = cast("Generator[tuple[int, Piece], None, None]", engine.stream_batch(requests))
    raw = [""] * len(texts)
    with closing(stream):
        for row, piece in stream:
            raw[row] += piece.text
            answer, enough = cleaned(raw[row], wish, piece.finish)
            yield row, answer, "stop" if piece.finish and enough else piece.finish


def _request(engine: Engine, text: str, wish: Wish) -> Request:
    model = engine.info.model
    most = min(SENTENCE * wish.sentences, max(16, engine.count_tokens(text) // (1 if wish.words else 2)))
    return Request(_prompt(model, text, wish), Sampling(temperature=0.0, max_new_tokens=most))
