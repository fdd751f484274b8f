"""One answer in a conversation: wait for the model, stream, save as it grows, end in a known state.

Knows the store and the pool, no widgets. However it ends (finished, stopped, page closed, error), what was
written is kept: the last entry is `done` or `unfinished`, never lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..backend.engine import Engine, Sampling, Turn
from ..conversations import Conversation, Entry
from ..errors import LlmappError
from ..messages import Message, message
from ..tasks.chat import Answer, ChatOptions, reply
from ..tasks.documents import Document, attach_text
from ..tasks.language import detect, foreign
from ..transcripts import State
from .loading import lease_with_progress
from .services import Services

SAVE_EVERY_S = 1.0
# Tokens kept free beside an attached file for the question, the template and what was said before.
ROOM_BESIDE_FILES = 256


@dataclass(frozen=True)
class Asked:
    """What the person set for this answer; `sampling` None takes what suits the model."""

    model: str
    system: str
    sampling: Sampling


@dataclass(frozen=True)
class Shown:
    """A moment of the answer, for the page: the entries so far, and what is to be said beside them."""

    entries: tuple[Entry, ...]
    version: int
    notes: tuple[Message, ...] = ()
    failed: bool = False
    finished: bool = False


def answer(
    services: Services, owner: str, conversation: Conversation, asked: Asked, stop: threading.Event
) -> Iterator[Shown]:
    """Write the last entry (an assistant's, empty or to be continued) of a saved conversation."""
    draft = _Draft(services, owner, conversation)
    try:
        yield draft.shown(message("chat.waiting"))
        with closing(lease_with_progress(services.pool, asked.model, owner, stop)) as steps:
            for step in steps:
                if isinstance(step, Message):
                    yield draft.shown(step)
                else:
                    yield from _stream(step, draft, asked, stop)
        draft.settle()
    except LlmappError as error:
        draft.notes, draft.failed = (error.message,), True
    finally:
        draft.save()
    yield draft.shown(finished=True)


def _stream(engine: Engine, draft: _Draft, asked: Asked, stop: threading.Event) -> Iterator[Shown]:
    options = ChatOptions(system=asked.system, sampling=asked.sampling)
    continued = bool(draft.entries[-1].text)
    turns, draft.notes, cut = _turns(engine, draft.entries, asked)
    draft.meta |= {
        **engine.info.facts(),
        "system": asked.system,
        "sampling": asdict(asked.sampling),
        # What is kept is all that the model read and wrote in one go: the same can be asked for again.
        "repeatable": not (continued or cut),
    }
    with closing(reply(engine, turns, options)) as answers:
        for update in answers:
            draft.take(update)
            if stop.is_set():
                return
            yield draft.shown()


class _Draft:
    """The entry being written, saved about once a second while it grows."""

    def __init__(self, services: Services, owner: str, conversation: Conversation) -> None:
        self._conversations = services.conversations
        self._owner, self._id = owner, conversation.id
        self._before = conversation.entries[:-1]
        self._last = conversation.entries[-1]
        self._version = conversation.version
        self._saved_at = time.monotonic()
        self._done = False
        self._answer: Answer | None = None
        self.meta: dict[str, Any] = dict(self._last.meta)
        self.notes: tuple[Message, ...] = ()
        self.failed = False

    @property
    def entries(self) -> tuple[Entry, ...]:
        return (*self._before, self._last)

    def shown(self, status: Message | None = None, finished: bool = False) -> Shown:
        said = (status,) if status else self.notes
        return Shown(self.entries, self._version, said, self.failed, finished)

    def take(self, update: Answer) -> None:
        self._answer = update
        self.meta |= {
            # A continued answer goes on after its thoughts: they stay those of its beginning.
            "reasoning": update.reasoning or self.meta.get("reasoning", ""),
            "tokens": update.tokens,
            "first_token_s": update.first_token_s,
            "tokens_per_s": update.tokens_per_s,
            "finish": update.finish,
            "context_tokens": update.fitted.tokens + update.tokens,
            "context": update.fitted.context,
            "dropped": update.fitted.dropped,
        }
        self._last = replace(self._last, text=update.text, state="writing", meta=dict(self.meta))
        if time.monotonic() - self._saved_at > SAVE_EVERY_S:
            self._conversations.writing(self._owner, self._id, self._version, update.text, self.meta)
            self._saved_at = time.monotonic()

    def settle(self) -> None:
        """The model came to its own end; anything less stays unfinished and can be continued."""
        self._done = self._answer is not None and self._answer.finish == "stop"

    def save(self) -> None:
        state: State = "done" if self._done else "unfinished"
        self._last = replace(self._last, state=state, meta=dict(self.meta))
        self._version = self._conversations.save(self._owner, self._id, self.entries, self._version)


def _turns(
    engine: Engine, entries: tuple[Entry, ...], asked: Asked
) -> tuple[tuple[Turn, ...], tuple[Message, ...], bool]:
    """Entries as the model reads them, what is to be said of them, and whether a file did not fit as a whole.

    Files are put into their message as far as the context allows.
    """
    turns: list[Turn] = []
    said: tuple[Message, ...] = ()
    cut = False
    for entry in entries:
        text = entry.text
        documents = [Document(**item) for item in entry.meta.get("attachments", ())]
        if documents:
            room = engine.info.model.context - asked.sampling.max_new_tokens - ROOM_BESIDE_FILES
            text, coverage = attach_text(entry.text, documents, room, engine.count_tokens)
            partly = (coverage.message,) if coverage.message else ()
            cut = cut or bool(partly)
            said = (*partly, *(note for document in documents for note in document.notes))
        if text or entry.role == "user":
            turns.append(Turn(entry.role, text))
    asked_in = next((entry.text for entry in reversed(entries) if entry.role == "user"), "")
    warning = foreign(detect(asked_in), engine.info.model)
    return tuple(turns), (*said, *([warning] if warning else [])), cut


def attachments(paths: list[str], limit_mb: int) -> list[dict[str, Any]]:
    """Uploaded files as values to keep in an entry. Raises BadInput for one that can not be read."""
    from ..tasks.documents import read_document

    return [asdict(read_document(Path(path), limit_mb)) for path in paths]
