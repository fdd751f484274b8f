"""What the page offers to copy, run as it stands: by Python and by a real shell, against the running app."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from llmapp.conversations import Entry
from llmapp.ui import chat_view
from llmapp.ui.api_call import MOST, curl_call, folded_call, python_call

from ..running_app import App
from .visitor import Outcome, Visitor, event_of

HOSTILE = "It's \"5\" > $HOME `id` \\n ${x} <b>&lt;</b> 电影 🎬\r\n\n\tJSON\nEOF' 'x"


def page_of(app: App) -> Visitor:
    return Visitor(app.url, {"Origin": app.url})


def press(visitor: Visitor, button: str, filled: Mapping[str, Any]) -> Outcome:
    """Press a button of the page, with widgets filled by their ids; the others are as they come."""
    event, inputs = event_of(visitor.config(), button, "click")
    props = [each["props"] for each in inputs]
    return visitor.join(event, [filled.get(each.get("elem_id") or "", each.get("value")) for each in props])


def offered(outputs: Any) -> tuple[str, str]:
    """The Python and the shell lines of the last call that stands in what a page was sent."""
    text = json.loads(
        '"' + re.findall(r'"((?:[^"\\]|\\.)*<details class=\\"call\\"(?:[^"\\]|\\.)*)"', json.dumps(outputs))[-1] + '"'
    )
    python, curl = (html.unescape(part) for part in re.findall(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL))
    return python, curl


def run_python(lines: str) -> str:
    return subprocess.run([sys.executable, "-c", lines], check=True, capture_output=True, text=True, timeout=240).stdout


def run_shell(lines: str, shell: str = "bash") -> Any:
    """The last value that the copied command prints."""
    done = subprocess.run([shell], input=lines, check=True, capture_output=True, text=True, timeout=240)
    assert "event: error" not in done.stdout, done.stdout
    return json.loads(re.findall(r"^data: (.*)$", done.stdout, re.MULTILINE)[-1])[0]


def test_a_translation(tiny_app: App) -> None:
    visitor = page_of(tiny_app)
    done = press(visitor, "translate-run", {"translate-text": HOSTILE, "source": "en", "target": "de"})
    assert done.ok, done.said
    python, curl = offered(done.data)
    assert f"Client('{tiny_app.url}', verbose=False)" in python
    assert all(part in python for part in ("source='en'", "target='de'", "model='tiny-translator'"))
    answer = run_shell(curl)
    assert answer in shown_texts(done.data)
    assert run_shell(curl, "sh") == answer
    assert run_python(python).rstrip("\n") == answer.replace("\r\n", "\n").rstrip("\n")


def shown_texts(outputs: Any) -> list[str]:
    """All texts in what a page was sent, at any depth."""
    if isinstance(outputs, str):
        return [outputs]
    nested = outputs.values() if isinstance(outputs, dict) else outputs if isinstance(outputs, list) else ()
    return [text for each in nested for text in shown_texts(each)]


def test_a_summary(tiny_app: App) -> None:
    text = f"The fox jumps. {HOSTILE} The dog is lazy."
    done = press(page_of(tiny_app), "summarize-run", {"summarize-text": text})
    assert done.ok, done.said
    python, curl = offered(done.data)
    assert all(part in python for part in ("length='short'", "form='paragraph'", "model='tiny-chat'"))
    answer = run_shell(curl)
    assert answer in shown_texts(done.data)
    assert run_python(python).strip() == answer.strip()


def test_a_judgement_a_choice_of_labels_and_an_explanation(tiny_app: App) -> None:
    visitor = page_of(tiny_app)
    judged = press(visitor, "sentiment-run", {"sentiment-text": HOSTILE})
    python, curl = offered(judged.data)
    answer = run_shell(curl)
    assert answer["model"] == "tiny-judge"
    assert answer["label"] in shown_texts(judged.data)
    assert eval(run_python(python)) == answer
    why = press(visitor, "sentiment-why", {"sentiment-text": "I love this film."})
    assert "".join(token for token, _ in run_shell(offered(why.data)[1])["tokens"]) == "I love this film."


def test_an_answer_of_the_chat_after_another_one(tiny_app: App) -> None:
    visitor = page_of(tiny_app)
    visitor.open_page()
    config = visitor.config()
    event, inputs = event_of(config, "message", "submit")
    knobs = [each["props"] for each in inputs]

    def say(text: str, place: str) -> tuple[str, Any]:
        values = [each.get("value") for each in knobs]
        for index, part in enumerate(inputs):
            if part["props"].get("elem_id") == "message":
                values[index] = {"text": text, "files": []}
            elif part["type"] == "textbox" and not part["props"].get("visible", True):
                values[index] = place
            elif "chat.temperature" in str(part["props"].get("label")):
                values[index] = 0
        done = visitor.join(event, values)
        assert done.ok, done.said
        return next(text for text in reversed(shown_texts(done.data)) if re.fullmatch(r"[\w-]{8,}:\d+", text)), done

    place, _ = say("What is the capital of France?", "")
    place, done = say(HOSTILE, place)
    changed = event_by_inputs(config, "chat-call")
    shown = visitor.run(changed, [place])
    python, curl = offered(shown.data)
    assert "'role': 'assistant'" in python
    assert '"model": "tiny-chat"' in curl
    answer = run_shell(curl)
    assert '"temperature": 0' in curl
    assert any(chat_view.without_html(answer).strip() in text for text in shown_texts(done.data))


def event_by_inputs(config: Mapping[str, Any], elem_id: str) -> int:
    """The event that changes a widget."""
    target = next(part["id"] for part in config["components"] if part["props"].get("elem_id") == elem_id)
    return next(int(event["id"]) for event in config["dependencies"] if target in event["outputs"])


# ---- the lines by themselves ----


def entry(role: Any, text: str, **meta: Any) -> Entry:
    return Entry(role, text, meta=meta)


def test_which_answers_can_be_asked_for_again() -> None:
    meta = {"repeatable": True, "model": "m", "adapter": None, "system": "", "sampling": {"seed": 1}}
    file = {"text": "All of it.", "name": "a.txt", "kind": "txt"}
    asked = chat_view.asked_again([entry("user", "One", attachments=[file]), entry("assistant", "1", **meta)])
    assert "All of it." in asked[0]["message"]
    assert asked[0]["message"].endswith("One")
    assert chat_view.asked_again([entry("user", "One"), entry("assistant", "1", **{**meta, "repeatable": False})]) == []
    assert chat_view.asked_again([entry("user", "One"), entry("assistant", "1")]) == []  # of an older version
    assert chat_view.asked_again([]) == []


@pytest.mark.parametrize("count", [0, MOST + 1])
def test_nothing_and_too_much_is_not_shown(count: int) -> None:
    request: Any = None  # not looked at
    assert folded_call(request, "sentiment", [{"text": "x"}] * count) == ""


def test_the_address_can_not_break_out() -> None:
    base = "http://x'; touch /tmp/owned; '"
    assert "http://x'\"'\"'; touch" in curl_call(base, "translate", [{"text": "x"}])
    assert eval(re.findall(r"Client\((.*), verbose=False\)", python_call(base, "translate", []))[0]) == base
