"""A table of inputs and answers to rows that can teach a model to write: checked, split, and read as its chat reads.

Knows tables, texts and one model's tokens. Does not know labels, weights, steps or the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..backend.engine import Turn
from ..backend.tokens import Tokens
from ..catalog import Model
from ..errors import BadInput
from ..messages import Message, message
from ..tasks.chat import opening
from ..tasks.language import detect
from ..tasks.tables import called
from .alike import nearly_same, text_key
from .batching import Example
from .conversations import CONVERSATION, REPLY, in_short, turns_of
from .dataset import Columns, Split, Table, check_columns, guess_inputs, tenths

INPUT_NAMES = (
    *("input", "question", "prompt", "instruction", "source", "text", "message", "user", "query", "en", "english"),
    *("问题", "输入", "原文", "提问", "用户"),
)
ANSWER_NAMES = (
    *("answer", "output", "response", "reply", "completion", "target", "assistant", "summary", "translation"),
    *("回答", "答案", "输出", "回复", "译文", "摘要"),
)
SYSTEM_NAMES = ("system", "system_prompt", "system prompt", "系统", "系统提示", "系统提示词")
LEAST_PAIRS = 20
"""Different inputs that it takes to learn from some and test on others."""
MOST_REPEATED = 0.5
"""Where one answer stands in more of the rows than this, a model learns to say it always."""
LOOKED_AT = 50
"""Rows whose language is looked at."""


@dataclass(frozen=True)
class Pairs:
    """What can be learned from: an input and its answer each, the number of each row, and what a person should know.

    `systems`: what the system says in each row, empty for what it usually says; none at all where no row says it.
    `histories`: what is said before each input (a question, its answer, ...); none at all where nothing is.
    """

    inputs: tuple[str, ...]
    answers: tuple[str, ...]
    numbers: tuple[int, ...]
    notes: tuple[Message, ...]
    systems: tuple[str, ...] = ()
    histories: tuple[tuple[str, ...], ...] = ()

    @property
    def system(self) -> str:
        """What the system says in every row; empty where it says what is usual, or not always the same."""
        said = set(self.systems)
        return said.pop() if len(said) == 1 else ""

    def asked(self, model: Model, position: int, exchange: int = 0) -> tuple[Turn, ...]:
        """What the model is asked for a row: at the end of it, or for the answer of an exchange, counted from 1."""
        *before, question, _ = self.said(position)[: 2 * exchange or None]
        return asked(model, question, self.systems[position] if self.systems else "", before)

    def said(self, position: int) -> tuple[str, ...]:
        """All that is said in a row: a question, its answer, and so on."""
        history = self.histories[position] if self.histories else ()
        return (*history, self.inputs[position], self.answers[position])

    def shown(self, position: int) -> str:
        """What is asked in a row, as a person reads it: with its history in short."""
        return in_short(self.said(position)[:-2], self.inputs[position])

    def cut(self, exchanges: Mapping[int, int]) -> Pairs:
        """The same with so many exchanges of some rows, from their first."""
        said = [self.said(i)[: 2 * exchanges.get(i, 0) or None] for i in range(len(self.inputs))]
        histories = tuple(turns[:-2] for turns in said) if self.histories else ()
        inputs, answers = tuple(turns[-2] for turns in said), tuple(turns[-1] for turns in said)
        return replace(self, inputs=inputs, answers=answers, histories=histories)

    @property
    def english(self) -> bool:
        """True where inputs and answers are in English, as far as a few of them tell."""
        every = max(1, len(self.inputs) // LOOKED_AT)
        sides = ("\n".join(texts[::every]) for texts in (self.inputs, self.answers))
        return all(found.language == "en" or not found.certain for found in map(detect, sides))


def guess_pair(table: Table) -> Columns:
    """The columns that look most like inputs and like answers, by their names, else the two with most in them; what
    goes with the input and what the system says, by their names alone.
    """
    system = next((column for column in table.columns if column.casefold() in SYSTEM_NAMES), "")
    if table.whole:
        return Columns(CONVERSATION, REPLY, system=system)
    others = [column for column in table.columns if column != system]
    if len(others) < 2:
        others, system = list(table.columns), ""
    inputs, answers = (_best_called(others, names) for names in (INPUT_NAMES, ANSWER_NAMES))
    most = sorted(others, key=lambda column: -sum(map(len, table.column(column))))[:2]
    first, second = sorted(most, key=table.columns.index)
    answers = answers or (second if second != inputs else first)
    text, more = guess_inputs(table, inputs or (first if first != answers else second), answers)
    return Columns(text, answers, more, system)


def _best_called(columns: Sequence[str], names: Sequence[str]) -> str:
    return max((c for c in columns if called(c, names)), key=lambda c: called(c, names), default="")


def pair_up(table: Table, text: str, answer: str, system: str = "") -> Pairs:
    """The rows that can teach. Rows without an input or an answer are left out, and that is said in the notes.

    `system` is the column of what the system says; empty for what it usually says.

    Raises BadInput for a missing column, too few different inputs, answers that are nearly all the same.
    """
    check_columns(table, text, answer)
    said = table.column(system) if system else ("",) * len(table.rows)
    cells = list(zip(table.column(text), table.column(answer), table.numbers, said, strict=True))
    whole = [row for row in cells if row[0] and row[1]]
    if not whole:
        raise BadInput("table_no_rows", text=text, label=answer)
    inputs, answers, numbers, systems = zip(*whole, strict=True)
    different = len(set(map(text_key, inputs)))
    if different < LEAST_PAIRS:
        raise BadInput("table_few_pairs", column=text, rows=different, least=LEAST_PAIRS)
    usual, times = Counter(answers).most_common(1)[0]
    if times > MOST_REPEATED * len(answers):
        raise BadInput("table_one_answer", answer=usual[:60], count=times, rows=len(answers), column=answer)
    left_out = [number for given, wanted, number, _ in cells if not (given and wanted)]
    whole_ones = table.whole and text == CONVERSATION
    more = (message("training.untaken", exchanges=table.untaken),) if table.untaken and not whole_ones else ()
    notes = (*_blank(left_out), *_repeated(len(inputs) - different), *more)
    turns = [turns_of(cell) if whole_ones else [cell] for cell in inputs]
    histories = tuple(tuple(before) for *before, _ in turns)
    return Pairs(
        tuple(last for *_, last in turns),
        answers,
        numbers,
        notes,
        systems if any(systems) else (),
        histories if any(histories) else (),
    )


def split_pairs(pairs: Pairs, seed: int) -> Split:
    """Tenths: eight to learn, one to choose, one to test; small tables test on more.

    Inputs that are the same, or nearly, are on one side; of a conversation its first question counts. Rows are drawn by
    a hash of seed and input, so that the order in the file does not matter.
    """
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(nearly_same([pairs.said(i)[0] for i in range(len(pairs.inputs))])):
        groups.setdefault(name, []).append(i)
    sides = tenths(list(groups), seed, len(pairs.inputs))
    train, valid, test = (tuple(sorted(i for key in side for i in groups[key])) for side in sides)
    return Split(train, valid, test)


def asked(model: Model, text: str, system: str = "", history: Sequence[str] = ()) -> tuple[Turn, ...]:
    """What the model is asked for an input: word for word what the Chat tab asks it with that system prompt, after what
    was said before (a question, its answer, ...).
    """
    earlier = (Turn("assistant" if i % 2 else "user", said) for i, said in enumerate(history))
    return (*opening(model, system), *earlier, Turn("user", text))


def learned(tokens: Tokens, pairs: Pairs, position: int, most: int) -> tuple[list[Example], int]:
    """What is learned from a row: each of its answers after what was said before, as token ids; and how many of its
    exchanges are left out, from the first that ends beyond `most` tokens.

    Answers are one example as long as each prompt begins with the tokens of all before it, as most chat templates have
    it; where it does not (what a model said is told otherwise later), the next answer is an example of its own.
    """
    found: list[Example] = []
    exchanges = len(pairs.said(position)) // 2
    for exchange in range(1, exchanges + 1):
        prompt = tokens.ids(pairs.asked(tokens.model, position, exchange))
        ids = (*prompt, *tokens.answer(pairs.said(position)[2 * exchange - 1]))
        if len(ids) > most:
            return found, exchanges - exchange + 1
        if found and prompt[: len(found[-1].ids)] == found[-1].ids:
            last = found.pop()
            found.append(Example(ids, last.start, (*last.between, (len(last.ids), len(prompt)))))
        else:
            found.append(Example(ids, len(prompt)))
    return found, 0


def encoded(tokens: Tokens, pairs: Pairs, positions: Sequence[int], most: int) -> dict[int, Example]:
    """The last answer of rows by position, as token ids; those longer than `most` tokens are not among them."""
    found = {}
    for i in positions:
        prompt = tokens.ids(pairs.asked(tokens.model, i))
        ids = (*prompt, *tokens.answer(pairs.answers[i]))
        if len(ids) <= most:
            found[i] = Example(ids, len(prompt))
    return found


def _blank(numbers: Sequence[int]) -> tuple[Message, ...]:
    return (message("training.blank_pairs", rows=len(numbers), first=numbers[0]),) if numbers else ()


def _repeated(rows: int) -> tuple[Message, ...]:
    return (message("training.repeated_rows", rows=rows),) if rows else ()
