"""Candidates, labels and vectors: the formulas, computed a second time the slow way."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmapp.backend import judging
from llmapp.backend.engine import ScoreRequest, Turn
from llmapp.backend.judging import by_length, split_at_boundary
from llmapp.backend.torch_engine import TorchEngine
from llmapp.errors import CanNotRun, TooLong
from tests.tiny import CAUSAL, CLASSIFIERS, ENCODERS, tiny_classifier

from .engines import engine_of

CHOICES = (" Paris", " London is far away", " the", "!")


def log_likelihood(engine: TorchEngine, head: tuple[int, ...], row: tuple[int, ...]) -> float:
    import torch

    ids = torch.tensor([[*head, *row]])
    with torch.inference_mode():
        likely = engine._model(input_ids=ids).logits.log_softmax(-1)[0]
    return sum(float(likely[len(head) + i - 1, token]) for i, token in enumerate(row))


@pytest.mark.parametrize("family", CAUSAL)
@pytest.mark.parametrize("copied", [4096, 1], ids=["together", "one by one"])
def test_candidates_are_weighed_by_their_likelihood(
    family: str, copied: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "COPIED", copied)
    engine = engine_of(tmp_path / family, "causal", family)
    prompt = "The capital of France is. " * 20
    head, rows = split_at_boundary(engine._tokens, prompt, CHOICES)
    sums = [log_likelihood(engine, head, row) for row in rows]
    expected = np.exp(sums) / np.exp(sums).sum()
    (found,) = engine.score([ScoreRequest(prompt, CHOICES)])
    assert list(found) == list(CHOICES)
    assert list(found.values()) == pytest.approx(expected.tolist(), rel=1e-3)
    assert math.isclose(sum(found.values()), 1)


def test_several_questions_are_answered_in_order(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "llama", "causal", "llama")
    asked = [ScoreRequest(prompt, (" a", " b")) for prompt in ("one", "two and three")]
    assert engine.score(asked) == [engine.score([each])[0] for each in asked]


def test_a_text_and_what_follows_are_tokenized_as_one(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "llama", "causal", "llama")
    head, rows = split_at_boundary(engine._tokens, "The quick bro", ("wn fox", "om"))
    decode = engine._tokens.tokenizer.decode
    assert [decode([*head, *row]) for row in rows] == ["The quick brown fox", "The quick broom"]
    whole = engine._tokens.ids("The quick brown fox")
    assert (*head, *rows[0]) == whole
    assert len(head) < len(engine._tokens.ids("The quick bro"))  # "brown" is one token, "bro" is none of its parts


def test_after_a_template_a_choice_is_a_text_of_its_own(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "llama", "causal", "llama")
    turns = (Turn("user", "good?"),)
    head, rows = split_at_boundary(engine._tokens, turns, ("yes", "no way"))
    assert head == engine._tokens.ids(turns)
    assert [engine._tokens.decode(row) for row in rows] == ["yes", "no way"]


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_labels_are_the_softmax_of_the_logits(family: str, tmp_path: Path) -> None:
    import torch

    tiny_classifier(tmp_path / family, family, ("bad", "so-so", "good"))
    engine = engine_of(tmp_path / family, "classifier", family)
    texts = ["I love this film", "I hate it", "我喜欢这部电影 " * 5, "x"]
    for text, found in zip(texts, engine.score([ScoreRequest(text) for text in texts]), strict=True):
        with torch.inference_mode():
            logits = engine._model(input_ids=torch.tensor([engine._tokens.ids(text)])).logits[0]
        assert list(found) == ["bad", "so-so", "good"]
        assert list(found.values()) == pytest.approx(logits.softmax(-1).tolist(), abs=1e-5)


@pytest.mark.parametrize("family", ENCODERS)
def test_vectors_are_normed_means_in_the_order_of_the_texts(family: str, tmp_path: Path) -> None:
    import torch

    engine = engine_of(tmp_path / family, "encoder", family)
    texts = ["I love this film, it is wonderful", "x", "我喜欢这部电影 " * 5, "I hate it"]
    found = engine.encode(texts)
    assert found.dtype == np.float32
    for text, row in zip(texts, found, strict=True):
        with torch.inference_mode():
            states = engine._model(input_ids=torch.tensor([engine._tokens.ids(text)])).last_hidden_state[0]
        mean = states.mean(0)
        np.testing.assert_allclose(row, (mean / mean.norm()).numpy(), atol=1e-5)


def test_no_texts_have_no_vectors(tmp_path: Path) -> None:
    assert engine_of(tmp_path / "bert", "encoder", "bert").encode([]).shape == (0, 64)


@pytest.mark.parametrize(
    ("kind", "family", "ask", "words"),
    [
        ("encoder", "bert", lambda e: e.generate_batch([]), "does not write"),
        ("encoder", "bert", lambda e: e.score([ScoreRequest("x", ("a", "b"))]), "does not weigh"),
        ("causal", "llama", lambda e: e.score([ScoreRequest("x")]), "no labels of its own"),
        ("causal", "llama", lambda e: e.encode(["x"]), "vectors"),
    ],
)
def test_what_a_model_can_not_do_is_said(kind: str, family: str, ask: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(CanNotRun, match=words):
        ask(engine_of(tmp_path / family, kind, family))


def test_a_text_too_long_to_judge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLong, match="512"):
        engine_of(tmp_path / "bert", "encoder", "bert").encode(["film " * 600])


def test_batches_are_of_similar_length_and_bounded() -> None:
    sizes = [5, 100, 7, 90, 6, 300]
    batches = list(by_length(sizes, rows=3, together=250))
    assert sorted(i for batch in batches for i in batch) == list(range(6))
    assert batches == [[0, 4, 2], [3, 1], [5]]
    assert all(max(sizes[i] for i in batch) * len(batch) <= 250 or len(batch) == 1 for batch in batches)
