"""Chat: what is sent always fits, pairs go oldest first, counting is cheap; answers stream, stop and go on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmapp.backend.engine import Piece, Request, Sampling, Turn
from llmapp.backend.torch_engine import TorchEngine
from llmapp.errors import BadInput, TooLong
from llmapp.tasks.chat import LEAST_ANSWER, UPDATES_PER_S, Answer, ChatOptions, fit, reply, split_reasoning

from ..backend.engines import engine_of, whole
from ..fake_engine import FakeEngine, Prompt

THINK = ("<think>", "</think>")


def user(text: str) -> Turn:
    return Turn("user", text)


def model(text: str) -> Turn:
    return Turn("assistant", text)


def talk(pairs: int, words: int = 10) -> list[Turn]:
    """A conversation of so many pairs and one more question; each message says its number, `words` long."""
    texts = (f"m{number} " + "w " * (words - 1) for number in range(2 * pairs + 1))
    return [model(text) if number % 2 else user(text) for number, text in enumerate(texts)]


@dataclass
class CountingEngine(FakeEngine):
    """Remembers how many words it was given to count."""

    counted: list[int] = field(default_factory=list)

    def count_tokens(self, prompt: Prompt) -> int:
        size = super().count_tokens(prompt)
        self.counted.append(size)
        return size


def test_what_fits_is_sent_as_it_is() -> None:
    engine = FakeEngine()
    turns = talk(3)
    fitted = fit(engine, turns, "Be brief.", 512)
    assert fitted.turns == (Turn("system", "Be brief."), *turns)
    assert fitted.tokens == engine.count_tokens(fitted.turns)
    assert (fitted.context, fitted.dropped, fitted.max_new_tokens) == (2048, 0, 512)


def test_without_a_system_prompt_none_is_sent() -> None:
    assert fit(FakeEngine(), [user("Hi")], "  \n", 100).turns == (user("Hi"),)


def test_the_oldest_pairs_go_first_and_the_system_prompt_stays() -> None:
    engine = FakeEngine.of(context=200)
    fitted = fit(engine, talk(20), "Be brief.", 64)
    system, *kept = fitted.turns
    assert system == Turn("system", "Be brief.")
    assert kept == talk(20)[-len(kept) :]
    assert kept[0].role == "user"
    assert fitted.dropped == 41 - len(kept)
    assert fitted.tokens + 64 <= 200
    one_more = talk(20)[-len(kept) - 2 :]
    assert engine.count_tokens((system, *one_more)) + 64 > 200, "no more was dropped than had to be"


def test_counting_is_cheap_however_long_the_conversation() -> None:
    engine = CountingEngine.of(context=1000)
    assert isinstance(engine, CountingEngine)
    fitted = fit(engine, talk(5000), "Be brief.", 200)
    assert sum(engine.counted) < 3 * 1000
    assert len(engine.counted) < len(fitted.turns) + 10


@dataclass
class CheapWords(FakeEngine):
    """A text alone costs nothing, as where a template writes much around each: only whole prompts tell."""

    def count_tokens(self, prompt: Prompt) -> int:
        return 0 if isinstance(prompt, str) else super().count_tokens(prompt)


@pytest.mark.parametrize("context", range(150, 190, 3))
def test_where_estimates_are_far_off_the_exact_count_decides(context: int) -> None:
    exact, rough = FakeEngine.of(context=context), CheapWords.of(context=context)
    assert fit(rough, talk(20), "", 64) == fit(exact, talk(20), "", 64)


def test_a_long_last_message_gets_a_shorter_answer() -> None:
    fitted = fit(FakeEngine.of(context=200), [*talk(3), user("w " * 100)], "", 150)
    assert fitted.turns[-1].text.endswith("w " * 100)
    assert LEAST_ANSWER <= fitted.max_new_tokens < 100
    assert fitted.tokens + fitted.max_new_tokens == 200


def test_a_message_beyond_the_context_is_refused_with_both_numbers() -> None:
    with pytest.raises(TooLong) as caught:
        fit(FakeEngine.of(context=200), [*talk(3), model("a"), user("w " * 150)], "", 150)
    assert caught.value.message.values == {"tokens": 154, "limit": 136, "context": 200}
    for language in ("en", "zh"):
        assert "154" in caught.value.text(language)
        assert "136" in caught.value.text(language)


def test_a_wish_for_a_whole_context_of_answer_does_not_drop_everything() -> None:
    fitted = fit(FakeEngine.of(context=2048), talk(5), "", 2048)
    assert fitted.dropped == 0
    assert fitted.tokens + fitted.max_new_tokens == 2048


@pytest.mark.parametrize("turns", [[], [model("")]])
def test_there_has_to_be_something_to_answer(turns: list[Turn]) -> None:
    with pytest.raises(BadInput) as caught:
        fit(FakeEngine(), turns, "Be brief.", 100)
    assert caught.value.code == "chat_empty"


def test_roles_take_turns_for_templates_that_insist() -> None:
    turns = [model("Welcome."), user("Hi"), model(""), user("Are you there?"), model("Yes."), user("Good."), model("")]
    sent = fit(FakeEngine(), turns, "", 100).turns
    assert sent == (model("Welcome."), user("Hi\n\nAre you there?"), model("Yes."), user("Good."))


TALKS = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.integers(0, 60)), min_size=1, max_size=30).map(
    lambda said: [Turn(role, "w " * words) for role, words in said]  # type: ignore[arg-type]
)


@settings(deadline=None)
@given(TALKS, st.integers(0, 40), st.integers(1, 300), st.integers(20, 300))
def test_what_is_sent_never_exceeds_the_context(turns: list[Turn], system: int, wish: int, context: int) -> None:
    engine = FakeEngine.of(context=context)
    try:
        fitted = fit(engine, turns, "s " * system, wish)
    except BadInput:
        return
    assert engine.count_tokens(fitted.turns) == fitted.tokens
    assert fitted.tokens + fitted.max_new_tokens <= context
    assert 1 <= fitted.max_new_tokens <= wish
    assert (fitted.turns[0].role == "system") == (system > 0)
    for one, other in pairwise(fitted.turns):
        assert one.role != other.role


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    """A real engine on a tiny model; its context is 400 tokens."""
    return engine_of(tmp_path_factory.mktemp("tiny") / "llama", "causal", "llama", context=400)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=21).filter(lambda texts: len(texts) % 2 == 1))
def test_with_a_real_tokenizer_too(tiny: TorchEngine, texts: list[str]) -> None:
    turns = [Turn("assistant" if n % 2 else "user", f"{n}{text}") for n, text in enumerate(texts)]
    fitted = fit(tiny, turns, "Be brief.", 100)
    assert tiny.count_tokens(fitted.turns) == fitted.tokens
    assert fitted.tokens + fitted.max_new_tokens <= 400
    kept = fitted.turns[1:]
    assert list(kept) == turns[len(turns) - len(kept) :]
    if fitted.dropped:
        more = tiny.count_tokens((fitted.turns[0], *turns[len(turns) - len(kept) - 2 :]))
        assert more + 100 > 400 - 10, "estimates come within ten tokens of the exact count"


def test_a_real_engine_answers_stops_and_goes_on(tiny: TorchEngine) -> None:
    options = ChatOptions(sampling=Sampling(temperature=0, max_new_tokens=40))
    turns = (user("What is the capital of France?"),)
    *_, last = reply(tiny, turns, options)
    assert last.text == whole(tiny.stream(Request(turns, options.sampling))).lstrip()
    assert 0 < last.tokens <= 40
    with closing(reply(tiny, turns, options)) as stream:
        first = next(answer for answer in stream if answer.tokens)
    assert first.tokens < last.tokens
    assert last.text.startswith(first.text)
    *_, continued = reply(tiny, (*turns, model("The capital")), options)
    assert continued.text.startswith("The capital")
    assert len(continued.text) > len("The capital")


def answers(engine: FakeEngine, *turns: Turn, **options: Any) -> list[Answer]:
    return list(reply(engine, turns, ChatOptions(**options)))


def test_an_answer_ends_whole_with_its_facts() -> None:
    engine = FakeEngine(answer=lambda request: " The capital is  Paris. ")
    *_, last = answers(engine, user("Capital?"))
    assert (last.text, last.reasoning, last.tokens, last.finish) == ("The capital is  Paris. ", "", 5, "stop")
    assert last.first_token_s > 0
    assert last.tokens_per_s > 0
    assert engine.asked == [Request(last.fitted.turns, Sampling())]


def test_sampling_reaches_the_engine_with_the_room_there_is() -> None:
    engine = FakeEngine.of(lambda request: "w " * 300, context=150)
    sampling = Sampling(temperature=0.7, seed=3, max_new_tokens=400)
    *_, last = answers(engine, user("Go"), sampling=sampling)
    (asked,) = engine.asked
    assert (asked.sampling.temperature, asked.sampling.seed) == (0.7, 3)
    assert asked.sampling.max_new_tokens == last.fitted.max_new_tokens == 150 - last.fitted.tokens
    assert (last.finish, last.tokens) == ("length", last.fitted.max_new_tokens)


def test_the_assistant_s_turn_is_gone_on_from() -> None:
    engine = FakeEngine(answer=lambda request: " is Paris.")
    *_, last = answers(engine, user("Capital?"), model("The capital"))
    assert engine.asked[0].prompt == (user("Capital?"), model("The capital"))
    assert last.text == "The capital is Paris."


@dataclass
class HoldingEngine(FakeEngine):
    """Keeps its streams, so that none is closed by being forgotten."""

    streams: list[Iterator[Piece]] = field(default_factory=list)

    def stream(self, request: Request) -> Iterator[Piece]:
        self.streams.append(super().stream(request))
        return self.streams[-1]


def test_closing_the_answer_closes_the_engine_s_stream() -> None:
    engine = HoldingEngine(answer=lambda request: "w " * 1000)
    with closing(reply(engine, [user("Go")], ChatOptions())) as stream:
        next(stream)
        assert engine.open_streams == 1
    assert (engine.open_streams, engine.closed_early) == (0, 1)


@dataclass
class PacedEngine(FakeEngine):
    """Writes `pieces` one by one, waiting `pause` seconds before each; the last piece may say no reason."""

    pieces: tuple[str, ...] = ()
    pause: float = 0.0
    finish: Any = "stop"

    def stream(self, request: Request) -> Iterator[Piece]:
        for number, text in enumerate(self.pieces, start=1):
            time.sleep(self.pause)
            yield Piece(text, number, self.finish if number == len(self.pieces) else "")


def test_updates_come_at_once_and_then_not_too_often() -> None:
    engine = PacedEngine(pieces=("w ",) * 200, pause=0.002)
    started = time.perf_counter()
    tokens = [answer.tokens for answer in reply(engine, [user("Go")], ChatOptions())]
    took = time.perf_counter() - started
    assert (tokens[0], tokens[-1]) == (1, 200)
    assert 3 < len(tokens) <= 2 + took * UPDATES_PER_S


@dataclass
class ReadingEngine(FakeEngine):
    """Says with empty pieces that it is still reading, then writes two words and is silent for a while."""

    def stream(self, request: Request) -> Iterator[Piece]:
        for piece in (
            Piece("", 0),
            Piece("", 0),
            Piece("one ", 1),
            Piece("", 1),
            Piece("two", 2),
            Piece("", 2, "stop"),
        ):
            time.sleep(1.05 / UPDATES_PER_S)
            yield piece


def test_an_engine_that_reads_a_long_prompt_can_be_stopped_and_has_not_begun() -> None:
    shown = list(reply(ReadingEngine(), [user("Go")], ChatOptions()))
    assert [(answer.text, answer.tokens) for answer in shown] == [
        ("", 0),
        ("", 0),
        ("one ", 1),
        ("one ", 1),
        ("one two", 2),
        ("one two", 2),
    ]
    assert [answer.first_token_s > 0 for answer in shown] == [False, False, True, True, True, True]
    assert [answer.tokens_per_s > 0 for answer in shown] == [False] * 4 + [True] * 2


@pytest.mark.parametrize("finish", ["stop", ""])
def test_all_pieces_are_in_the_last_update(finish: str) -> None:
    engine = PacedEngine(pieces=("All", " of", " it", " <th"), finish=finish)
    assert [answer.text for answer in reply(engine, [user("Go")], ChatOptions())][-1] == "All of it <th"


def thinking(pieces: tuple[str, ...]) -> list[tuple[str, str]]:
    """(text, reasoning) of each update when every piece is shown."""
    engine = PacedEngine.of(reasoning=THINK)
    engine.pieces, engine.pause = pieces, 1.05 / UPDATES_PER_S
    return [(answer.text, answer.reasoning) for answer in reply(engine, [user("Go")], ChatOptions())]


def test_reasoning_is_apart_though_its_tags_come_in_pieces() -> None:
    shown = thinking(("<th", "ink>", "Let me", " see.</", "think>", "\n\nPa", "ris."))
    assert shown == [
        ("", ""),
        ("", ""),
        ("", "Let me"),
        ("", "Let me see."),
        ("", "Let me see."),
        ("Pa", "Let me see."),
        ("Paris.", "Let me see."),
    ]


@pytest.mark.parametrize(
    ("whole", "text", "reasoning"),
    [
        ("<think>a</think>b", "b", "a"),
        ("\n<think>\na\n</think>\n\nb\n", "b\n", "a"),
        ("<think></think>b", "b", ""),
        ("<think>a", "", "a"),
        ("a</think>b", "b", "a"),
        ("<think>a</think><think>c</think>b", "b", "a\n\nc"),
        ("b <think>a</think>", "b <think>a</think>", ""),
        ("<think>a</think>Use <think> and </think>.", "Use <think> and </think>.", "a"),
        ("1 < 2", "1 < 2", ""),
        ("b <", "b <", ""),
        ("", "", ""),
    ],
)
def test_reasoning_is_split_from_the_answer(whole: str, text: str, reasoning: str) -> None:
    assert split_reasoning(whole, THINK, whole=True) == (text, reasoning)
    assert split_reasoning(whole, None, whole=True) == (whole, "")


PARTS = st.lists(st.sampled_from(["<think>", "</think>", "<", "th", "a", " ", "\n", "</"]), max_size=12)


@settings(deadline=None)
@given(PARTS)
def test_what_is_shown_is_never_taken_back(parts: list[str]) -> None:
    text = "<think>" + "".join(parts)
    last_answer, last_reasoning = split_reasoning(text, THINK, whole=True)
    for end in range(len(text)):
        answer, reasoning = split_reasoning(text[:end], THINK, whole=False)
        assert last_answer.startswith(answer)
        assert last_reasoning.startswith(reasoning)
