"""A GGUF file becomes a folder that answers as the model it was made of."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file

from llmapp.backend.convert import convert_gguf
from llmapp.backend.progress import Progress
from tests.backend.conversions import big_gguf, greedy, ids, loaded, logits, original, pieces_of, silent
from tests.tiny import CAUSAL, CORPUS
from tests.tiny_gguf import write_gguf

ROOT = Path(__file__).parents[2]


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
    from tokenizers import pre_tokenizers

    source = original(tmp_path / "original", "llama")
    file = write_gguf(source, tmp_path / "tiny.gguf", "llama", pre="smollm")
    convert_gguf(file, tmp_path / "converted", silent)
    _, tokenizer = loaded(tmp_path / "converted")
    _, first = loaded(source)
    words_only = ids(first)
    first.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    assert ids(tokenizer) == ids(first) != words_only


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_quantized_values_are_exactly_what_the_file_holds(tmp_path: Path, kind: str) -> None:
    source = original(tmp_path / "original", "llama")
    convert_gguf(write_gguf(source, tmp_path / "tiny.gguf", "llama", kind), tmp_path / "converted", silent)
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("original", "converted"))
    assert before.keys() == after.keys()
    quantization = gguf.GGMLQuantizationType[kind]
    for name, values in before.items():
        if values.ndim == 2:
            values = gguf.dequantize(gguf.quantize(values, quantization), quantization)
        np.testing.assert_array_equal(after[name], values, err_msg=name)


def test_rotary_angles_are_scaled_as_the_file_says(tmp_path: Path) -> None:
    source = original(tmp_path / "original", "llama")
    facts = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}
    convert_gguf(write_gguf(source, tmp_path / "tiny.gguf", "llama", facts=facts), tmp_path / "converted", silent)
    config = json.loads((source / "config.json").read_text())
    config["rope_parameters"] |= {"rope_type": "linear", "factor": 4.0}
    (source / "config.json").write_text(json.dumps(config))
    numbers = list(range(3, 60))
    first, second = loaded(source)[0], loaded(tmp_path / "converted")[0]
    np.testing.assert_array_equal(logits(second, numbers), logits(first, numbers))


def test_only_gemma_layers_that_see_everything_are_scaled(tmp_path: Path) -> None:
    """As in the files of Gemma 3 4B and larger."""
    source = original(tmp_path / "original", "gemma3")
    facts = {"gemma3.rope.scaling.type": "linear", "gemma3.rope.scaling.factor": 8.0}
    convert_gguf(write_gguf(source, tmp_path / "tiny.gguf", "gemma3", facts=facts), tmp_path / "converted", silent)
    config = json.loads((tmp_path / "converted" / "config.json").read_text())
    assert config["rope_parameters"] == {
        "full_attention": {"rope_type": "linear", "rope_theta": 1_000_000.0, "factor": 8.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    }
    assert config["eos_token_id"] == [1, 6]  # <eos>, and what ends a turn


def test_it_generates_what_the_original_generates_and_stops_where_a_turn_ends(tmp_path: Path) -> None:
    source = original(tmp_path / "original", "llama")
    convert_gguf(write_gguf(source, tmp_path / "tiny.gguf", "llama"), tmp_path / "converted", silent)
    answers = [greedy(*loaded(folder), "The capital of France") for folder in (source, tmp_path / "converted")]
    assert answers[0] == answers[1] != ""
    model, tokenizer = loaded(tmp_path / "converted")
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert tokenizer.eos_token == "<|im_end|>"


def test_it_reports_bytes_and_is_whole_only_at_the_end(tmp_path: Path) -> None:
    file, seen = big_gguf(tmp_path), []

    def look(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == progress.total > 0:
            assert (tmp_path / "converted").exists()
        if (tmp_path / "converted").exists():  # it comes by one rename, so whatever is there is whole
            assert load_file(tmp_path / "converted" / "model.safetensors")

    convert_gguf(file, tmp_path / "converted", look)
    assert {progress.phase for progress in seen} == {"converting"}
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    weights = sum(values.nbytes for values in load_file(tmp_path / "converted" / "model.safetensors").values())
    assert seen[-1].done == seen[-1].total == weights


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "converted").mkdir()
    convert_gguf(tmp_path / "missing.gguf", tmp_path / "converted", silent)
    assert list((tmp_path / "converted").iterdir()) == []


def test_the_child_needs_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, llmapp.backend.convert, gguf.quants;"
        "print([name for name in ('torch', 'transformers', 'gradio') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
