"""How a model is asked, told to other programs: its chat template cut into pieces, as Ollama's template and as Jinja.

The pieces are found by rendering marks, and held against the template for longer conversations: what can not be said in
pieces is refused. Does not know weights or files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..backend.engine import Role, Turn
from ..backend.tokens import PLAIN_STOP, plain, without_system
from ..errors import BadInput
from .export import TEXT

Render = Callable[[Sequence[Turn]], str]
"""Turns as the model reads them, up to where its answer begins."""
MARKS = ("Mark0a", "Mark1b", "Mark2c", "Mark3d")
PROBES: tuple[tuple[Role, ...], ...] = (
    ("user",),
    ("user", "assistant", "user"),
    ("system", "user"),
    ("system", "user", "assistant", "user", "assistant", "user"),
)


@dataclass(frozen=True)
class Pieces:
    """What stands before, between and behind what is said.

    `opening`: before the first question where nobody gave a system prompt, with the one it was taught with. `ask`
    ends a question where the answer shall begin, `answer` where one is told; `stops` end an answer.
    """

    opening: str
    system: str
    first: str
    answer: str
    next: str
    ask: str
    stops: tuple[str, ...]

    def __call__(self, turns: Sequence[Turn]) -> str:
        """The conversation, as both templates say it."""
        text, before = "", ""
        lead = {"": self.opening, "system": self.first}
        for turn in turns:
            said = {"system": self.system, "user": lead.get(before, self.next), "assistant": self.answer}
            text, before = text + said[turn.role] + turn.text, turn.role
        return text + self.ask

    def without(self, first: str) -> Pieces:
        """As a program needs it that puts this token before a text by itself."""
        return replace(self, opening=self.opening.removeprefix(first), system=self.system.removeprefix(first))


def pieces_of(model: str, template: str, tokens: Mapping[str, str], asked_as: Mapping[str, Any], end: str) -> Pieces:
    """The pieces of a chat template, or of the plain text for a base without one (`template` is empty).

    `asked_as`: what the training asked (`turns`), with TEXT for a person's text; `end`: the token that ends an answer.
    Raises BadInput for a template that says more than pieces do.
    """
    render = _by_template(template, tokens) if template else plain
    taught = _asked(asked_as["turns"], render)
    told = render([Turn(role, mark) for role, mark in zip(PROBES[3][:4], MARKS, strict=True)])
    try:
        system, first, answer, follows, ask = _between(told, MARKS)
        pieces = Pieces(taught.partition(TEXT)[0], system, first, answer, follows, ask, (end,))
    except ValueError:
        raise BadInput("take_along_template", model=model) from None
    if any(pieces(turns) != render([*head, *turns]) for head, turns in _probes(asked_as["turns"])):
        raise BadInput("take_along_template", model=model)
    return pieces if template else replace(pieces, stops=(PLAIN_STOP, end))


def modelfile(file: str, pieces: Pieces, system: str, sampling: Mapping[str, float]) -> str:
    """What `ollama create` reads. `system` is what it was taught with, said where nobody says another.

    Raises BadInput for one that would end a text of this file.
    """
    if '"""' in system or "{{" in system:
        raise BadInput("take_along_system", system=system[:60])
    lines = [f"FROM ./{file}", f'TEMPLATE """{_go(pieces)}"""']
    lines += [f'SYSTEM """{system}"""'] if system else []
    lines += [f'PARAMETER stop """{stop}"""' for stop in pieces.stops]
    lines += [f"PARAMETER {name} {sampling[name]}" for name in ("temperature", "top_k", "top_p") if name in sampling]
    return "\n".join(lines) + "\n"


def jinja(template: str, pieces: Pieces, asked_as: Mapping[str, Any]) -> str:
    """The chat template that says what the model was taught with where nobody gives a system prompt."""
    turns = asked_as["turns"]
    if isinstance(turns, str):
        return _jinja(pieces)
    if turns[0]["role"] != "system":
        return template
    first = json.dumps(turns[0], ensure_ascii=False)
    said = "{%- if messages[0]['role'] != 'system' %}{%- set messages = [" + first + "] + messages %}{%- endif %}"
    return said + template


def system_prompt(asked_as: Mapping[str, Any]) -> str:
    """The system prompt that the training gave, if any."""
    turns = asked_as["turns"]
    return str(turns[0]["content"]) if not isinstance(turns, str) and turns[0]["role"] == "system" else ""


def _by_template(template: str, tokens: Mapping[str, str]) -> Render:
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    def render(turns: Sequence[Turn]) -> str:
        messages = [{"role": turn.role, "content": turn.text} for turn in turns]
        given = {"chat_template": template, "add_generation_prompt": True, **tokens}
        texts, _ = render_jinja_template([messages], **given)
        return str(texts[0])

    def forgiving(turns: Sequence[Turn]) -> str:
        try:
            return render(turns)
        except TemplateError:  # some templates refuse the role "system"
            return render(without_system(turns))

    return forgiving


def _asked(turns: str | Sequence[Mapping[str, Any]], render: Render) -> str:
    return turns if isinstance(turns, str) else render([Turn(turn["role"], turn["content"]) for turn in turns])


def _probes(asked: str | Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[Turn], list[Turn]]]:
    """Conversations to compare in, and what the training said before those that have no system prompt."""
    head = [] if isinstance(asked, str) else [Turn(turn["role"], turn["content"]) for turn in asked[:-1]]
    marks = [f"{mark} x" for mark in (*MARKS, *reversed(MARKS))]
    for roles in PROBES:
        turns = [Turn(role, mark) for role, mark in zip(roles, marks, strict=False)]
        yield ([] if roles[0] == "system" else head), turns


def _between(text: str, marks: Sequence[str]) -> list[str]:
    """What stands before, between and behind the marks. Raises ValueError where one is missing or stands twice."""
    found = []
    for mark in marks:
        before, text = text.split(mark)
        found.append(before)
    return [*found, text]


def _go(pieces: Pieces) -> str:
    """Go's text/template over Ollama's `.Messages`; every newline in it is the model's own."""
    return (
        '{{ $before := "" }}{{ range .Messages }}'
        f'{{{{ if eq .Role "system" }}}}{pieces.system}'
        f'{{{{ else if eq .Role "assistant" }}}}{pieces.answer}'
        f'{{{{ else if eq $before "" }}}}{pieces.opening}'
        f'{{{{ else if eq $before "system" }}}}{pieces.first}'
        f"{{{{ else }}}}{pieces.next}{{{{ end }}}}"
        "{{ .Content }}{{ $before = .Role }}{{ end }}"
        f'{{{{ if ne $before "assistant" }}}}{pieces.ask}{{{{ end }}}}'
    )


def _jinja(pieces: Pieces) -> str:
    """The same as a chat template of transformers."""
    said = {name: json.dumps(getattr(pieces, name), ensure_ascii=False) for name in Pieces.__dataclass_fields__}
    return (
        "{%- set said = namespace(before='') %}{%- for message in messages %}"
        f"{{%- if message['role'] == 'system' %}}{{{{- {said['system']} }}}}"
        f"{{%- elif message['role'] == 'assistant' %}}{{{{- {said['answer']} }}}}"
        f"{{%- elif said.before == '' %}}{{{{- {said['opening']} }}}}"
        f"{{%- elif said.before == 'system' %}}{{{{- {said['first']} }}}}"
        f"{{%- else %}}{{{{- {said['next']} }}}}{{%- endif %}}"
        "{{- message['content'] }}{%- set said.before = message['role'] %}{%- endfor %}"
        f"{{%- if add_generation_prompt %}}{{{{- {said['ask']} }}}}{{%- endif %}}"
    )
