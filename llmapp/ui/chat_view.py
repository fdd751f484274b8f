"""Conversations as the chat shows them: entries to Gradio messages, and places back to entries.

Draws only: it neither stores nor generates.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from html import escape
from typing import Any

from ..conversations import Entry, Heading
from ..messages import Message, say
from ..tasks.documents import Document, attach_text
from .facts import facts_line
from .notice import notice

MessageDict = dict[str, Any]
_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)


def without_html(markdown: str) -> str:
    """Model text whose tags show as text: `<b>` outside code becomes `&lt;b&gt;`; code and quotes stay."""
    parts = _CODE.split(markdown)
    return "".join(part if i % 2 else part.replace("<", "&lt;") for i, part in enumerate(parts))


def messages(entries: Sequence[Entry], language: str) -> list[MessageDict]:
    """What the chatbot shows; a folded reasoning block stands as a message of its own before its answer."""
    return [message for _, message in _numbered(entries, language)]


def entry_at(entries: Sequence[Entry], shown: int, language: str) -> int:
    """Which entry the message at place `shown` belongs to."""
    return _numbered(entries, language)[shown][0]


def asked_again(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The arguments with which `/chat` was to be called for the last answer; none where one call does not make it."""
    if len(entries) < 2 or entries[-1].state == "writing" or not entries[-1].meta.get("repeatable"):
        return []
    meta = entries[-1].meta
    turns = [{"role": entry.role, "content": _read(entry)} for entry in entries[:-1]]
    history = [turn for turn in turns[:-1] if turn["content"] or turn["role"] == "user"]
    model = meta.get("adapter") or meta["model"]
    given = {"message": turns[-1]["content"], "history": history, "model": model}
    return [{**given, "system": meta["system"], "sampling": meta["sampling"]}]


def example(entries: Sequence[Entry]) -> tuple[str, str]:
    """The last message as the model read it, and its answer; two empty ones where there is no whole answer."""
    if len(entries) < 2 or entries[-1].state == "writing" or not entries[-1].text:
        return "", ""
    return _read(entries[-2]), entries[-1].text


def _read(entry: Entry) -> str:
    """A message as the model read it, with its files, which all fitted."""
    documents = [Document(**item) for item in entry.meta.get("attachments", ())]
    return attach_text(entry.text, documents, sys.maxsize, len)[0] if documents else entry.text


def _numbered(entries: Sequence[Entry], language: str) -> list[tuple[int, MessageDict]]:
    rows: list[tuple[int, MessageDict]] = []
    for index, entry in enumerate(entries):
        if entry.role == "user":
            rows.append((index, {"role": "user", "content": _asked(entry)}))
            continue
        reasoning = entry.meta.get("reasoning")
        if reasoning:
            title = say("chat.reasoning", language)
            status = "pending" if entry.state == "writing" and not entry.text else "done"
            content = without_html(str(reasoning))
            rows.append(
                (
                    index,
                    {"role": "assistant", "content": content, "metadata": {"title": title, "status": status}},
                )
            )
        if entry.text or not reasoning:
            rows.append((index, {"role": "assistant", "content": _answered(entry, language)}))
    return rows


def _asked(entry: Entry) -> str:
    names = [str(item["name"]) for item in entry.meta.get("attachments", ())]
    head = "".join(f"📎 `{name.replace('`', '')}`\n\n" for name in names)
    return head + without_html(entry.text)


def _answered(entry: Entry, language: str) -> str:
    text = without_html(entry.text)
    if entry.state == "writing":
        return text or "…"
    notes = [facts_line(entry.meta, language)]
    if entry.state == "unfinished":
        notes.insert(0, say("chat.unfinished", language))
    note = " · ".join(part for part in notes if part)
    # An open code fence would swallow the line below it.
    closing = "\n```" if text.count("```") % 2 else ""
    return f'{text}{closing}\n\n<small class="facts">{escape(note)}</small>' if note else text


def choices(headings: Sequence[Heading], language: str) -> list[tuple[str, str]]:
    """The list of conversations, as (title, id)."""
    return [(h.title or say("chat.untitled", language), h.id) for h in headings]


def typed(shown: str) -> str:
    """What a person meant by an edited message, which was shown with `<` escaped."""
    return shown.replace("&lt;", "<")


def status(notes: Sequence[Message], failed: bool, entries: Sequence[Entry], language: str) -> str:
    """What is to be said now, and how full the model's memory is."""
    lines = [notice(note.text(language), "bad" if failed else "") for note in notes]
    meta = next((e.meta for e in reversed(entries) if e.role == "assistant" and e.meta.get("context")), None)
    if meta:
        meter = say("chat.meter", language, used=meta["context_tokens"], context=meta["context"])
        dropped = say("chat.dropped", language, count=meta["dropped"]) if meta.get("dropped") else ""
        lines.append(f'<span id="meter">{escape(meter)}</span> {escape(dropped)}')
    return "".join(lines)
