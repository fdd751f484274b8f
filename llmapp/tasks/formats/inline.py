"""What stands where in a paragraph of Markdown: text, marks, and code that stays.

markdown-it-py's rules are watched while they work, for its tokens do not tell where they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

Kind = Literal["text", "fixed", "markup"]
Rule = Callable[[StateInline, bool], bool]
RULES = (
    *("text", "newline", "escape", "backticks", "strikethrough", "emphasis", "link", "image", "autolink"),
    *("html_inline", "entity", "footnote_inline", "footnote_ref"),
)
_TASK = re.compile(r"\[[ xX]\]\s+")
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]*`]*[^\s<>()\[\]*`.,;:!?'\"]")


@dataclass(frozen=True)
class Segment:
    """[start, end) of a paragraph, how it is written there and how it is read; marks are not read."""

    kind: Kind
    start: int
    end: int
    source: str
    text: str


@dataclass(frozen=True)
class _Seen:
    """A rule that found something, and the tokens that stand for it, which may still become others."""

    rule: str
    start: int
    end: int
    tokens: Sequence[Token]
    label_end: int


class Inline:
    """A parser of Markdown that remembers where things stand. Addresses of links and notes are the whole file's."""

    def __init__(self) -> None:
        self._seen: list[_Seen] = []
        self._outer: list[Token] = []
        self._env: dict[str, object] = {}
        self._parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
        self._parser.use(footnote_plugin, move_to_end=False).use(front_matter_plugin)
        rules = {rule.name: rule.fn for rule in self._parser.inline.ruler.__rules__}
        for name in RULES:
            self._parser.inline.ruler.at(name, partial(self._watched, name, rules[name]))
        self._parser.inline.ruler2.disable("fragments_join")

    def blocks(self, source: str) -> list[Token]:
        """The blocks of a file; of the text in them only where it is."""
        self._env = {}
        return self._parser.parse(source, self._env)

    def segments(self, content: str) -> list[Segment]:
        """A paragraph from its beginning to its end."""
        self._seen, self._outer = [], []
        self._parser.inline.parse(content, self._parser, self._env, self._outer)
        kinds: list[Kind] = ["text"] * len(content)
        texts = list(content)
        for seen in self._seen:
            _mark(seen, content, kinds, texts)
        task = _TASK.match(content)
        if task:
            kinds[: task.end()] = ["markup"] * task.end()
        for address in _ADDRESS.finditer(content):
            span = slice(*address.span())
            if set(kinds[span]) == {"text"} and "".join(texts[span]) == address[0]:
                kinds[span] = ["fixed"] * len(address[0])
        return _joined(content, kinds, texts)

    def _watched(self, name: str, rule: Rule, state: StateInline, silent: bool) -> bool:
        start, known = state.pos, len(state.tokens)
        found = rule(state, silent)
        if found and not silent and state.tokens is self._outer:
            label = name in ("link", "image")
            label_end = state.md.helpers.parseLinkLabel(state, start + (name == "image")) if label else 0
            self._seen.append(_Seen(name, start, state.pos, state.tokens[known:], label_end))
        return found


def signature(segments: Sequence[Segment]) -> list[tuple[str, str]]:
    """What a paragraph is: its marks in their order, and the words between them."""
    parts = [("markup", s.source) if s.kind == "markup" else ("read", s.text) for s in segments if s.end > s.start]
    joined = [(kind, "".join(text for _, text in same)) for kind, same in groupby(parts, key=lambda part: part[0])]
    words = [(kind, text if kind == "markup" else " ".join(text.split())) for kind, text in joined]
    merged = [(kind, text) for kind, text in words if text]
    return [(kind, "".join(text for _, text in same)) for kind, same in groupby(merged, key=lambda part: part[0])]


def _mark(seen: _Seen, content: str, kinds: list[Kind], texts: list[str]) -> None:
    """What a rule found, character by character."""
    start, end = seen.start, seen.end
    last = seen.tokens[-1].type if seen.tokens else ""
    fills: list[tuple[int, int, Kind]] = []
    if seen.rule in ("html_inline", "footnote_inline", "footnote_ref", "image"):
        fills = [(start, end, "markup")]
    elif last == "hardbreak":
        fills = [(len(content[:start].rstrip(" ")), end, "markup")]
    elif seen.rule == "link":
        fills = [(start, start + 1, "markup"), (seen.label_end, end, "markup")]
    elif seen.rule == "autolink" or (seen.rule == "backticks" and last == "code_inline"):
        fills = [(start, end, "fixed")]
    elif seen.rule == "emphasis":
        tokens = seen.tokens[len(seen.tokens) - (end - start) :]
        fills = [(start + i, start + i + 1, "markup") for i, token in enumerate(tokens) if not _is_text(token)]
    elif seen.rule == "strikethrough" and not all(map(_is_text, seen.tokens)):
        fills = [(start, end, "markup")]
    elif seen.rule in ("escape", "entity", "newline"):
        read = " " if seen.rule == "newline" else seen.tokens[-1].content if seen.tokens else content[start:end]
        texts[start:end] = [read, *[""] * (end - start - 1)]
    for first, behind, kind in fills:
        kinds[first:behind] = [kind] * (behind - first)
    if seen.rule == "backticks" and fills:
        texts[start:end] = [seen.tokens[-1].content, *[""] * (end - start - 1)]


def _is_text(token: Token) -> bool:
    return token.type == "text" and bool(token.content)


def _joined(content: str, kinds: Sequence[Kind], texts: Sequence[str]) -> list[Segment]:
    segments = []
    place = 0
    for kind, same in groupby(kinds):
        end = place + len(list(same))
        segments.append(Segment(kind, place, end, content[place:end], "".join(texts[place:end])))
        place = end
    return segments
