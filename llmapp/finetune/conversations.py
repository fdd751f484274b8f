"""Conversations as cells of a table: who speaks in turn, from the first question to the last answer.

Knows messages as OpenAI's form and ShareGPT's have them. Does not know files, models or the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from ..errors import BadInput

FORMS = ("messages", "conversations", "conversation")
ROLES: Mapping[str, str] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
}
"""How OpenAI's form and ShareGPT's call who speaks."""
TOOLS = ("tool", "function", "function_call", "observation", "ipython")
CONVERSATION, REPLY = "conversation", "reply"
"""Columns: all that is said before the last answer, and that answer."""
MARK = "\u2063"
"""An invisible separator (Unicode), which no person types."""
NEXT = f"\n\n{MARK}"
"""Stands between what one says and what the other does."""
EARLIER, SHORT = 3, 60
"""Turns of a history that are shown, and characters of each."""


def cells_of(number: int, name: str, record: Mapping[str, Any]) -> dict[str, str]:
    """A record's cells: the whole conversation, its first question and answer, what the system says.

    Raises BadInput naming the row for what is no conversation, and for calls of tools.
    """
    told = record.get(name)
    if not isinstance(told, list):
        raise BadInput("table_conversation", row=number, column=name, value=f"{told!r:.60}")
    turns = [_turn(number, turn) for turn in told]
    first = next((i for i, (role, _) in enumerate(turns) if role == "assistant"), len(turns))
    above = record.get("system")
    systems = [above if isinstance(above, str) else "", *(said for role, said in turns if role == "system")]
    *before, reply = alternating(turns) or ["", ""]
    return {
        "question": "\n\n".join(said for role, said in turns[:first] if role == "user").replace(MARK, "").strip(),
        "answer": turns[first][1].strip() if first < len(turns) else "",
        CONVERSATION: NEXT.join(before),
        REPLY: reply,
        "system": "\n\n".join(said.strip() for said in systems if said.strip()),
    }


def later(cells: Mapping[str, str], answers: int) -> bool:
    """True where more is said than the first question and answer."""
    return answers > 1 or (cells[CONVERSATION], cells[REPLY]) != (cells["question"], cells["answer"])


def answers_of(told: Any) -> int:
    """How many answers a conversation has that was read."""
    return sum(_role(turn) == "assistant" for turn in told)


def alternating(turns: Sequence[tuple[str, str]]) -> list[str]:
    """What a person and the model say in turn, as the chat has it: empty turns are left out, neighbours of one speaker
    are one turn; what stands before the first question and after the last answer is left out.
    """
    said = [(role, text.replace(MARK, "").strip()) for role, text in turns if role != "system"]
    whole = [(role, text) for role, text in said if text]
    groups = [
        (role, "\n\n".join(text for _, text in group)) for role, group in groupby(whole, key=lambda turn: turn[0])
    ]
    begun = groups[1:] if groups and groups[0][0] == "assistant" else groups
    return [text for _, text in begun[: len(begun) // 2 * 2]]


def turns_of(cell: str) -> list[str]:
    """What stands in a cell of CONVERSATION: question, answer, ..., question."""
    return [part.strip() for part in cell.split(NEXT)]


def in_short(history: Sequence[str], question: str) -> str:
    """A question after the beginnings of what was said before it."""
    if not history:
        return question
    marked = [f"{'›‹'[i % 2]} {_beginning(said)}" for i, said in enumerate(history)]
    more = ["…"] if len(marked) > EARLIER else []
    return "\n".join((*more, *marked[-EARLIER:], "")) + f"\n› {question}"


def _beginning(said: str) -> str:
    line = " ".join(said.split())
    return line if len(line) <= SHORT else f"{line[: SHORT - 1]}…"


def _role(turn: Any) -> str:
    named = turn if isinstance(turn, Mapping) else {}
    return ROLES.get(_called(named), "")


def _called(turn: Mapping[str, Any]) -> str:
    return str(turn.get("role", turn.get("from", ""))).lower()


def _turn(number: int, turn: Any) -> tuple[str, str]:
    """(role, words) of one message, in either form."""
    named = turn if isinstance(turn, Mapping) else {}
    if _called(named) in TOOLS or named.get("tool_calls") or named.get("function_call"):
        raise BadInput("table_tools", row=number)
    said = named.get("content", named.get("value"))
    if not _role(turn) or not isinstance(said, str):
        raise BadInput("table_conversation", row=number, column="role, content", value=f"{turn!r:.60}")
    return _role(turn), said
