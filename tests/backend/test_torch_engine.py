"""The engine as a whole: streams that end when closed, seeds, batches, errors; and on SmolLM2's real weights."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from llmapp.backend.engine import Engine, Request, Sampling, ScoreRequest, Turn
from llmapp.backend.torch_engine import PULSE_S, TorchEngine
from llmapp.errors import BadInput, OutOfMemory, TooLong
from tests import tiny

from .engines import engine_of, engine_on, greedy, whole

HELLO = (Turn("user", "What is the capital of France?"),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models") / "llama"


@pytest.fixture
def engine(folder: Path) -> TorchEngine:
    return engine_of(folder, "causal", "llama")


@pytest.fixture
def endless(folder: Path) -> TorchEngine:
    """An engine that never comes to an end by itself."""
    engine = engine_of(folder, "causal", "llama", context=1_000_000)
    engine._model.generation_config.eos_token_id = None
    engine._tokens.tokenizer.eos_token = None
    return engine


def drawn(tokens: int = 24, **how: object) -> Request:
    return Request(HELLO, Sampling(temperature=1.5, top_p=1, max_new_tokens=tokens, **how))  # type: ignore[arg-type]


def test_it_is_an_engine(engine: TorchEngine) -> None:
    checked: Engine = engine
    assert checked.info.model.id == "llama"
    assert checked.count_tokens(HELLO) == len(engine._tokens.ids(HELLO))


def test_a_stream_says_how_many_tokens_and_why_it_ended(engine: TorchEngine) -> None:
    pieces = [piece for piece in engine.stream(greedy("I love", 17)) if piece.text or piece.finish]
    counts = [piece.tokens for piece in pieces]
    assert counts == sorted(counts)
    assert counts[-1] == 17
    assert [piece.finish for piece in pieces[:-1]] == [""] * (len(pieces) - 1)
    assert pieces[-1].finish == "length"


def test_the_end_token_of_the_generation_config_ends_the_answer(engine: TorchEngine) -> None:
    import torch

    ids = engine._tokens.ids("I love")
    out = engine._model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=12, eos_token_id=None)
    answer = out[0, len(ids) :].tolist()
    engine._model.generation_config.eos_token_id = [9_999, answer[5]]
    *_, last = engine.stream(greedy("I love", 12))
    assert (last.finish, last.tokens) == ("stop", answer.index(answer[5]) + 1)


def test_the_context_bounds_the_answer(folder: Path) -> None:
    engine = engine_of(folder, "causal", "llama", context=20)
    engine._model.generation_config.eos_token_id = None
    engine._tokens.tokenizer.eos_token = None
    prompt = "I love this"
    *_, last = engine.stream(greedy(prompt, 500))
    assert (last.finish, last.tokens) == ("length", 20 - engine.count_tokens(prompt))


def test_nothing_comes_from_the_checkpoints_own_sampling(engine: TorchEngine) -> None:
    before = whole(engine.stream(greedy(HELLO)))
    engine._model.generation_config.update(
        do_sample=True, temperature=9.0, top_k=2, repetition_penalty=5.0, min_new_tokens=90, max_length=3
    )
    assert whole(engine.stream(greedy(HELLO))) == before


def test_the_same_seed_gives_the_same_answer(engine: TorchEngine) -> None:
    first = [whole(engine.stream(drawn(seed=seed))) for seed in (1, 2, 3)]
    assert [whole(engine.stream(drawn(seed=seed))) for seed in (1, 2, 3)] == first
    assert len(set(first)) == 3
    assert len({whole(engine.stream(drawn())) for _ in range(3)}) == 3


def test_a_seed_holds_while_others_draw_and_draws_from_nobody_else(engine: TorchEngine) -> None:
    import torch

    alone = whole(engine.stream(drawn(tokens=60, seed=7)))
    state = torch.random.get_rng_state()
    done, drawing = threading.Event(), threading.Event()

    def others() -> None:
        while not done.is_set():
            torch.rand(10)
            drawing.set()

    assert whole(engine.stream(drawn(tokens=60, seed=7))) == alone
    assert torch.equal(torch.random.get_rng_state(), state)
    thread = threading.Thread(target=others)
    thread.start()
    drawing.wait(5)
    try:
        assert whole(engine.stream(drawn(tokens=60, seed=7))) == alone
    finally:
        done.set()
        thread.join()


def test_a_batch_keeps_order_and_each_request_its_own_settings(engine: TorchEngine) -> None:
    requests = [
        greedy("The quick brown fox", 20),
        drawn(seed=3),
        greedy("I", 5),
        Request("I hate this film", Sampling(temperature=1.5, max_new_tokens=11, seed=4)),
        greedy(HELLO, 9),
    ] * 3
    together = engine.generate_batch(requests)
    assert together == [whole(engine.stream(request)) for request in requests]


def test_what_is_streamed_together_is_what_each_request_is_answered_alone(engine: TorchEngine) -> None:
    requests = [greedy("The quick brown fox", 20), drawn(seed=3), greedy("I", 5)] * 4
    texts, ends = [""] * len(requests), [0] * len(requests)
    for row, piece in engine.stream_batch(requests):
        assert not ends[row]
        texts[row] += piece.text
        ends[row] += bool(piece.finish)
    assert texts == [whole(engine.stream(request)) for request in requests]
    assert set(ends) == {1}


def test_closing_ends_all_that_is_streamed_together(endless: TorchEngine) -> None:
    stream = endless.stream_batch([greedy(HELLO, 30_000), greedy("One, two,", 30_000)])
    begun = set()
    while len(begun) < 2:
        row, piece = next(stream)
        begun |= {row} if piece.text else set()
    stream.close()
    assert not any(thread.name == "write" for thread in threading.enumerate())


def test_fewer_are_written_together_where_memory_is_short(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [greedy("I love", 20)] * 8
    sizes: list[int] = []
    write = engine._write_group

    def watched(group: list[Request]) -> list[str]:
        sizes.append(len(group))
        return write(group)

    monkeypatch.setattr(engine, "_write_group", watched)
    engine.generate_batch(requests)
    assert sizes == [8]
    monkeypatch.setattr(engine._guard, "together", lambda info, tokens: 3 * engine._size(requests[0]))
    engine.generate_batch(requests)
    assert sizes == [8, 3, 3, 2]


def test_a_stop_string_ends_stream_and_batch(engine: TorchEngine) -> None:
    plain = whole(engine.stream(greedy("I love", 40)))
    stop = plain[5:8]
    request = Request("I love", Sampling(temperature=0, max_new_tokens=40), stop=(stop,))
    pieces = list(engine.stream(request))
    assert whole(iter(pieces)) == plain.partition(stop)[0]
    assert pieces[-1].finish == "stop"
    assert engine.generate_batch([request]) == [plain.partition(stop)[0]]


def test_a_stream_ends_where_there_is_enough_and_the_others_go_on(endless: TorchEngine) -> None:
    sampling = Sampling(temperature=0, max_new_tokens=30_000)
    enough = Request(HELLO, sampling, enough=lambda text: len(text) > 4)
    texts, ends = ["", ""], ["", ""]
    for row, piece in endless.stream_batch([enough, greedy(HELLO, 40)]):
        texts[row] += piece.text
        ends[row] = piece.finish
    assert ends == ["stop", "length"]
    assert len(texts[0]) > 4
    assert texts[1] == whole(endless.stream(greedy(HELLO, 40)))


def test_what_goes_wrong_in_the_thread_is_raised_to_the_reader(engine: TorchEngine) -> None:
    with pytest.raises(TooLong, match="512"):
        next(engine.stream(greedy("word " * 600)))
    with pytest.raises(BadInput):
        next(engine.stream(greedy("")))
    engine._model.model.norm = None
    with pytest.raises(TypeError):
        list(engine.stream(greedy("I love")))


def test_memory_that_runs_out_is_said(engine: TorchEngine) -> None:
    import torch

    engine._model.model.register_forward_pre_hook(lambda *_: torch.empty(10**15))
    with pytest.raises(OutOfMemory, match="Memory ran out while `llama`"):
        list(engine.stream(greedy("I love")))
    with pytest.raises(OutOfMemory):
        engine.generate_batch([greedy("I love")])


def cpu_seconds() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


def test_closing_ends_the_work_twenty_times_in_a_row(endless: TorchEngine) -> None:
    threads = threading.active_count()
    for _ in range(20):
        begun = time.monotonic()
        stream = endless.stream(greedy(HELLO, 30_000))
        first = next(piece for piece in stream if piece.text)
        assert time.monotonic() - begun < 0.5
        assert first.tokens < 100
        stream.close()
        assert threading.active_count() == threads
        before = cpu_seconds()
        time.sleep(0.05)
        assert cpu_seconds() - before < 0.03


def test_work_goes_on_only_while_somebody_holds_the_stream(endless: TorchEngine) -> None:
    stream = endless.stream(greedy(HELLO, 30_000))
    next(stream)
    assert any(thread.name == "write" for thread in threading.enumerate())
    del stream
    assert not any(thread.name == "write" for thread in threading.enumerate())


def test_a_stream_can_be_closed_while_a_long_prompt_is_read(endless: TorchEngine) -> None:
    stream = endless.stream(greedy("film " * 20_000, 10))
    begun = time.monotonic()
    piece = next(stream)
    assert (piece.text, piece.tokens) == ("", 0)
    stream.close()
    assert time.monotonic() - begun < PULSE_S + 2


def test_ending_the_engine_ends_its_streams(endless: TorchEngine) -> None:
    stream = endless.stream(greedy(HELLO, 30_000))
    next(piece for piece in stream if piece.text)
    endless.end()
    assert not any(thread.name == "write" for thread in threading.enumerate())
    *_, last = stream
    assert last.finish == "cancelled"
    with pytest.raises(RuntimeError, match="over"):
        endless.generate_batch([])


def test_writing_does_not_wait_for_a_slow_reader(endless: TorchEngine) -> None:
    stream = endless.stream(greedy(HELLO, 30_000))
    first = next(piece for piece in stream if piece.text)
    time.sleep(1)
    pieces = [next(stream) for _ in range(10)]
    assert pieces[-1].tokens > first.tokens + 20  # one a piece, if it had waited
    stream.close()


def test_tokens_are_counted_without_the_template_being_rendered_again(engine: TorchEngine) -> None:
    long = tuple(Turn("user", f"turn {i} " * 20) for i in range(100))
    engine.count_tokens(long)
    hits = engine._tokens.ids.cache_info().hits
    engine.count_tokens(long)
    assert engine._tokens.ids.cache_info().hits == hits + 1


@pytest.mark.slow
def test_smollm2_answers_goes_on_and_judges(packaged: Callable[[str], Path]) -> None:
    name = "smollm2-135m-instruct"
    weights = packaged(name) / "models" / name
    engine = engine_on(weights, tiny.catalog_entry(weights, "causal", "llama", context=8192))
    answer = whole(engine.stream(greedy(HELLO, 30)))
    assert answer == "The capital of France is Paris."
    assert engine.generate_batch([greedy(HELLO, 30), greedy("One, two,", 6)])[0] == answer
    begun = (*HELLO, Turn("assistant", "The capital of"))
    assert whole(engine.stream(greedy(begun, 30))) == " France is Paris."
    (scores,) = engine.score([ScoreRequest("The capital of France is", (" Paris", " London"))])
    assert scores[" Paris"] > 0.9
