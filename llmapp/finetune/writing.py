"""To write answers: the untouched model asked, an adapter trained, and the same questions asked again through it.

Both times the rows kept for the test go the way a chat goes: engine, chat template, the adapter read from disk. Says
where it is and asks whether to stop through `Watch`. Does not know processes, jobs or the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.device import choose_precision
from ..backend.engine import Engine, Request, Sampling, Turn
from ..backend.loader import Loaded, load_for_training
from ..backend.pool import Pool
from ..backend.progress import while_wanted
from ..backend.tokens import Tokens
from ..errors import BadInput, Busy
from ..messages import message
from ..tasks.watch import Ordered, Watch
from .adapter import Base, publish, save, verify
from .batching import Example, aligned
from .course import ADAPTER, Made, School, Teller, compute, fetched, keep_result
from .export import TEXT
from .goals import TASKS, settings_for
from .lesson import MOST_ASKED, WritingLesson, Written, drawn
from .objective import Writing, answer_losses
from .order import MOST_PROMPTS, ROWS, TESTED, LessonOrder
from .pairs import LEAST_PAIRS, asked, encoded, learned, split_pairs
from .scarce import in_batches
from .settings import step_budget
from .train import train, with_lora
from .writing_report import answered, writing_card

Sample = tuple[str, tuple[Turn, ...]]
"""A text as it is shown to the person, and what the model is asked for it."""
MOST_LOOKED_AT = 100
"""Rows the best state is chosen with."""
ROOM = 1.5
"""How much longer than the longest answer that it learns an answer may get."""
LONGEST_SAMPLE = 1000
"""Characters of what it is asked while it learns, where the person gave nothing."""
SAMPLE_TOKENS = 64
"""How far an answer is written while it learns."""
ASKED_AT_ONCE = 16
SHOWN = 20
"""Answers that the report itself holds, from all over the test."""
BEFORE = "before.json"
"""In the job's result: what the untouched model answered, so that it is not asked again after a stop."""


def learn_to_write(work: Ordered, order: LessonOrder, school: School) -> Made | None:
    """The adapter that answers as the order's table does; None when told to stop meanwhile."""
    knobs, model = settings_for(order.goal, order.settings), school.catalog.model(order.base)
    pairs = order.pairs(work.file(ROWS))
    parts = split_pairs(pairs, knobs.seed)
    keep_result(work, "split.json", asdict(parts))
    for note in pairs.notes:
        work.say(note)
    local = fetched(work, model, school.sources)
    if local is None:
        return None
    base = Base(model, local, choose_precision(model, school.hardware, school.settings.precision))
    tested = drawn(parts.test, MOST_ASKED, knobs.seed)
    found = _before(work, WritingLesson(pairs, parts, base, knobs, order.effort, tested, order.prompts), school)
    if found is None:
        return None
    lesson, before = found
    written = _teach(work, lesson, school)
    after = _after(work, order, lesson, school) if written else None
    if written is None or after is None:
        return None
    rows = answered(lesson.pairs, lesson.tested, before, after)
    keep_result(work, TESTED, rows)
    report = writing_card(lesson, written, rows)
    return Made(work.folder("result") / ADAPTER, report, {"answers": rows[:: max(1, len(rows) // SHOWN)][:SHOWN]})


def _before(work: Watch, lesson: WritingLesson, school: School) -> tuple[WritingLesson, list[str]] | None:
    """What the untouched model answers, and the lesson with the tested rows that it can take.

    Read again where it was asked already; None when told to stop.
    """
    kept, name = work.folder("result") / BEFORE, lesson.base.model.id
    with suppress(OSError, ValueError, KeyError):
        found = json.loads(kept.read_text(encoding="utf-8"))
        return _taking(lesson, found["tested"], found.get("exchanges", ())), found["answers"]
    work.phase("baseline")
    with _engine(work, school.pool(), name, "") as engine:
        if engine is None:
            return None
        fitting = {i: exchanges for i in lesson.tested if (exchanges := _fitting(engine, lesson, i))}
        lesson = _taking(lesson, list(fitting), list(fitting.values()))
        answers = _asked(work, lesson, engine)
    if answers is None:
        return None
    keep_result(work, BEFORE, {"tested": lesson.tested, "exchanges": list(fitting.values()), "answers": answers})
    return lesson, answers


def _taking(lesson: WritingLesson, tested: Sequence[int], exchanges: Sequence[int]) -> WritingLesson:
    """The lesson with these rows tested, of each so many exchanges, all where none are told."""
    return replace(lesson, tested=tested, pairs=lesson.pairs.cut(dict(zip(tested, exchanges, strict=False))))


def _fitting(engine: Engine, lesson: WritingLesson, position: int) -> int:
    """How many exchanges of a row, from its first, are no longer than what is learned."""
    said = lesson.pairs.said(position)
    for exchange in range(1, len(said) // 2 + 1):
        question = lesson.pairs.asked(engine.info.model, position, exchange)
        if engine.count_tokens(question) + engine.count_tokens(said[2 * exchange - 1]) >= _most(lesson):
            return exchange - 1
    return len(said) // 2


def _most(lesson: WritingLesson) -> int:
    return min(lesson.settings.max_tokens, lesson.base.model.context)


def _after(work: Ordered, order: LessonOrder, lesson: WritingLesson, school: School) -> list[str] | None:
    """What the adapter answers, leased as every tab will: it gets a card for now, where only this job looks."""
    work.phase("evaluating")
    folder = work.folder("result") / ADAPTER
    card = {"id": work.id, "name": order.name, "owner": work.owner, "task": TASKS[order.goal], "created": 0.0}
    publish(folder, card | {"base": lesson.base.model.id})
    catalog = school.catalog.with_adapters(work.folder("result"))
    with _engine(work, school.pool(catalog), work.id, work.owner) as engine:
        return _asked(work, lesson, engine) if engine else None


@contextmanager
def _engine(work: Watch, pool: Pool, name: str, owner: str) -> Iterator[Engine | None]:
    """A model to ask; None when told to stop before it is there. The pool is closed with it."""
    report, cancel = while_wanted(work.progress, work.stop_asked)
    with closing(pool), ExitStack() as held:
        try:
            engine = held.enter_context(pool.lease(name, owner, report=report, cancel=cancel))
        except Busy:
            if not cancel.is_set():
                raise
            engine = None
        yield engine


def _asked(work: Watch, lesson: WritingLesson, engine: Engine) -> list[str] | None:
    """Answers to the rows of the test, the likeliest words each; None when told to stop meanwhile."""
    questions, answers, most = lesson.questions(), list[str](), _most_tokens(engine, lesson)

    def ask(some: Sequence[tuple[Turn, ...]]) -> None:
        if not work.stop_asked():
            answers.extend(_answers(engine, some, most))
            work.progress(len(answers), len(questions))

    in_batches(questions, ASKED_AT_ONCE, ask)
    return answers if len(answers) == len(questions) else None


def _answers(engine: Engine, prompts: Sequence[tuple[Turn, ...]], most: int) -> list[str]:
    sampling = Sampling(temperature=0.0, max_new_tokens=most)
    return [text.strip() for text in engine.generate_batch([Request(prompt, sampling) for prompt in prompts])]


def _most_tokens(engine: Engine, lesson: WritingLesson) -> int:
    longest = max((said for i in lesson.parts.train for said in lesson.pairs.said(i)[1::2]), key=len)
    return min(lesson.settings.max_tokens, round(ROOM * engine.count_tokens(longest)) + 8)


def _teach(work: Watch, lesson: WritingLesson, school: School) -> Written | None:
    """Train on the lesson's rows; the adapter is saved, and read back. None when told to stop."""
    import torch

    work.phase("loading")
    torch.set_num_threads(max(1, school.hardware.cores - 1))
    torch.manual_seed(lesson.settings.seed)
    loaded = load_for_training(lesson.base.local, lesson.base.model, lesson.base.precision)
    tokens = Tokens(loaded.tokenizer, lesson.base.model)
    learn, choose, test, left_out = _examples(work, tokens, lesson)
    model = with_lora(loaded.model, lesson.settings, task="CAUSAL_LM")
    steps = step_budget(lesson.effort, len(learn), lesson.settings.batch)
    outcome = train(
        model,
        Writing(learn, choose, partial(_said, tokens, loaded, _sampled(lesson))),
        lesson.settings,
        steps,
        work.folder("checkpoints"),
        Teller(work, steps, "perplexity"),
        work.stop_asked,
        compute(school.hardware),
        school.room,
    )
    if not outcome.finished:
        return None
    if outcome.early:
        work.say(message("training.early", step=outcome.best_step))
    work.phase("saving")
    last = _per_token(model, test, outcome.parts)
    with model.disable_adapter():
        first = _per_token(model, test, outcome.parts)
    folder = work.folder("result") / ADAPTER
    save(model, lesson.base, folder)
    verify(folder, lesson.base, partial(_per_token, rows=test, parts=outcome.parts), last)
    turns = tokens.wording(asked(tokens.model, TEXT, lesson.pairs.system))
    asked_as = {"turns": turns, "end": tokens.ending()}
    return Written(outcome, left_out, (_overall(first, test), _overall(last, test)), asked_as)


def _examples(
    work: Watch, tokens: Tokens, lesson: WritingLesson
) -> tuple[list[Example], list[Example], list[Example], int]:
    """Rows to learn from, to choose with and to test on as tokens; how many were left out for their length."""
    most = _most(lesson)
    sides = (lesson.parts.train, drawn(lesson.parts.valid, MOST_LOOKED_AT, lesson.settings.seed), lesson.tested)
    test = encoded(tokens, lesson.pairs, sides[2], most)
    rows = [[learned(tokens, lesson.pairs, i, most) for i in side] for side in sides[:2]]
    found = [*([each for examples, _ in side for each in examples] for side in rows), list(test.values())]
    left_out = sum(not examples for side in rows for examples, _ in side) + len(sides[2]) - len(test)
    shorter = sum(1 for side in rows for examples, left in side if examples and left)
    if shorter:
        work.say(message("training.shorter", rows=shorter, tokens=most))
    if left_out:
        work.say(message("training.left_out", rows=left_out, tokens=most))
    if len(found[0]) < LEAST_PAIRS // 2 or not (found[1] and found[2]):
        raise BadInput("training_too_long", rows=left_out, tokens=most)
    return found[0], found[1], found[2], left_out


def _sampled(lesson: WritingLesson) -> list[Sample]:
    """What it is asked while it learns: what the person gave, else short inputs that it does not learn from."""
    pairs, model = lesson.pairs, lesson.base.model
    if lesson.prompts:
        return [(text, asked(model, text, pairs.system)) for text in lesson.prompts]
    questions = ((pairs.shown(i), pairs.asked(model, i)) for i in lesson.parts.valid)
    short = (each for each in questions if sum(len(turn.text) for turn in each[1]) <= LONGEST_SAMPLE)
    return list(islice(short, MOST_PROMPTS))


def _said(tokens: Tokens, loaded: Loaded, samples: Sequence[Sample], model: Any) -> list[tuple[str, str]]:
    """The beginnings of its answers, the likeliest words each."""
    import torch

    if not samples:
        return []
    prompts = [tokens.ids(turns) for _, turns in samples]
    given = aligned(prompts, model)
    del given["position_ids"]  # generate counts on from the mask
    with torch.inference_mode():
        ids = model.generate(
            **given,
            do_sample=False,
            max_new_tokens=SAMPLE_TOKENS,
            eos_token_id=tokens.ending(),
            pad_token_id=loaded.tokenizer.pad_token_id,
        )
    begun = given["input_ids"].shape[1]
    return [(text, tokens.decode(row[begun:].tolist()).strip()) for (text, _), row in zip(samples, ids, strict=True)]


def _per_token(model: Any, rows: Sequence[Example], parts: int) -> NDArray[np.float64]:
    """Mean loss of a token of each row's answer."""
    counts = np.array([row.answer_tokens for row in rows], dtype=np.float64)
    return answer_losses(model, rows, parts) / counts


def _overall(per_token: NDArray[np.float64], rows: Sequence[Example]) -> float:
    """Mean loss of all the answers' tokens."""
    return float(np.average(per_token, weights=[row.answer_tokens for row in rows]))
