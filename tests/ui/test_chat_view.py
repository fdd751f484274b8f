"""Conversations as messages: what is shown, which entry a message belongs to, and that no tag survives."""

from __future__ import annotations

import pytest

from llmapp.conversations import Entry
from llmapp.ui import chat_view

MADE = {"model_name": "Tiny", "precision": "fp32", "weights": "Q4_1", "tokens_per_s": 18.2, "first_token_s": 0.34}


def test_an_answer_ends_with_what_made_it() -> None:
    shown = chat_view.messages([Entry("user", "Hi"), Entry("assistant", "Hello.", meta=MADE)], "en")
    assert shown[0] == {"role": "user", "content": "Hi"}
    facts = "Tiny · fp32, from 4-bit (Q4_1) weights · 18.2 tokens/s · first token 0.3 s"
    assert shown[1]["content"] == f'Hello.\n\n<small class="facts">{facts}</small>'


def test_an_unfinished_answer_says_so_in_the_persons_language() -> None:
    shown = chat_view.messages([Entry("assistant", "Half", "unfinished", MADE)], "zh")
    assert "未完成" in shown[0]["content"]


def test_an_open_code_fence_is_closed_before_the_facts() -> None:
    shown = chat_view.messages([Entry("assistant", "```python\nprint(1)", "unfinished", MADE)], "en")
    assert shown[0]["content"].startswith("```python\nprint(1)\n```\n\n<small")


def test_reasoning_stands_before_its_answer_and_places_lead_back() -> None:
    entries = [Entry("user", "Q"), Entry("assistant", "A", meta={"reasoning": "hm"}), Entry("user", "R")]
    shown = chat_view.messages(entries, "en")
    assert [m["role"] for m in shown] == ["user", "assistant", "assistant", "user"]
    assert shown[1]["metadata"] == {"title": "Reasoning", "status": "done"}
    assert [chat_view.entry_at(entries, place, "en") for place in range(4)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("if `a < b` then", "if `a < b` then"),
        ("```html\n<b>bold</b>\n```\n<b>", "```html\n<b>bold</b>\n```\n&lt;b>"),
        ("> a quote stays", "> a quote stays"),
        ("```\n<i>open", "```\n<i>open"),
    ],
)
def test_tags_show_as_text_outside_code(written: str, shown: str) -> None:
    assert chat_view.without_html(written) == shown


def test_the_meter_says_how_full_and_what_was_dropped() -> None:
    meta = {"context_tokens": 1204, "context": 8192, "dropped": 3}
    line = chat_view.status((), False, [Entry("assistant", "A", meta=meta)], "en")
    assert "1,204 of 8,192 tokens" in line
    assert "oldest 3 messages" in line


def test_attachments_are_named_above_the_message() -> None:
    entry = Entry("user", "What is it about?", meta={"attachments": [{"name": "a`b.pdf"}]})
    assert chat_view.messages([entry], "en")[0]["content"] == "📎 `ab.pdf`\n\nWhat is it about?"
