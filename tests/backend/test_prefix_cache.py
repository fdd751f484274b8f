"""What was read stays read: the same answers as without it, fewer tokens read, and no way to mix things up."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from llmapp.backend import decoding
from llmapp.backend.engine import Request, Sampling
from llmapp.backend.prefix_cache import PrefixCache
from llmapp.backend.torch_engine import TorchEngine
from llmapp.catalog import Adapter
from tests.tiny import CAUSAL

from .engines import engine_of, whole

PART = 16
STORY = "The quick brown fox jumps over the lazy dog and asks what the capital of France is. " * 3
MORE = STORY + "What is the capital? I love this film, it is very good. " * 2


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(decoding.PART, "cpu", PART)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models") / "llama"


@pytest.fixture
def engine(folder: Path) -> TorchEngine:
    return engine_of(folder, "causal", "llama")


def drawn(prompt: str, seed: int = 7) -> Request:
    return Request(prompt, Sampling(temperature=1, top_k=0, top_p=1, max_new_tokens=40, seed=seed))


@contextmanager
def counted(engine: TorchEngine) -> Iterator[list[int]]:
    """How many tokens the model is given, call by call."""
    sizes: list[int] = []
    hook = engine._model.register_forward_pre_hook(
        lambda _, args, given: sizes.append(given["input_ids"].shape[1]), with_kwargs=True
    )
    yield sizes
    hook.remove()


@pytest.mark.parametrize("family", CAUSAL)
def test_answers_are_those_of_an_engine_that_remembers_nothing(family: str, tmp_path: Path) -> None:
    remembers = engine_of(tmp_path / family, "causal", family)
    fresh = engine_of(tmp_path / family, "causal", family)
    turns = [STORY, MORE, MORE + "And then?", STORY[:90], "Something else. " * 9, MORE]
    for seed, prompt in enumerate(turns):
        fresh._prefixes.clear()
        assert whole(remembers.stream(drawn(prompt, seed))) == whole(fresh.stream(drawn(prompt, seed)))


def test_a_conversation_is_read_on_and_not_anew(engine: TorchEngine) -> None:
    first = whole(engine.stream(drawn(STORY)))
    size = engine.count_tokens(STORY)
    assert size > 2 * PART
    with counted(engine) as sizes:
        whole(engine.stream(drawn(STORY + first + " And then?")))
    assert sizes[0] <= PART
    new = engine.count_tokens(STORY + first + " And then?") - size + size % PART
    prompt_parts = sizes[: -(-new // PART)]
    assert sum(prompt_parts) == new
    with counted(engine) as sizes:
        assert whole(engine.stream(drawn(STORY))) == first
    assert sizes[0] == size % PART or sizes[0] == PART


def test_only_what_begins_alike_is_taken(engine: TorchEngine) -> None:
    whole(engine.stream(drawn(STORY)))
    with counted(engine) as sizes:
        whole(engine.stream(drawn("I love " + STORY)))
    assert sizes[0] == PART
    assert sum(sizes) >= engine.count_tokens("I love " + STORY)


def test_what_one_adapter_read_is_not_for_another(engine: TorchEngine, tmp_path: Path) -> None:
    whole(engine.stream(drawn(STORY)))
    adapter = Adapter("mine", "Mine", "tiny", "chat", "", tmp_path, created=1.0)
    for step in (adapter, replace(adapter, created=2.0), None):
        engine._info = replace(engine.info, adapter=step)
        with counted(engine) as sizes:
            whole(engine.stream(drawn(STORY)))
        assert sum(sizes) >= engine.count_tokens(STORY)


def test_a_batch_neither_uses_nor_leaves_anything(engine: TorchEngine) -> None:
    alone = [whole(engine.stream(drawn(text))) for text in (STORY, MORE)]
    assert engine.generate_batch([drawn(STORY), drawn(MORE)]) == alone


def test_a_stopped_answer_can_be_taken_up(engine: TorchEngine) -> None:
    expected = whole(engine.stream(drawn(STORY)))
    engine._prefixes.clear()
    stream = engine.stream(drawn(STORY))
    next(stream)
    stream.close()
    assert whole(engine.stream(drawn(STORY))) == expected


def test_short_prompts_and_sliding_windows_are_not_kept(engine: TorchEngine, tmp_path: Path) -> None:
    whole(engine.stream(drawn("What is the capital")))
    assert engine._prefixes._held is None
    gemma = engine_of(tmp_path / "gemma3", "causal", "gemma3")
    whole(gemma.stream(drawn(STORY)))
    assert gemma._prefixes._held is None


def test_where_memory_is_short_nothing_is_kept(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine._info = replace(engine.info, model=replace(engine.info.model, kv_bytes_per_token=1000))
    monkeypatch.setattr(engine._guard, "free", lambda: 10_000_000)
    whole(engine.stream(drawn(STORY)))
    assert engine._prefixes._held is not None
    monkeypatch.setattr(engine._guard, "free", lambda: 900_000)
    whole(engine.stream(drawn(STORY)))
    assert engine._prefixes._held is None


def test_what_is_cleared_is_free(engine: TorchEngine) -> None:
    whole(engine.stream(drawn(STORY)))
    prefixes: PrefixCache = engine._prefixes
    assert prefixes._held
    keys = weakref.ref(prefixes._held.cache.layers[0].keys)
    prefixes.clear()
    gc.collect()
    assert keys() is None
