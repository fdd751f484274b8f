"""The loop that writes: equal to the library's own generation, and to itself in parts and in batches."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from llmapp.backend import decoding
from llmapp.backend.decoding import Draw, read, roomy_cache
from llmapp.backend.engine import Sampling
from llmapp.backend.torch_engine import TorchEngine
from tests.tiny import CAUSAL

from .engines import engine_of

PROMPT = "The quick brown fox. 我喜欢这部电影，演员非常好。 " * 10  # longer than the sliding window of the tiny Gemma
PROMPTS = [PROMPT, "What is the capital", "I love this film, it is", "a"]


@pytest.fixture(scope="module", params=CAUSAL)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    return engine_of(tmp_path_factory.mktemp("models") / request.param, "causal", request.param)


def ids_of(engine: TorchEngine, text: str) -> list[int]:
    return list(engine._tokens.ids(text))


def written(engine: TorchEngine, prompts: list[list[int]], sampling: Sampling, tokens: int = 30) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in prompts]

    def take(row: int, token: int) -> bool:
        rows[row].append(token)
        return len(rows[row]) == tokens - row  # they end one after the other

    draws = [Draw(sampling, ids, engine._model.device) for ids in prompts]
    decoding.write(engine._model, prompts, draws, take, threading.Event())
    return rows


def generated(engine: TorchEngine, ids: list[int], tokens: int, **how: Any) -> list[int]:
    import torch

    out = engine._model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones((1, len(ids)), dtype=torch.long),
        do_sample=False,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        eos_token_id=None,
        **how,
    )
    return [int(token) for token in out[0, len(ids) :]]


def test_the_likeliest_answer_is_the_librarys(engine: TorchEngine) -> None:
    ids = ids_of(engine, PROMPT)
    assert len(ids) > 64
    assert written(engine, [ids], Sampling(temperature=0)) == [generated(engine, ids, 30)]


def test_a_repetition_penalty_is_the_librarys(engine: TorchEngine) -> None:
    ids = ids_of(engine, PROMPT)
    ours = written(engine, [ids], Sampling(temperature=0, repetition_penalty=1.7))
    assert ours == [generated(engine, ids, 30, repetition_penalty=1.7)]
    assert ours != written(engine, [ids], Sampling(temperature=0))


def test_a_prompt_read_in_parts_gives_the_same(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ids_of(engine, PROMPT)
    at_once = written(engine, [ids], Sampling(temperature=0))
    monkeypatch.setitem(decoding.PART, "cpu", 7)
    assert written(engine, [ids], Sampling(temperature=0)) == at_once


@pytest.mark.parametrize("part", [7, 256])
def test_a_batch_writes_what_each_would_alone(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    prompts = [ids_of(engine, text) for text in PROMPTS]
    alone = [written(engine, [ids], Sampling(temperature=0))[0] for ids in prompts]
    monkeypatch.setitem(decoding.PART, "cpu", part)
    together = written(engine, prompts, Sampling(temperature=0))
    assert together == [row[: 30 - i] for i, row in enumerate(alone)]


@pytest.mark.parametrize(
    "how",
    [
        Sampling(temperature=0.7, top_k=5, top_p=1),
        Sampling(temperature=1.5, top_k=0, top_p=0.6),
        Sampling(temperature=0.2, top_k=50, top_p=0.9, repetition_penalty=1.3),
        Sampling(temperature=1, top_k=0, top_p=1),
    ],
)
def test_choices_and_their_chances_are_the_librarys(how: Sampling) -> None:
    import torch
    from transformers import (
        LogitsProcessorList,
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    prompt = [3, 5, 7]
    logits = torch.randn(400, generator=torch.Generator().manual_seed(0)) * 3
    steps = LogitsProcessorList(
        [RepetitionPenaltyLogitsProcessor(how.repetition_penalty), TemperatureLogitsWarper(float(how.temperature))]
    )
    if how.top_k:
        steps.append(TopKLogitsWarper(how.top_k))
    steps.append(TopPLogitsWarper(how.top_p))
    theirs = steps(torch.tensor([prompt]), logits[None].clone())[0].softmax(-1)
    tokens, chances = Draw(how, prompt, "cpu").choices(logits)
    ours = torch.zeros(400).index_put((tokens,), chances / chances.sum())
    assert torch.equal(ours > 0, theirs > 0)
    torch.testing.assert_close(ours, theirs)


def test_draws_follow_the_chances() -> None:
    import torch

    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    draw = Draw(Sampling(temperature=1, top_k=0, top_p=1, seed=0), [], "cpu")
    drawn = torch.bincount(torch.tensor([draw(logits) for _ in range(4000)])) / 4000
    torch.testing.assert_close(drawn, torch.tensor([0.5, 0.3, 0.2]), atol=0.03, rtol=0)


def test_a_long_prompt_makes_logits_of_its_last_token_only(engine: TorchEngine) -> None:
    import torch

    rows: list[int] = []
    head = engine._model.get_output_embeddings()
    hook = head.register_forward_hook(lambda module, given, out: rows.append(given[0].shape[1]))
    with torch.inference_mode():
        read(engine._model, [ids_of(engine, PROMPT)])
    hook.remove()
    assert set(rows) == {1}


def test_keys_and_values_stay_where_they_are_while_there_is_room(tmp_path: Path) -> None:
    import torch

    engine = engine_of(tmp_path / "llama", "causal", "llama")
    cache = roomy_cache(engine._model)
    places = []
    with torch.inference_mode():
        for _ in range(decoding.GROWTH + 20):
            engine._model(input_ids=torch.tensor([[5]]), past_key_values=cache, use_cache=True)
            places.append(cache.layers[0].keys.data_ptr())
    assert len(set(places)) == 2
    assert cache.get_seq_length() == decoding.GROWTH + 20


def test_reading_stops_between_two_parts(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(decoding.PART, "cpu", 8)
    cancel, calls = threading.Event(), []

    def stop_at_third(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            cancel.set()

    hook = engine._model.register_forward_pre_hook(stop_at_third)
    assert read(engine._model, [ids_of(engine, PROMPT)], cancel) is None
    hook.remove()
    assert len(calls) == 3
