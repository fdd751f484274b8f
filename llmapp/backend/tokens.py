"""Text to token ids and back, for one model: chat templates, counting, and text that appears token by token.

Knows tokenizers. Does not know weights, devices or how tokens are chosen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ..catalog import Model
from ..errors import BadInput, TooLong
from .engine import Finish, Request, Turn

Prompt = str | tuple[Turn, ...]
Decode = Callable[[Sequence[int]], str]

REMEMBERED = 64  # prompts whose ids are kept: the context meter counts the same conversation again and again
TAIL = 8  # tokens of the prompt that a continuation is decoded with, so that its first space survives
WINDOW = 16  # tokens decoded together; more costs time, fewer than a few characters' bytes loses them
UNKNOWN = "\ufffd"  # what a decoder writes for bytes that are not a character, or not one yet
PLAIN_ROLES = {"system": "", "user": "User: ", "assistant": "Assistant: "}
PLAIN_STOP = "\nUser:"
MARK = "answer"  # stands for an answer, to see what a chat template puts behind it


class Tokens:
    """One model's tokenizer, safe to use from several threads."""

    def __init__(self, tokenizer: Any, model: Model) -> None:
        self.tokenizer, self.model = tokenizer, model
        self._lock = threading.Lock()
        self.ids = lru_cache(maxsize=REMEMBERED)(self._ids)
        """Token ids of a prompt, special tokens and chat template included. Raises BadInput."""

    def checked(self, prompt: Prompt) -> tuple[int, ...]:
        """`ids`, or TooLong where they leave no room for one more token in the model's context."""
        return self.fitting(self.ids(prompt))

    def all_checked(self, prompts: Sequence[Prompt]) -> list[tuple[int, ...]]:
        """`checked` of each; plain texts go through the tokenizer together, several times as fast."""
        texts = [prompt for prompt in prompts if isinstance(prompt, str)]
        if not texts or len(texts) < len(prompts):
            return [self.checked(prompt) for prompt in prompts]
        with self._lock:
            rows = self.tokenizer(texts, add_special_tokens=True, verbose=False)["input_ids"]
        return [self.fitting(tuple(row)) for row in rows]

    def fitting(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The ids, or TooLong where they leave no room for one more token in the model's context."""
        limit = self.model.context
        if not ids:
            raise BadInput("prompt_empty", model=self.model.name)
        if len(ids) >= limit:
            raise TooLong("prompt_too_long", model=self.model.name, tokens=len(ids), limit=limit)
        return ids

    def encode(self, text: str, special: bool = False, source: str = "") -> list[int]:
        """Token ids of a text, with the model's own special tokens around it if asked for.

        `source`: the language of the text, for tokenizers that mark it, by the name they know it by.
        """
        with self._lock:
            if source and self.tokenizer.src_lang != source:
                self.tokenizer.src_lang = source
            return list(self.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids; special tokens leave no trace, spaces stay as they are."""
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)

    def continued(self, prompt: Prompt) -> tuple[int, ...]:
        """The end of a prompt that the answer goes on from; nothing where the answer is a turn of its own."""
        goes_on = isinstance(prompt, str) or prompt[-1].role == "assistant"
        return self.ids(prompt)[-TAIL:] if goes_on else ()

    def ending(self) -> int:
        """The token that ends an answer: what the chat template puts behind it, or the tokenizer's own end."""
        end = int(self.tokenizer.eos_token_id)
        if not self.tokenizer.chat_template:
            return end
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": MARK}]
        with self._lock:
            whole = self.tokenizer.apply_chat_template(turns, tokenize=False)
        behind = self.encode(str(whole).rpartition(MARK)[2])
        return next((token for token in behind if token in self.tokenizer.all_special_ids), end)

    def wording(self, turns: Sequence[Turn]) -> str | list[dict[str, str]]:
        """How turns are put to this model: messages for its chat template, or the text of a base that has none."""
        if not self.tokenizer.chat_template:
            return plain(turns)
        return [{"role": turn.role, "content": turn.text} for turn in turns]

    def answer(self, text: str) -> list[int]:
        """Token ids of a whole answer as they follow its prompt, with what ends it."""
        plain = not self.tokenizer.chat_template
        return [*self.encode(f" {text}" if plain else text), self.ending()]

    def stops(self, request: Request) -> tuple[str, ...]:
        """The request's stop strings; without a chat template also the next turn, which a base model invents."""
        plain = not isinstance(request.prompt, str) and not self.tokenizer.chat_template
        return (*request.stop, PLAIN_STOP) if plain else request.stop

    def _ids(self, prompt: Prompt) -> tuple[int, ...]:
        if isinstance(prompt, str):
            return tuple(self.encode(prompt, special=True))
        if self.model.kind != "causal":
            return tuple(self.encode("\n\n".join(turn.text for turn in prompt), special=True))
        if not self.tokenizer.chat_template:
            return tuple(self.encode(plain(prompt), special=True))
        *before, last = prompt
        if last.role == "assistant" and before:
            return (*self._templated(before), *self.encode(last.text))
        return self._templated(prompt)

    def _templated(self, turns: Sequence[Turn]) -> tuple[int, ...]:
        """Through the chat template. What looks like a control token in somebody's text stays plain text."""
        from jinja2 import TemplateError

        problem: Exception | None = None
        for tried in (turns, without_system(turns)):
            messages = self.wording(tried)
            try:
                with self._lock:
                    whole = self.tokenizer.apply_chat_template(
                        messages, add_generation_prompt=True, sanitize_control_tokens=True
                    )
                return tuple(whole["input_ids"])
            except TemplateError as error:  # some templates refuse the role "system"
                problem = error
        raise BadInput("template_refused", model=self.model.name, problem=str(problem)) from problem


def without_system(turns: Sequence[Turn]) -> list[Turn]:
    """The same turns with what the system said at the head of the first one that follows."""
    said = "\n\n".join(turn.text for turn in turns if turn.role == "system")
    rest = [turn for turn in turns if turn.role != "system"]
    if not said or not rest:
        return rest or [Turn("user", said)]
    return [Turn(rest[0].role, f"{said}\n\n{rest[0].text}"), *rest[1:]]


def plain(turns: Sequence[Turn]) -> str:
    """A conversation as text that a base model can go on from."""
    text = "\n\n".join(PLAIN_ROLES[turn.role] + turn.text for turn in turns)
    return text if turns[-1].role == "assistant" else f"{text}\n\nAssistant:"


class Appearing:
    """Text that appears token by token: only whole characters, and together exactly the decoded whole.

    Bytes of one character may be spread over several tokens, and a decoder may drop the space at the head of
    what it is given; so a window of tokens is decoded again each time, and it begins and ends at whole characters.
    """

    def __init__(self, decode: Decode, before: Sequence[int] = ()) -> None:
        self._decode = decode
        self._ids = list(before)
        self._shown = decode(self._ids).rstrip(UNKNOWN) if before else ""
        self._seam = 0

    def add(self, token: int) -> str:
        """The text that this token completes, often of several tokens at once, or nothing."""
        self._ids.append(token)
        text = self._decode(self._ids)
        whole = text.rstrip(UNKNOWN)
        new = whole[len(self._shown) :]
        self._shown += new
        if whole == text:
            self._slide()
        elif len(self._ids) > 4 * WINDOW:  # so many bytes will never be a character
            new += text[len(self._shown) :]
            self._ids, self._shown, self._seam = [], "", 0
        return new

    def rest(self) -> str:
        """What never became a character, as the decoder writes it."""
        return self._decode(self._ids)[len(self._shown) :]

    def _slide(self) -> None:
        if not self._seam and len(self._ids) >= WINDOW:
            self._seam = len(self._ids)
        elif self._seam and len(self._ids) >= 2 * WINDOW:
            self._ids, self._seam = self._ids[self._seam :], 0
            self._shown = self._decode(self._ids)


class Answer:
    """One answer being written: takes tokens, holds text back where a stop string may begin, knows when to end."""

    def __init__(
        self,
        appearing: Appearing,
        ends: frozenset[int],
        stops: tuple[str, ...],
        limit: int,
        enough: Callable[[str], bool] | None = None,
    ) -> None:
        self._appearing, self._ends, self._limit, self._enough = appearing, ends, limit, enough
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self._ready: list[str] = []
        self._shown = ""
        self.tokens = 0
        self.finish: Finish = ""

    def take(self, token: int) -> bool:
        """One more token; True when the answer has ended with it."""
        self.tokens += 1
        if token in self._ends:
            self._end("stop")
        else:
            self._hold(self._appearing.add(token))
        if self.tokens >= self._limit and not self.finish:
            self._end("length")
        return bool(self.finish)

    @property
    def ready(self) -> bool:
        """There is text that may be shown."""
        return any(self._ready)

    def text(self) -> str:
        """What may be shown of the text since the last call. It is the last where all that was shown is enough."""
        text = "".join(self._ready)
        self._ready.clear()
        self._shown += text
        if not self.finish and self._enough and self._enough(self._shown):
            self.finish = "stop"
        return text

    def _hold(self, text: str) -> None:
        if not text:
            return
        self._held += text
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self._ready.append(self._held[: min(found)])
            self._held, self.finish = "", "stop"
            return
        safe = len(self._held) - _beginning(self._held, self._stops)
        self._ready.append(self._held[:safe])
        self._held = self._held[safe:]

    def _end(self, finish: Finish) -> None:
        if finish == "stop":  # half a character at a cut would be nobody's word
            self._hold(self._appearing.rest())
        self._ready.append(self._held)
        self._held, self.finish = "", self.finish or finish


def _beginning(text: str, stops: tuple[str, ...]) -> int:
    """How many characters at the end of a text may be the beginning of a stop string."""
    for size in range(min(len(text), max(map(len, stops), default=0)), 0, -1):
        if any(stop.startswith(text[-size:]) for stop in stops):
            return size
    return 0
