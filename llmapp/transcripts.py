"""Conversations as values and as files: our JSON and Markdown out and exactly back, others' JSON in.

Pure text: knows neither the database nor owners.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from .errors import BadInput, TooLong
from .messages import say

FORMAT = "llmapp-conversations"
TITLE_CHARS = 40
MAX_CHARS = 20_000_000
"""Longest file taken in: some 10,000 pages."""
MAX_ENTRIES = 20_000
LAST_SECOND = 253_402_300_800
"""The end of the year 9999, after which dates can not be shown."""

Speaker = Literal["user", "assistant"]
State = Literal["done", "writing", "unfinished"]

_SPEAKERS: Mapping[str, Speaker] = {
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
_SYSTEM = ("system", "developer")
_MARKER = re.compile(r"^<!-- llmapp (conversation|user|assistant) (\{.*\}) -->$", re.MULTILINE)
_LOOKS_MARKED = re.compile(r"^(\\*<!-- llmapp )", re.MULTILINE)
_ESCAPED = re.compile(r"^\\(\\*<!-- llmapp )", re.MULTILINE)
_HEADING = re.compile(r"\n## [^\n]*\n\n?")


@dataclass(frozen=True)
class Entry:
    """One message. `meta` holds what JSON can: model, precision, seconds, tokens, attachments, reasoning."""

    role: Speaker
    text: str
    state: State = "done"
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Conversation:
    """A whole conversation. `version` grows with each save; times are seconds since 1970."""

    id: str
    title: str
    version: int
    created: float
    updated: float
    settings: Mapping[str, Any]
    entries: tuple[Entry, ...]


def clean(text: str) -> str:
    """Text that UTF-8 can hold: halves of a surrogate pair are joined, lonely ones become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def one_line(title: str) -> str:
    """A title without line breaks or space at its ends."""
    return " ".join(clean(title).split())


def title_from(text: str) -> str:
    """The first words of a message, `TITLE_CHARS` characters at most, cut between words or CJK characters."""
    line = one_line(text)
    if len(line) <= TITLE_CHARS:
        return line
    places = range(TITLE_CHARS, TITLE_CHARS // 3, -1)
    cut = next((n for n in places if line[n] == " " or _cjk(line[n]) or _cjk(line[n - 1])), TITLE_CHARS)
    return line[:cut].rstrip(" ,;:，、；：") + "…"


def _cjk(character: str) -> bool:
    return "\u2e80" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3" or character >= "\U00020000"


def to_json(conversations: Sequence[Conversation]) -> str:
    """All of it as JSON; `messages` has the names that other programs read too."""
    body = [{**_head(c), "id": c.id, "messages": [_message(e) for e in c.entries]} for c in conversations]
    return json.dumps({"format": FORMAT, "version": 1, "conversations": body}, ensure_ascii=False, indent=1)


def to_markdown(conversation: Conversation, language: str = "en") -> str:
    """For reading: a title and a heading a message. Comments that no reader shows bring it back exactly."""
    head = f"<!-- llmapp conversation {_comment(_head(conversation))} -->\n# {conversation.title}\n\n"
    return head + "".join(_section(entry, language) for entry in conversation.entries)


def read_transcript(text: str, name: str) -> list[Conversation]:
    """Conversations of a file: our JSON or Markdown, messages JSON or JSONL as OpenAI and ShareGPT have it.

    They have no id and version 0; a file without times has 0.0. Raises BadInput naming the line or the
    field, TooLong over `MAX_CHARS` characters or `MAX_ENTRIES` messages in one conversation.
    """
    if len(text) > MAX_CHARS:
        raise TooLong("import_too_long", file=name, chars=len(text), limit=MAX_CHARS)
    text = clean(text).removeprefix("\ufeff")
    # An editor on Windows changes all line ends; a text that merely holds one keeps it.
    if text.partition("\n")[0].endswith("\r"):
        text = text.replace("\r\n", "\n")
    if _MARKER.search(text):
        found = list(_from_markdown(text, name))
    else:
        found = [_conversation(item, where, name) for where, item in _items(_from_json(text, name))]
    if not found or not any(c.entries or c.title for c in found):
        raise BadInput("import_empty", file=name)
    for conversation in found:
        if len(conversation.entries) > MAX_ENTRIES:
            count = len(conversation.entries)
            raise TooLong("import_too_many", file=name, messages=count, limit=MAX_ENTRIES)
    return found


def _head(c: Conversation) -> dict[str, Any]:
    return {"title": c.title, "created": c.created, "updated": c.updated, "settings": dict(c.settings)}


def _about(entry: Entry) -> dict[str, Any]:
    # What is still being written can not go on in a file.
    state = "unfinished" if entry.state == "writing" else entry.state
    return {"state": state, "meta": dict(entry.meta)}


def _message(entry: Entry) -> dict[str, Any]:
    return {"role": entry.role, "content": entry.text, **_about(entry)}


def _section(entry: Entry, language: str) -> str:
    marker = f"<!-- llmapp {entry.role} {_comment(_about(entry))} -->"
    heading = say(f"conversation.{entry.role}", language)
    escaped = _LOOKS_MARKED.sub(r"\\\1", entry.text)
    return f"{marker}\n## {heading}\n\n{escaped}\n\n"


def _comment(value: Mapping[str, Any]) -> str:
    """JSON on one line that can not end an HTML comment."""
    return json.dumps(value, ensure_ascii=False).replace(">", r"\u003e").replace("--", r"-\u002d")


def _from_markdown(text: str, name: str) -> Iterator[Conversation]:
    marks = list(_MARKER.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    head: dict[str, Any] = {}
    messages: list[dict[str, Any]] = []
    for mark, end in zip(marks, ends, strict=True):
        line = text.count("\n", 0, mark.start()) + 1
        values = _parsed(mark[2], name, line)
        if mark[1] != "conversation":
            body = _body(text[mark.end() : end])
            messages.append({**values, "role": mark[1], "content": body, "place": f"L{line}"})
            continue
        if head or messages:
            yield _conversation({**head, "messages": messages}, "", name)
        head, messages = values, []
    yield _conversation({**head, "messages": messages}, "", name)


def _body(text: str) -> str:
    heading = _HEADING.match(text)
    text = text[heading.end() :] if heading else text.removeprefix("\n")
    return _ESCAPED.sub(r"\1", text.removesuffix("\n").removesuffix("\n"))


def _from_json(text: str, name: str) -> Any:
    """One JSON value, or a list of the values on the lines of a JSONL file."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) > 1 and all(line[0] == "{" and line.rstrip()[-1] == "}" for _, line in lines):
        return [_parsed(line, name, number) for number, line in lines]
    return _parsed(text, name)


def _parsed(text: str, name: str, line: int = 1) -> Any:
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite)
        if "\\ud" in text.lower():
            value = json.loads(clean(json.dumps(value, ensure_ascii=False)))
        return value
    except json.JSONDecodeError as problem:
        line += problem.lineno - 1
        raise BadInput("import_line", file=name, line=line, problem=problem.msg) from None
    except (ValueError, RecursionError) as problem:
        raise BadInput("import_line", file=name, line=line, problem=str(problem)) from None


def _finite(number: str) -> float:
    """A number that JSON can hold again: Python would take NaN and Infinity, and 1e999 for it."""
    if not math.isfinite(float(number)):
        raise ValueError(number)
    return float(number)


def _items(data: Any) -> Iterator[tuple[str, Any]]:
    """Each conversation with its place in the file."""
    if isinstance(data, dict) and data.get("format") == FORMAT:
        data, place = data.get("conversations"), "conversations"
    else:
        place = ""
    if isinstance(data, list) and not all(_is_message(item) for item in data):
        yield from ((f"{place}[{index}]", item) for index, item in enumerate(data))
    elif data != []:
        yield place, data


def _is_message(item: Any) -> bool:
    return isinstance(item, dict) and bool({"role", "from"} & item.keys())


def _conversation(item: Any, where: str, name: str) -> Conversation:
    if isinstance(item, list):
        item = {"messages": item}
    if not isinstance(item, dict):
        raise BadInput("import_shape", file=name, where=where or "$")
    key = next((key for key in ("messages", "conversations", "conversation") if key in item), "messages")
    place = f"{where}.{key}".lstrip(".")
    rows = item.get(key)
    if not isinstance(rows, list):
        raise BadInput("import_shape", file=name, where=place)
    settings = dict(_typed(item, "settings", dict, {}, where, name))
    entries = []
    for index, row in enumerate(rows):
        entry = _entry(row, f"{place}[{index}]", name)
        if isinstance(entry, str):
            settings.setdefault("system", entry)
        else:
            entries.append(entry)
    title = one_line(_typed(item, "title", str, "", where, name))
    created = _time(item, "created", 0.0, where, name)
    updated = _time(item, "updated", created, where, name)
    return Conversation("", title, 0, created, updated, settings, tuple(entries))


def _entry(row: Any, where: str, name: str) -> Entry | str:
    """A message, or the text of a system message."""
    if not isinstance(row, dict):
        raise BadInput("import_shape", file=name, where=where)
    where = str(row.get("place", where))
    said = str(row.get("role", row.get("from")))
    if said not in _SPEAKERS and said not in _SYSTEM:
        raise BadInput("import_role", file=name, where=where, role=said[:40])
    text = clean(_content(row.get("content", row.get("value")), f"{where}.content", name))
    if said in _SYSTEM:
        return text
    state = row.get("state", "done")
    if state not in ("done", "unfinished"):
        raise BadInput("import_shape", file=name, where=f"{where}.state")
    return Entry(_SPEAKERS[said], text, cast(State, state), _typed(row, "meta", dict, {}, where, name))


def _content(value: Any, where: str, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(p, dict) and isinstance(p.get("text"), str) for p in value):
        return "\n\n".join(part["text"] for part in value)
    raise BadInput("import_shape", file=name, where=where)


def _typed(item: Mapping[str, Any], key: str, kind: Any, default: Any, where: str, name: str) -> Any:
    value = item.get(key, default)
    if not isinstance(value, kind):
        raise BadInput("import_shape", file=name, where=f"{where}.{key}".lstrip("."))
    return value


def _time(item: Mapping[str, Any], key: str, default: float, where: str, name: str) -> float:
    value = _typed(item, key, (int, float), default, where, name)
    if not 0 <= value < LAST_SECOND:
        raise BadInput("import_shape", file=name, where=f"{where}.{key}".lstrip("."))
    return float(value)
