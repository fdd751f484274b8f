"""One answer on a tiny real model: however it ends, what was written is kept and its state is true."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from app import build
from llmapp.backend.engine import Sampling
from llmapp.conversations import Conversation, Entry
from llmapp.errors import Stale
from llmapp.settings import read_settings
from llmapp.ui.chat_turn import Asked, Shown, answer
from llmapp.ui.services import Services
from tests.tiny import LONGEST, tiny_causal

OWNER = "me"
SAMPLING = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=200, seed=7)
ASKED = Asked("tiny", "", SAMPLING)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Services whose only model is `tiny`, a two-layer chat model that writes nonsense at once."""
    folder = tiny_causal(tmp_path / "tiny")
    models = tmp_path / "models"
    models.mkdir()
    entry = {
        "id": "tiny",
        "name": "Tiny",
        "kind": "causal",
        "family": "llama",
        "tasks": ["chat"],
        "parameters": 150_000,
        "context": LONGEST,
        "languages": ["en"],
        "licence": "Apache-2.0",
        "licence_url": "https://www.apache.org/licenses/LICENSE-2.0",
        "sources": [{"folder": {"path": str(folder), "weights": "fp32"}}],
        "memory_mb": {"fp32": 1, "4-bit": 1},
        "note": {"en": "Tiny.", "zh": "很小。"},
        "chat": True,
    }
    (models / "tiny.yaml").write_text(yaml.safe_dump(entry), encoding="utf-8")
    made = build(read_settings(["--data-dir", str(tmp_path / "data"), "--offline"], {}), models)
    yield made
    made.close()


def begun(services: Services, text: str = "Hello") -> Conversation:
    """A kept conversation whose answer is to be written."""
    conversation = services.conversations.create(OWNER, "t")
    entries = (Entry("user", text), Entry("assistant", "", "writing"))
    version = services.conversations.save(OWNER, conversation.id, entries, conversation.version)
    return replace(conversation, entries=entries, version=version)


def run(services: Services, conversation: Conversation, asked: Asked = ASKED) -> list[Shown]:
    return list(answer(services, OWNER, conversation, asked, threading.Event()))


def kept(services: Services, conversation: Conversation) -> Entry:
    return services.conversations.get(OWNER, conversation.id).entries[-1]


def test_an_answer_is_streamed_and_kept_with_its_facts(services: Services) -> None:
    conversation = begun(services)
    shown = run(services, conversation)
    assert shown[-1].finished
    last = kept(services, conversation)
    assert last.text == shown[-1].entries[-1].text != ""
    assert last.meta["model"] == "tiny"
    assert last.meta["tokens"] > 0
    assert last.state == ("done" if last.meta["finish"] == "stop" else "unfinished")


def test_the_same_seed_gives_the_same_answer(services: Services) -> None:
    first, second = begun(services), begun(services)
    run(services, first)
    run(services, second)
    assert kept(services, first).text == kept(services, second).text
    third = begun(services)
    run(services, third, replace(ASKED, sampling=replace(SAMPLING, seed=8)))
    assert kept(services, third).text != kept(services, first).text


def test_a_question_in_a_language_the_model_was_not_made_for_is_answered_with_a_warning(services: Services) -> None:
    codes = {note.code for note in run(services, begun(services, "今天的天气怎么样？"))[-1].notes}
    assert codes == {"reason.language_foreign"}
    assert run(services, begun(services, "How is the weather today?"))[-1].notes == ()


def test_a_page_that_closes_keeps_what_was_written(services: Services) -> None:
    conversation = begun(services)
    stream = answer(services, OWNER, conversation, ASKED, threading.Event())
    written = ""
    for shown in stream:
        written = shown.entries[-1].text
        if len(written) > 5:
            break
    stream.close()
    last = kept(services, conversation)
    assert last.state == "unfinished"
    assert last.text == written
    assert services.pool.loaded()[0].leased == 0


def test_stop_ends_it_as_unfinished_and_it_can_go_on(services: Services) -> None:
    conversation = begun(services)
    stop = threading.Event()
    for shown in answer(services, OWNER, conversation, ASKED, stop):
        if shown.entries[-1].text:
            stop.set()
    stopped = kept(services, conversation)
    assert stopped.state == "unfinished"
    again = services.conversations.get(OWNER, conversation.id)
    entries = (*again.entries[:-1], replace(again.entries[-1], state="writing"))
    version = services.conversations.save(OWNER, again.id, entries, again.version)
    run(services, replace(again, entries=entries, version=version))
    assert kept(services, conversation).text.startswith(stopped.text)
    assert len(kept(services, conversation).text) > len(stopped.text)


def test_an_error_is_a_sentence_and_the_question_is_kept(services: Services) -> None:
    conversation = begun(services, "word " * 2000)
    shown = run(services, conversation)[-1]
    assert shown.failed
    assert "512" in shown.notes[0].text("en")
    assert [e.role for e in services.conversations.get(OWNER, conversation.id).entries] == ["user", "assistant"]


def test_a_tab_that_knows_an_older_version_overwrites_nothing(services: Services) -> None:
    conversation = begun(services)
    run(services, conversation)
    with pytest.raises(Stale):
        services.conversations.save(OWNER, conversation.id, (Entry("user", "old"),), conversation.version)
    assert kept(services, conversation).text
