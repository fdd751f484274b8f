"""Encoder-decoders: beam search as the checkpoint has it, languages, stopping."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from llmapp.backend.engine import Request, Sampling
from llmapp.backend.torch_engine import TorchEngine
from llmapp.errors import BadInput, TooLong
from tests.tiny import SEQ2SEQ

from .engines import engine_of, greedy, whole

TEXTS = ["I love this film.", "The quick brown fox jumps over the lazy dog.", "What is the capital?"]
PAIRS = {"m2m100": ("en", "de"), "nllb": ("en", "zh-CN")}


def asked(family: str, text: str, tokens: int = 12) -> Request:
    return Request(text, Sampling(temperature=0, max_new_tokens=tokens), languages=PAIRS.get(family))


def first_token(engine: TorchEngine) -> list[int]:
    """Remembers the token that each decoder's second step is fed with: the first that was written."""
    import torch

    seen: list[int] = []

    def look(module: Any, given: Any, named: dict[str, Any]) -> None:
        ids = named.get("decoder_input_ids")
        if isinstance(ids, torch.Tensor) and ids.shape[1] <= 2:
            seen.append(int(ids[0, -1]))

    engine._model.register_forward_pre_hook(look, with_kwargs=True)
    return seen


@pytest.mark.parametrize("family", SEQ2SEQ)
def test_a_stream_and_a_batch_write_what_generate_does(family: str, tmp_path: Path) -> None:
    import torch

    engine = engine_of(tmp_path / family, "seq2seq", family)
    engine._model.generation_config.num_beams = 3
    together = engine.generate_batch([asked(family, text) for text in TEXTS])
    for text, answer in zip(TEXTS, together, strict=True):
        pieces = list(engine.stream(asked(family, text)))
        assert pieces[-1].finish == "stop"
        assert whole(iter(pieces)) == answer
    if family in PAIRS:
        return
    ids = torch.tensor([engine._tokens.ids(TEXTS[0])])
    out = engine._model.generate(input_ids=ids, do_sample=False, max_new_tokens=12)
    text = engine._tokens.tokenizer.decode(out[0], skip_special_tokens=True)
    assert together[0] == text.strip()


@pytest.mark.parametrize(("family", "code"), [("m2m100", "__de__"), ("nllb", "zho_Hans")])
def test_the_target_language_is_the_first_token(family: str, code: str, tmp_path: Path) -> None:
    engine = engine_of(tmp_path / family, "seq2seq", family)
    seen = first_token(engine)
    engine.generate_batch([asked(family, TEXTS[0])])
    assert engine._tokens.tokenizer.convert_tokens_to_ids(code) in seen[:2]


@pytest.mark.parametrize(("family", "code"), [("m2m100", "__fr__"), ("nllb", "fra_Latn")])
def test_the_source_language_marks_the_text(family: str, code: str, tmp_path: Path) -> None:
    engine = engine_of(tmp_path / family, "seq2seq", family)
    seen: list[list[int]] = []
    encoder = engine._model.get_encoder()
    encoder.register_forward_pre_hook(lambda m, a, k: seen.append(k["input_ids"][0].tolist()), with_kwargs=True)
    engine.generate_batch([Request(TEXTS[0], Sampling(temperature=0, max_new_tokens=3), languages=("fr", "en"))])
    assert engine._tokens.tokenizer.convert_tokens_to_ids(code) in seen[0]


def test_a_language_the_model_does_not_know_is_refused(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "nllb", "seq2seq", "nllb")
    with pytest.raises(BadInput, match="tlh"):
        engine.generate_batch([Request("x", languages=("en", "tlh"))])


def test_lengths_and_chance_do_not_come_from_the_checkpoint(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "bart", "seq2seq", "bart")
    plain = engine.generate_batch([asked("bart", TEXTS[0])])
    config = engine._model.generation_config
    config.update(min_length=11, max_length=3, do_sample=True, temperature=5.0, repetition_penalty=9.0)
    assert engine.generate_batch([asked("bart", TEXTS[0])]) == plain


def test_a_stop_string_ends_the_answer(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "t5", "seq2seq", "t5")
    (answer,) = engine.generate_batch([asked("t5", TEXTS[0])])
    assert len(answer) > 4
    stop = answer[2:4]
    request = Request(TEXTS[0], Sampling(temperature=0, max_new_tokens=12), stop=(stop,))
    assert engine.generate_batch([request]) == [answer.partition(stop)[0]]


def test_closing_ends_a_beam_search(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "bart", "seq2seq", "bart", context=100_000)
    engine._model.generation_config.update(num_beams=4, eos_token_id=None, forced_eos_token_id=None)
    steps: list[int] = []
    entered = threading.Event()

    def look(*_: Any) -> None:
        steps.append(1)
        entered.set()

    engine._model.register_forward_pre_hook(look)
    stream = engine.stream(greedy(TEXTS[0], 300))
    assert next(stream).text == ""  # nothing to show yet, but a chance to close
    assert entered.wait(5)
    stream.close()
    after = len(steps)
    threading.Event().wait(0.2)
    assert 0 < len(steps) == after < 300


def test_a_text_too_long_is_refused(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "m2m100", "seq2seq", "m2m100")
    with pytest.raises(TooLong, match="512"):
        engine.generate_batch([asked("m2m100", "love " * 600)])
