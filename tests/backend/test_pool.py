"""The pool: one load for all, turns, eviction, memory given back, failures that leave nothing, adapters."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmapp.backend import loader, memory
from llmapp.backend.engine import ScoreRequest, Turn
from llmapp.backend.memory import LastWords
from llmapp.backend.pool import Pool
from llmapp.backend.progress import Progress
from llmapp.backend.sources import Sources
from llmapp.backend.states import Absent, LoadedState, Loading
from llmapp.catalog import Catalog, Model
from llmapp.errors import BadInput, Busy, NotFound, OutOfMemory, SourceError
from llmapp.settings import read_settings
from tests import tiny

from .engines import FP32, HARDWARE, MAKERS, greedy, whole

FAMILIES = {"a": ("causal", "llama"), "b": ("causal", "gpt2"), "c": ("causal", "qwen3"), "e": ("encoder", "bert")}
ROOT = Path(__file__).parents[2]
LABELS = ("no", "yes")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    folder = tmp_path_factory.mktemp("models")
    for name, (kind, family) in FAMILIES.items():
        MAKERS[kind](folder / name, family)
    return {name: tiny.catalog_entry(folder / name, *FAMILIES[name], context=100_000) for name in FAMILIES}


@pytest.fixture
def make(models: dict[str, Model], tmp_path: Path) -> Iterator[Callable[..., Pool]]:
    """`make()`: a pool on the tiny models; changes replace entries of the catalog."""
    pools: list[Pool] = []

    def made(**changes: Model) -> Pool:
        catalog = Catalog({**models, **changes}, (tmp_path / "adapters",))
        sources = Sources(tmp_path / "data", read_settings(["--offline"], {}))
        pools.append(Pool(catalog, sources, HARDWARE, last_words=LastWords(tmp_path / "words")))
        return pools[-1]

    yield made
    for pool in pools:
        pool.close()


@pytest.fixture
def pool(make: Callable[..., Pool]) -> Pool:
    return make()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of what the real loader really loaded, each slow enough to be watched."""
    loads: list[str] = []
    real = loader.load

    def counted(local: Any, model: Model, precision: Any) -> Any:
        loads.append(model.id)
        time.sleep(0.2)
        return real(local, model, precision)

    monkeypatch.setattr(loader, "load", counted)
    return loads


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def use(pool: Pool, name: str, **options: Any) -> str:
    with pool.lease(name, **options) as engine:
        return whole(engine.stream(greedy("I love", 8)))


def refused(pool: Pool, name: str, cancel: threading.Event) -> None:
    with pytest.raises(Busy):
        use(pool, name, cancel=cancel)


def test_many_who_ask_share_one_load_and_see_it_go_on(pool: Pool, loads: list[str]) -> None:
    answers: list[str] = []
    seen: list[list[Progress]] = [[], [], []]
    threads = [in_thread(lambda i=i: answers.append(use(pool, "a", report=seen[i].append))) for i in range(3)]
    wait_until(lambda: bool(loads))
    assert isinstance(pool.state("a"), Loading)
    for thread in threads:
        thread.join()
    assert loads == ["a"]
    assert len(set(answers)) == 1
    assert all(Progress("loading") in each for each in seen)
    assert isinstance(pool.state("a"), LoadedState)


def test_two_at_the_same_model_take_turns_in_order(pool: Pool) -> None:
    order: list[int] = []
    inside = threading.Event()

    def second(i: int) -> None:
        with pool.lease("a"):
            order.append(i)

    with pool.lease("a") as engine:
        threads = []
        for i in range(4):
            threads.append(in_thread(lambda i=i: second(i)))
            wait_until(lambda i=i: pool.loaded()[0].leased == i + 2)
            time.sleep(0.02)  # leased counts them before they stand in line
        assert engine.generate_batch([greedy("I", 3)])
        assert order == []
        inside.set()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3]


def test_two_models_work_at_the_same_time(pool: Pool) -> None:
    with pool.lease("a") as one, pool.lease("b") as other:
        pair = zip(one.stream(greedy("I", 5)), other.stream(greedy("I", 5)), strict=False)
        assert list(pair)


def test_waiting_for_a_turn_can_be_stopped(pool: Pool) -> None:
    cancel = threading.Event()
    problems: list[Exception] = []

    def wait() -> None:
        try:
            use(pool, "a", cancel=cancel)
        except Busy as problem:
            problems.append(problem)

    with pool.lease("a") as engine:
        thread = in_thread(wait)
        wait_until(lambda: pool.loaded()[0].leased == 2)
        cancel.set()
        thread.join(2)
        assert not thread.is_alive()
        assert engine.generate_batch([greedy("I", 3)])
    assert "Stopped before `a`" in str(problems[0])
    assert use(pool, "a")


def test_a_load_goes_on_while_anybody_waits_and_is_given_up_when_nobody_does(
    make: Callable[..., Pool], loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, fetching = make(), threading.Event()
    real = Sources.fetch

    def slow(self: Sources, model: Model, report: Any, cancel: threading.Event) -> Any:
        fetching.set()
        if cancel.wait(0.5):
            raise SourceError("source_stopped", file=model.name)
        return real(self, model, report, cancel)

    monkeypatch.setattr(Sources, "fetch", slow)
    cancel, answers = threading.Event(), []
    threads = [
        in_thread(lambda: refused(pool, "a", cancel)),
        in_thread(lambda: answers.append(use(pool, "a"))),
    ]
    fetching.wait(5)
    cancel.set()
    for thread in threads:
        thread.join()
    assert answers
    fetching.clear()
    refused(pool, "b", cancel)
    wait_until(lambda: pool.state("b") == Absent())
    assert loads == ["a"]


def test_the_least_recently_used_goes_first_and_never_what_is_leased(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = memory.estimate(pool._catalog.model("a"), FP32)
    monkeypatch.setattr(loader, "footprint", lambda model: need)
    monkeypatch.setattr(pool._guard, "free", lambda: (2 - len(pool.loaded())) * need)
    use(pool, "a")
    use(pool, "b")
    use(pool, "a")
    use(pool, "c")
    assert {state.model_id for state in pool.loaded()} == {"a", "c"}
    with pool.lease("a"):
        use(pool, "b")
        assert {state.model_id for state in pool.loaded()} == {"a", "b"}
        with pool.lease("b"), pytest.raises(OutOfMemory, match="Unload `a`, `b` or pick a smaller model"):
            use(pool, "c")
    assert use(pool, "c")


def test_what_can_never_fit_is_refused_before_it_is_fetched(
    make: Callable[..., Pool], models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = tiny.catalog_entry(Path("nowhere"), "causal", "llama", id="huge", memory_mb={"fp32": 9_000_000})
    pool = make(huge=huge)
    use(pool, "a")
    monkeypatch.setattr(Sources, "fetch", lambda *_: pytest.fail("was fetched"))
    with pytest.raises(OutOfMemory, match="needs 10350"):
        use(pool, "huge")
    assert [state.model_id for state in pool.loaded()] == ["a"]  # and nobody had to go for it


def test_a_failed_load_leaves_nothing_and_the_next_attempt_works(make: Callable[..., Pool], tmp_path: Path) -> None:
    folder = tiny.tiny_causal(tmp_path / "broken")
    weights = folder / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[: len(good) // 2])
    pool = make(broken=tiny.catalog_entry(folder, "causal", "llama"))
    for _ in range(2):
        with pytest.raises(SourceError, match="broken"):
            use(pool, "broken")
        assert pool.state("broken") == Absent()
        assert pool.loaded() == []
    weights.write_bytes(good)
    assert use(pool, "broken")
    assert LastWords(tmp_path / "words").read() == []


def test_a_failed_load_holds_no_memory(make: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    import weakref

    pool, kept = make(), []
    real = loader.load

    def fails_late(*given: Any) -> Any:
        built = real(*given)
        kept.append(weakref.ref(built.model))
        raise RuntimeError("late")

    monkeypatch.setattr(loader, "load", fails_late)
    with pytest.raises(RuntimeError, match="late") as caught:
        use(pool, "a")
    wait_until(lambda: not any(thread.name.startswith("load") for thread in threading.enumerate()))
    assert kept[0]() is None
    assert caught.value  # the exception is still in somebody's hands


def test_unload_frees_what_nobody_uses(pool: Pool) -> None:
    import weakref

    with pool.lease("a") as engine:
        held = weakref.ref(engine._model)  # type: ignore[attr-defined]
        with pytest.raises(Busy, match="`a` is at work"):
            pool.unload("a")
    pool.unload("a")
    assert pool.state("a") == Absent()
    assert held() is None
    pool.unload("a")
    assert use(pool, "a")


def test_what_a_lease_left_running_has_ended_after_it(pool: Pool) -> None:
    with pool.lease("a") as engine:
        stream = engine.stream(greedy((Turn("user", "hi"),), 30_000))
        next(stream)
    assert not any(thread.name == "write" for thread in threading.enumerate())
    with pytest.raises(RuntimeError, match="over"):
        engine.encode(["x"])
    assert stream


def test_states_say_what_is_loaded(pool: Pool, models: dict[str, Model]) -> None:
    assert pool.state("a") == Absent()
    with pytest.raises(NotFound):
        pool.state("nobody")
    before = time.time()
    with pool.lease("a") as engine:
        (state,) = pool.loaded()
        assert state == pool.state("a")
        assert engine.info.weights == "fp32"
        assert engine.info.revision == str(models["a"].sources[0].path)  # type: ignore[union-attr]
    weights = models["a"].sources[0].path / "model.safetensors"  # type: ignore[union-attr]
    assert 0.9 < state.bytes / weights.stat().st_size < 1.1
    assert (state.model_id, state.leased, state.precision.kind) == ("a", 1, "fp32")
    assert before <= state.since <= time.time()
    assert pool.loaded()[0].leased == 0


def test_tokens_are_counted_while_somebody_else_is_answered(pool: Pool) -> None:
    assert pool.count_tokens("a", "I love") is None
    with pool.lease("a") as engine:
        assert pool.count_tokens("a", "I love") == engine.count_tokens("I love")


def test_closing_stops_streams_and_refuses_who_comes_later(pool: Pool) -> None:
    ended: list[str] = []

    def work() -> None:
        with pool.lease("a") as engine:
            ended.extend(piece.finish for piece in engine.stream(greedy((Turn("user", "hi"),), 30_000)))

    thread = in_thread(work)
    wait_until(lambda: bool(ended))
    pool.close()
    thread.join(5)
    assert not thread.is_alive()
    assert ended[-1] in ("cancelled", "stop")
    with pytest.raises(Busy):
        use(pool, "b")


def test_another_revision_on_the_disk_is_another_instance(
    pool: Pool, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(pool, "a")
    use(pool, "a")
    assert loads == ["a"]
    real = Sources.where

    def newer(self: Sources, model: Model) -> Any:
        from dataclasses import replace

        found = real(self, model)
        return found and replace(found, revision="newer")

    monkeypatch.setattr(Sources, "where", newer)
    use(pool, "a")
    assert loads == ["a", "a"]
    assert pool.loaded()[-1].model_id == "a"


def test_adapters_switch_on_a_loaded_base_and_leave_it_as_it_was(
    pool: Pool, loads: list[str], models: dict[str, Model], tmp_path: Path
) -> None:
    base = models["a"].sources[0].path  # type: ignore[union-attr]
    tiny.tiny_adapter(tmp_path / "adapters" / "mine", base)
    tiny.tiny_adapter(tmp_path / "adapters" / "other", base, seed=1)
    plain = use(pool, "a")
    tuned = use(pool, "mine")
    other = use(pool, "other")
    assert len({plain, tuned, other}) == 3
    assert [use(pool, name) for name in ("a", "mine", "a", "other")] == [plain, tuned, plain, other]
    assert loads == ["a"]
    assert pool.loaded()[0].adapters == ("mine", "other")
    with pool.lease("mine") as engine:
        assert (engine.info.model.id, engine.info.adapter and engine.info.adapter.id) == ("a", "mine")


def test_a_classification_adapter_judges_on_a_plain_encoder(
    pool: Pool, models: dict[str, Model], tmp_path: Path
) -> None:
    base = models["e"].sources[0].path  # type: ignore[union-attr]
    tiny.tiny_adapter(tmp_path / "adapters" / "judge", base, "encoder", ("query", "value"), LABELS)
    with pool.lease("e") as engine:
        before = engine.encode(["I love this"])
    with pool.lease("judge") as engine:
        (scores,) = engine.score([ScoreRequest("I love this")])
    assert tuple(scores) == LABELS
    assert sum(scores.values()) == pytest.approx(1)
    with pool.lease("e") as engine:
        assert (engine.encode(["I love this"]) == before).all()


def test_an_adapter_trained_anew_is_attached_anew(pool: Pool, models: dict[str, Model], tmp_path: Path) -> None:
    base = models["a"].sources[0].path  # type: ignore[union-attr]
    tiny.tiny_adapter(tmp_path / "adapters" / "mine", base)
    first = use(pool, "mine")
    tiny.tiny_adapter(tmp_path / "adapters" / "mine", base, created=2.0, seed=1)
    assert use(pool, "mine") != first
    assert pool.loaded()[0].adapters == ("mine",)


def test_a_broken_adapter_harms_nobody(pool: Pool, models: dict[str, Model], tmp_path: Path) -> None:
    base = models["a"].sources[0].path  # type: ignore[union-attr]
    tiny.tiny_adapter(tmp_path / "adapters" / "mine", base)
    plain = use(pool, "a")
    (tmp_path / "adapters" / "mine" / "adapter_model.safetensors").write_bytes(b"no")
    with pytest.raises(BadInput):
        use(pool, "mine")
    assert use(pool, "a") == plain
    assert pool.loaded()[0].adapters == ()


CHILD = """
import gc, json, sys
from pathlib import Path
import psutil, torch, transformers
from llmapp.backend.device import detect
from llmapp.backend.engine import Request, Sampling
from llmapp.backend.pool import Pool
from llmapp.backend.sources import Sources
from llmapp.catalog import Catalog
from llmapp.settings import read_settings
from tests import tiny
folder = Path(sys.argv[1])
entry = tiny.catalog_entry(folder, "causal", "llama", memory_mb={"fp32": 310, "bf16": 155})
warm = tiny.catalog_entry(folder.parent / "warm", "causal", "llama", memory_mb={"fp32": 1, "bf16": 1})
sources = Sources(folder.parent / "data", read_settings(["--offline"], {}))
def rss(): return psutil.Process().memory_info().rss / 1e6
request = Request("I love this film " * 60, Sampling(temperature=0, max_new_tokens=10))
sizes = {}
for wish in ("fp32", "bf16"):
    pool = Pool(Catalog({entry.id: entry, warm.id: warm}), sources, detect("cpu"), wish)
    def use(name):
        with pool.lease(name) as engine:
            list(engine.stream(request))
    use(warm.id)  # what libraries load late is not this model's
    pool.unload(warm.id)
    before = rss()
    use(entry.id)
    during = rss()
    pool.unload(entry.id)
    sizes[wish] = [before, during, rss()]
print(json.dumps(sizes))
"""


def test_unload_gives_the_memory_back_to_the_system(tmp_path: Path) -> None:
    import torch
    import transformers

    tiny.tiny_causal(tmp_path / "warm")
    big = tiny.tiny_causal(tmp_path / "big")
    config = transformers.AutoConfig.from_pretrained(big)
    config.update({"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 5})
    config.update({"num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64})
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    model.to_empty(device="cpu")
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.fill_(0.01)
    model.save_pretrained(big)
    assert 290e6 < (big / "model.safetensors").stat().st_size < 320e6
    del model
    done = subprocess.run([sys.executable, "-c", CHILD, str(big)], cwd=ROOT, capture_output=True, text=True, check=True)
    sizes = json.loads(done.stdout.splitlines()[-1])
    for wish, weights_mb in (("fp32", 305), ("bf16", 152)):
        before, during, after = sizes[wish]
        assert during - before > 0.9 * weights_mb, wish
        assert after < before * 1.15, wish
        assert after - before < 0.3 * weights_mb, wish
