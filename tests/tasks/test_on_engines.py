"""The tasks on real engines with tiny random weights: what they write means nothing, but all paths are real."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from llmapp.backend.torch_engine import TorchEngine
from llmapp.tasks.encodings import decoded
from llmapp.tasks.formats.translating import translate_layout
from llmapp.tasks.formats.web import web_layout
from llmapp.tasks.sentiment import classify, sentiment
from llmapp.tasks.splitting import lines
from llmapp.tasks.summarize import SummaryOptions, summarize
from llmapp.tasks.translate import translate
from tests.backend.engines import engine_of

TEXT = "The life is beautiful.\n\n  The cat sleeps on the chair. It is 12 degrees.\n\tDone?\n"
LONG = " ".join(f"The fox number {number} jumps over the lazy dog." for number in range(60))


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, TorchEngine]]:
    folder = tmp_path_factory.mktemp("engines")
    speaks = {"languages": ("en", "de", "zh", "fr")}
    found = {
        "base": engine_of(folder / "base", "causal", "llama", **speaks, chat=False, context=2048),
        "chat": engine_of(folder / "chat", "causal", "qwen2", **speaks, chat=True),
        "nllb": engine_of(folder / "nllb", "seq2seq", "nllb", **speaks),
        "bart": engine_of(folder / "bart", "seq2seq", "bart", **speaks),
        "classifier": engine_of(folder / "classifier", "classifier", "bert", **speaks),
        "encoder": engine_of(folder / "encoder", "encoder", "bert", **speaks),
    }
    yield found
    for engine in found.values():
        engine.end()


@pytest.mark.parametrize("name", ["base", "chat", "nllb"])
def test_translations_keep_the_layout(engines, name):
    *_, last = translate(engines[name], TEXT, "de", "en")
    assert (last.done, last.total) == (4, 4)
    assert lines(last.text).gaps == lines(TEXT).gaps


PAGE = b"<p>The life is <b>beautiful</b>.</p>\r\n<pre>code</pre><p>The <code>cat</code> sleeps.</p>"


@pytest.mark.parametrize("name", ["base", "chat", "nllb"])
def test_a_file_keeps_its_format_whatever_is_written(engines, name):
    layout = web_layout(decoded(PAGE, "a.html"), "a.html")
    *_, last = translate_layout(engines[name], layout, "de", "en")
    texts, kept = last.texts()
    data = layout.filled(texts).data
    assert last.finished
    assert kept == ()
    assert re.findall(rb"<[^>]*>|\r\n", data) == re.findall(rb"<[^>]*>|\r\n", PAGE)
    assert b"<pre>code</pre>" in data
    assert b"<code>cat</code>" in data
    assert name == "nllb" or data != PAGE  # that one writes nothing, and what it was asked stays


@pytest.mark.parametrize("name", ["chat", "bart"])
def test_a_text_beyond_the_context_is_summarized_part_by_part(engines, name):
    engine = engines[name]
    assert engine.count_tokens(LONG) > engine.info.model.context
    updates = list(summarize(engine, LONG, SummaryOptions(length="sentence")))
    assert updates[-1].parts > 2
    assert updates[-1].done_parts == updates[-1].parts
    assert updates[-1].words_read == updates[-1].words_total
    assert updates[-1].finish


def test_closing_a_summary_ends_the_writing(engines):
    stream = summarize(engines["chat"], TEXT * 3)
    while not next(stream).words_read:
        pass
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "write"]


@pytest.mark.parametrize("name", ["base", "chat", "classifier", "encoder"])
def test_judgements_are_probabilities_and_long_texts_are_read_in_windows(engines, name):
    for found in (sentiment(engines[name], ["I love this film.", LONG]), classify(engines[name], [TEXT, LONG])):
        for judgement in found:
            assert sum(judgement.scores.values()) == pytest.approx(1, abs=1e-4)
            assert judgement.scores[judgement.label] == max(judgement.scores.values())
        assert found[0].windows == 1
        assert found[1].windows > 1


@pytest.mark.parametrize("name", ["base", "encoder"])
@pytest.mark.parametrize("multi_label", [False, True])
def test_own_labels(engines, name, multi_label):
    (found,) = classify(engines[name], ["Berlin is a city."], ["travel", "food", "sport"], multi_label)
    assert list(found.scores) == ["travel", "food", "sport"]
    if not multi_label:
        assert sum(found.scores.values()) == pytest.approx(1, abs=1e-4)
    assert all(0 < p < 1 for p in found.scores.values())
