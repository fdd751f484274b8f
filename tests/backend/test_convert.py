"""A GGUF file becomes a folder that answers as the model it was made of; damaged or killed, it becomes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from llmapp.backend.convert import convert_gguf
from llmapp.backend.gguf_file import GgufFile
from llmapp.backend.progress import Progress
from llmapp.errors import SourceError
from tests.tiny import CAUSAL, CORPUS, tiny_causal
from tests.tiny_gguf import write_gguf

ROOT = Path(__file__).parents[2]
TEXTS = (
    *CORPUS,
    "The year 2024 had 366 days; 1,000,000 people, π is 3.14159.",
    "1 2  3   4\n 5\n\n67\t89",
    "  leading and   trailing  ",
    "def f(x):\n    return {'a': [x ** 2, 10]}  # done\n\n\n",
    "你好，世界！价格￥4500元，日本語テキスト。",
    "😀👍🏽🇺🇸 and ❤️ café naïve Ångström é",
    "I'm you're DON'T it's <|im_start|>user\nhi<|im_end|>",
    "٣٤٥ ½ Ⅷ ² \u00a0\u2009\u3000wide\r\n\ttab",
    "",
    " ",
)


def silent(progress: Progress) -> None:
    """Nobody looks."""


def loaded(folder: Path, **options: Any) -> tuple[Any, Any]:
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, **options)
    return model, transformers.AutoTokenizer.from_pretrained(folder, **options)


def ids(tokenizer: Any, texts: tuple[str, ...] | list[str] = TEXTS) -> list[list[int]]:
    return [tokenizer(text)["input_ids"] for text in texts]


def logits(model: Any, numbers: list[int]) -> Any:
    import torch

    with torch.no_grad():
        return model(torch.tensor([numbers])).logits


def greedy(model: Any, tokenizer: Any, text: str, most: int = 12) -> str:
    import torch

    numbers = torch.tensor([tokenizer(text)["input_ids"]])
    written = model.generate(
        numbers, attention_mask=torch.ones_like(numbers), do_sample=False, max_new_tokens=most
    )
    return str(tokenizer.decode(written[0, numbers.shape[1] :], skip_special_tokens=True))


def original(folder: Path, family: str) -> Path:
    """A tiny model; a GGUF can not say Gemma's query scale, which is always a head's width in the small ones."""
    tiny_causal(folder, family)
    if family == "gemma3":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "query_pre_attn_scalar": config["head_dim"]}))
    return folder


def pieces_of(target: Path) -> list[str]:
    return [path.name for path in target.parent.iterdir() if path.name.startswith(f".{target.name}")]


@pytest.mark.parametrize("family", CAUSAL)
def test_a_converted_model_is_the_model_it_was_made_of(tmp_path: Path, family: str) -> None:
    source = original(tmp_path / "original", family)
    target = tmp_path / "models" / "converted"
    convert_gguf(write_gguf(source, tmp_path / "tiny.gguf", family), target, silent)

    first, first_tokenizer = loaded(source)
    second, second_tokenizer = loaded(target)
    numbers = first_tokenizer(" ".join(CORPUS))["input_ids"][:200]
    # Only Gemma's norms are changed on the way: (weight + 1) - 1 rounds in fp32.
    np.testing.assert_allclose(
        logits(second, numbers), logits(first, numbers), rtol=0, atol=2e-5 if family == "gemma3" else 0
    )
    assert first.config.tie_word_embeddings == second.config.tie_word_embeddings
    assert second.get_input_embeddings().weight.shape[0] == second.config.vocab_size
    assert second_tokenizer.chat_template == first_tokenizer.chat_template
    assert second_tokenizer.model_max_length == 512
    assert pieces_of(target) == []


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2"])
def test_a_converted_tokenizer_cuts_as_the_original(tmp_path: Path, family: str) -> None:
    source = original(tmp_path / "original", family)
    convert_gguf(write_gguf(source, tmp_path / "tiny.gguf", family), tmp_path / "converted", silent)
    _, first = loaded(source)
    _, second = loaded(tmp_path / "converted")
    assert ids(second) == ids(first)
    assert [second.decode(numbers) for numbers in ids(second)] == [first.decode(numbers) for numbers in ids(first)]


def test_gemma_merges_are_found_again_from_its_vocabulary(tmp_path: Path) -> None:
    """The file holds no merges; transformers' own reading of the same file is the reference."""
    import transformers

    source = original(tmp_path / "original", "gemma3")
    convert_gguf(write_gguf(source, tmp_path / "tiny.gguf", "gemma3"), tmp_path / "converted", silent)
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path, gguf_file="tiny.gguf")
    _, tokenizer = loaded(tmp_path / "converted")
    assert ids(tokenizer) == ids(reference)
    assert all(numbers[0] == tokenizer.bos_token_id for numbers in ids(tokenizer))


def test_smollm_reads_numbers_digit_by_digit(tmp_path: Path) -> None:
    source = original(tmp_path / "original", "llama")
    file = write_gguf(source, tmp_path / "tiny.gguf", "llama", pre="smollm")
    convert_gguf(file, tmp_path / "converted", silent)
    _, tokenizer = loaded(tmp_path / "converted")
    assert tokenizer.tokenize("he counts  1234567890") [-12:] == ["ĠĠ", *"1234567890"][-12:] or (
        tokenizer.tokenize("he counts  1234567890")[-10:] == list("1234567890")
    )
