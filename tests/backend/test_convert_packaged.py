"""The packaged GGUF files, converted: the same answers as transformers' own slow reading of them.

Ids and continuations written down here are llama.cpp's, on the same two files (server of xllamacpp 2026.10). It reads
SmolLM2's numbers digit by digit; transformers 5.23 does not when it reads the GGUF, so its reading is put right
before it serves as the reference.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.backend.conversions import TEXTS, greedy, ids, loaded, logits

ROOT = Path(__file__).parents[2]
SMOLLM, GEMMA = "smollm2-135m-instruct", "gemma-3-270m"
CONVERT = """
import pathlib, resource, sys
from llmapp.backend.convert import convert_gguf
convert_gguf(*map(pathlib.Path, sys.argv[1:]), lambda progress: None)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""
LLAMA_CPP_IDS = {
    SMOLLM: {
        "The year 2024 had 366 days": [504, 713, 216, 34, 32, 34, 36, 761, 216, 35, 38, 38, 2009],
        "1 2  3   4\n 5": [33, 216, 34, 256, 35, 333, 36, 3805, 37],
        "价格￥4500元": [15076, 132, 26519, 137, 23309, 115, 36, 37, 32, 32, 17086, 221],
    },
    GEMMA: {
        "1 2  3   4\n 5": [236770, 236743, 236778, 138, 236800, 139, 236812, 107, 236743, 236810],
        "价格￥4500元": [33762, 241941, 236812, 236810, 236771, 236771, 237798],
    },
}
LLAMA_CPP_WRITES = {
    SMOLLM: {"2 + 2 =": " 3 + 2 = 5", "def add(a, b):\n    return": " a + b\n\n# Example usage"},
    GEMMA: {
        "The capital of France is": " the capital of the country of France.",
        "def add(a, b):\n    return": " a + b\n\ndef sub(a",
    },
}
PEAK_MB = {SMOLLM: 200, GEMMA: 300}


def many_texts() -> list[str]:
    """Some hundred texts, cut and glued at random from texts in many scripts."""
    draw = random.Random(7)
    glue = ("", " ", "  ", "\n", "\n\n", "\t", " \n", "    ")
    found = list(TEXTS)
    for _ in range(300):
        starts = [(text, draw.randrange(len(text))) for text in draw.choices([t for t in TEXTS if t], k=4)]
        parts = [text[start : start + draw.randint(1, 25)] for text, start in starts]
        found.append(draw.choice(glue).join(parts))
    return found


@pytest.fixture(scope="module", params=[SMOLLM, GEMMA])
def case(
    request: pytest.FixtureRequest, packaged_gguf: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Path, int]:
    """A packaged model's id, its GGUF, the folder made of it, and the most memory the child took, in MB."""
    file = packaged_gguf(request.param)
    target = tmp_path_factory.mktemp("converted") / request.param
    command = [sys.executable, "-c", CONVERT, str(file), str(target)]
    peak = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return request.param, file, target, int(peak)


@pytest.mark.slow
def test_the_child_takes_little_memory(case: tuple[str, Path, Path, int]) -> None:
    model_id, _, _, peak = case
    assert peak < PEAK_MB[model_id]


@pytest.mark.slow
def test_it_cuts_and_writes_as_llama_cpp(case: tuple[str, Path, Path, int]) -> None:
    model_id, _, folder, _ = case
    model, tokenizer = loaded(folder)
    for text, numbers in LLAMA_CPP_IDS[model_id].items():
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == numbers
    for text, written in LLAMA_CPP_WRITES[model_id].items():
        assert greedy(model, tokenizer, text, most=8) == written


@pytest.mark.slow
def test_smollm_knows_the_capital_of_france_and_gemma_does_not_chat(case: tuple[str, Path, Path, int]) -> None:
    model_id, _, folder, _ = case
    model, tokenizer = loaded(folder)
    if model_id == GEMMA:
        assert tokenizer.chat_template is None
        return
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, tokenize=False)
    assert prompt.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert greedy(model, tokenizer, prompt, most=20) == "The capital of France is Paris."
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>") == 2


@pytest.mark.slow
@pytest.mark.timeout(1200)  # transformers' own reading takes minutes on a busy machine
def test_it_equals_transformers_own_reading(case: tuple[str, Path, Path, int], tmp_path: Path) -> None:
    model_id, file, folder, _ = case
    first, first_tokenizer = loaded(file.parent, gguf_file=file.name)
    second, second_tokenizer = loaded(folder)
    if model_id == SMOLLM:
        digit_by_digit(first_tokenizer)
    texts = many_texts()
    assert ids(second_tokenizer, texts) == ids(first_tokenizer, texts)
    for text in ("The capital of France is", " ".join(TEXTS) * 3):  # the second is longer than Gemma's window
        numbers = second_tokenizer(text)["input_ids"]
        np.testing.assert_array_equal(logits(second, numbers), logits(first, numbers))
    values = load_file(folder / "model.safetensors")
    state = {name: value for name, value in first.state_dict().items() if name != "lm_head.weight"}
    assert values.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(values[name], value.numpy(), err_msg=name)


def digit_by_digit(tokenizer: Any) -> None:
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
