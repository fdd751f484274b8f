"""How a model is asked, as Ollama's template and as Jinja: both say what the chat template says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from llmapp.backend.engine import Turn
from llmapp.backend.tokens import plain
from llmapp.errors import BadInput
from llmapp.finetune.turns import jinja, modelfile, pieces_of, system_prompt

from ..tiny import CHATML, GEMMA_TURNS

GEMMA = (
    "{{ bos_token }}{%- set first = '' -%}{%- if messages[0]['role'] == 'system' -%}"
    "{%- set first = messages[0]['content'] + '\n\n' -%}{%- set messages = messages[1:] -%}{%- endif -%}"
    "{%- for message in messages -%}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\n'"
    " + (first if loop.first else '') + (message['content'] | trim) + '<end_of_turn>\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"
)
"""As Gemma 3's own: what the system says stands at the head of the first question."""
SMOLLM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are SmolLM<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + GEMMA_TURNS
LOOKS_BACK = CHATML.replace("{{ message['content'] }}", "{{ message['content'] }}{{ messages | length }}")
TALKS: tuple[tuple[Turn, ...], ...] = (
    (Turn("user", "Hi {{ there }}"),),
    (Turn("system", "Be kind."), Turn("user", "Hi")),
    (Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", "So?"), Turn("assistant", "So!"), Turn("user", "x")),
    (Turn("system", "Be kind."), Turn("user", "Hi"), Turn("assistant", "Hello\n\nthere"), Turn("user", "So?")),
)


class Go:
    """The part of Go's text/template that the Modelfile uses, over Ollama's `.Messages`."""

    def __init__(self, template: str, turns: Sequence[Turn]) -> None:
        self.steps = re.split(r"\{\{ (.*?) \}\}", template)  # text and action in turn
        self.turns, self.turn = turns, turns[0]
        self.names: dict[str, str] = {}
        self.text = ""

    def value(self, word: str) -> str:
        known = {".Role": self.turn.role, ".Content": self.turn.text} | self.names
        return known[word] if word in known else word.strip('"')

    def run(self, at: int, live: bool) -> int:
        """From this step on to the `end` or `else` that is its own; gives its place."""
        while at < len(self.steps):
            step = self.steps[at]
            if at % 2 == 0:
                self.text += step if live else ""
            elif step.startswith(("end", "else")):
                return at
            else:
                at = self.act(at, step, live)
            at += 1
        return at

    def act(self, at: int, step: str, live: bool) -> int:
        name, _, value = step.partition(" = " if " = " in step else " := ")
        if step.startswith("range"):
            return self.each(at, live)
        if step.startswith("if"):
            return self.branch(at, live)
        if value and live:
            self.names[name] = self.value(value)
        elif live:
            self.text += self.value(step)
        return at

    def each(self, at: int, live: bool) -> int:
        close = self.run(at + 1, False)
        for turn in self.turns if live else ():
            self.turn = turn
            self.run(at + 1, True)
        return close

    def branch(self, at: int, live: bool) -> int:
        taken = False
        while True:
            verb, *words = self.steps[at].removeprefix("else").strip().removeprefix("if").split() or [""]
            holds = not words or (self.value(words[0]) == self.value(words[1])) == (verb == "eq")
            chosen, taken = live and holds and not taken, taken or holds
            at = self.run(at + 1, chosen)
            if self.steps[at] == "end":
                return at


def go(template: str, turns: Sequence[Turn]) -> str:
    run = Go(template, turns)
    run.run(0, True)
    return run.text


def rendered(template: str, turns: Sequence[Turn]) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    texts, _ = render_jinja_template([messages], chat_template=template, add_generation_prompt=True, bos_token="<bos>")
    return str(texts[0])


def template_in(file: str) -> str:
    return file.partition('TEMPLATE """')[2].partition('"""')[0]


def asked(system: str | None) -> dict[str, Any]:
    turns = [{"role": "user", "content": "{text}"}]
    return {"turns": turns if system is None else [{"role": "system", "content": system}, *turns]}


@pytest.mark.parametrize("template", [CHATML, SMOLLM, GEMMA], ids=["chatml", "smollm", "gemma"])
@pytest.mark.parametrize("system", [None, "", "You write as Ada."])
def test_ollamas_template_says_what_the_chat_template_says(template: str, system: str | None) -> None:
    how = asked(system)
    pieces = pieces_of("m", template, {"bos_token": "<bos>"}, how, "<end>")
    file = modelfile("m.gguf", pieces, system_prompt(how), {"temperature": 0.2, "repetition_penalty": 1.1})
    mended = jinja(template, pieces, how)
    for talk in TALKS:
        head = () if system is None or talk[0].role == "system" else (Turn("system", system),)
        wanted = rendered(template, (*head, *talk))
        assert go(template_in(file), talk) == wanted
        assert rendered(mended, talk) == wanted
    assert file.startswith("FROM ./m.gguf\n")
    assert 'PARAMETER stop """<end>"""' in file
    assert "PARAMETER temperature 0.2\n" in file
    assert "repetition_penalty" not in file
    assert ('SYSTEM """You write as Ada."""' in file) == bool(system)


def test_what_a_program_puts_first_by_itself_is_left_out() -> None:
    pieces = pieces_of("m", GEMMA, {"bos_token": "<bos>"}, asked(None), "<end_of_turn>").without("<bos>")
    said = go(template_in(modelfile("m.gguf", pieces, "", {})), TALKS[3])
    assert f"<bos>{said}" == rendered(GEMMA, TALKS[3])


def test_a_template_that_refuses_a_system_prompt_gets_it_in_the_first_question() -> None:
    pieces = pieces_of("m", NO_SYSTEM, {"bos_token": ""}, asked(None), "<end_of_turn>")
    assert pieces(TALKS[1]) == "<start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n<start_of_turn>model\n"


def test_a_base_without_a_chat_template_is_asked_as_the_app_asks_it() -> None:
    how = {"turns": "User: {text}\n\nAssistant:"}
    pieces = pieces_of("m", "", {}, how, "<eos>")
    file = modelfile("m.gguf", pieces, system_prompt(how), {})
    for talk in TALKS:
        assert go(template_in(file), talk) == rendered(jinja("", pieces, how), talk) == plain(talk)
    assert 'PARAMETER stop """\nUser:"""' in file
    assert 'PARAMETER stop """<eos>"""' in file


def test_a_template_that_says_more_is_refused() -> None:
    with pytest.raises(BadInput) as caught:
        pieces_of("m", LOOKS_BACK, {"bos_token": ""}, asked(None), "<end>")
    assert caught.value.code == "take_along_template"
