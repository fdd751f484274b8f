"""A taught model as llama.cpp itself reads it: the same tokens, the same turns, the same answers, the same ends."""

from __future__ import annotations

import json
import random
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmapp.backend.adapters import attach
from llmapp.backend.engine import Precision
from llmapp.backend.loader import load
from llmapp.backend.sources import Local
from llmapp.backend.tokens import Tokens
from llmapp.catalog import Catalog, Model
from llmapp.finetune.pairs import asked
from llmapp.messages import message
from llmapp.settings import ONE_PERSON

from ..backend.conversions import TEXTS, loaded
from .test_command_line import called
from .whole import answer, done_job, result_of, taken

SMOLLM, GEMMA = "smollm2-135m-instruct", "gemma-3-270m"
FP32 = Precision("fp32", "float32", "cpu", message("tests"))
MOST = 24
QUESTIONS = (
    "What is the capital of France?",
    "Write one sentence about a lazy dog.",
    "Count from 1 to 5.",
    "Say hello in German.",
    "What is 2 + 2?",
)


def two_hundred() -> list[str]:
    """Texts in many scripts, cut and glued at random."""
    dice, glue = random.Random(11), ("", " ", "  ", "\n", "\n\n", "\t", " \n", "    ")
    found = [text for text in TEXTS if text]
    whole = list(found)
    while len(found) < 200:
        parts = [
            text[(at := dice.randrange(len(text))) : at + dice.randint(1, 25)] for text in dice.choices(whole, k=4)
        ]
        found.append(dice.choice(glue).join(parts))
    return found


@contextmanager
def llama_cpp(file: Path) -> Iterator[Callable[[str, dict[str, Any]], Any]]:
    """llama.cpp's own server over a file: `ask("/tokenize", {...})`."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel, params.warmup, params.port = 2048, 1, False, 0
    params.cpuparams.n_threads = 1
    params.use_jinja = True
    server = xllamacpp.Server(params)

    def ask(path: str, data: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            server.listening_address + path, json.dumps(data).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as said:
            return json.loads(said.read())

    yield ask


def case(
    data: Path, catalog: Catalog, tmp_path: Path, model_id: str
) -> tuple[Model, Any, Tokens, tuple[Path, dict[str, Any]]]:
    """A packaged model, as a small random adapter changes it, and the result of that training."""
    model, base = catalog.model(model_id), data / "models" / model_id
    held = load(Local(base, "", "fp32", "wheels"), model, FP32)
    tokens = Tokens(held.tokenizer, model)
    made = result_of(tmp_path, base, model, tokens.ending(), model.system, chat=bool(held.tokenizer.chat_template))
    soften(tmp_path / "adapter", made)
    mine = attach(held, tmp_path / "adapter", "mine").model
    return model, mine, tokens, made


def soften(folder: Path, made: tuple[Path, dict[str, Any]]) -> None:
    """Random weights as small as learned ones: the model is another and still writes words."""
    from safetensors.torch import load_file, save_file

    path = folder / "adapter_model.safetensors"
    weights = {name: tensor * (0.1 if "lora_B" in name else 1.0) for name, tensor in load_file(path).items()}
    save_file(weights, path)
    zipped = made[0] / made[1]["files"]["adapter"]
    with zipfile.ZipFile(zipped) as archive:
        rest = {name: archive.read(name) for name in archive.namelist() if name != path.name}
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(path, path.name)
        for name, content in rest.items():
            archive.writestr(name, content)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model_id", [SMOLLM, GEMMA])
def test_llama_cpp_reads_and_writes_as_the_app(
    data_dir_with: Callable[..., Path], catalog: Catalog, tmp_path: Path, model_id: str
) -> None:
    data = data_dir_with(model_id)
    model, mine, tokens, made = case(data, catalog, tmp_path, model_id)
    folder = taken("gguf", made, model, [], data)
    texts = two_hundred()
    with llama_cpp(folder / "My-style.gguf") as ask:
        read = [ask("/tokenize", {"content": t, "add_special": True, "parse_special": True})["tokens"] for t in texts]
        assert read == [tokens.encode(text, special=True) for text in texts]
        same = 0
        for text in QUESTIONS:
            said = ask("/apply-template", {"messages": [{"role": "user", "content": text}]})["prompt"]
            begins = tokens.ids(asked(model, text))
            if tokens.tokenizer.chat_template:
                assert tokens.encode(said) == list(begins)
            wanted = answer(mine, begins, tokens.ending(), MOST)
            given = {"prompt": list(begins), "n_predict": MOST, "top_k": 1, "return_tokens": True}
            written = ask("/completion", given)
            print(text, repr(written["content"]), tokens.decode(wanted), written["stop_type"], flush=True)
            ended = tokens.ending() in wanted
            same += [*written["tokens"], *([tokens.ending()] if ended else [])][: len(wanted)] == wanted
            if written["stop_type"] == "eos":
                assert ended
        assert same >= len(QUESTIONS) - 1, same


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_merged_model_answers_as_the_app(
    data_dir_with: Callable[..., Path], catalog: Catalog, tmp_path: Path
) -> None:
    data = data_dir_with(SMOLLM)
    model, mine, tokens, made = case(data, catalog, tmp_path, SMOLLM)
    other, tokenizer = loaded(taken("merged", made, model, [], data))
    for text in QUESTIONS[:3]:
        prompt = tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True)
        assert list(prompt["input_ids"]) == list(tokens.ids(asked(model, text)))
        wanted = answer(mine, prompt["input_ids"], tokens.ending(), MOST)
        assert answer(other, prompt["input_ids"], tokens.ending(), MOST) == wanted
    ends = other.generation_config.eos_token_id
    assert tokens.ending() in (ends if isinstance(ends, list) else [ends])


@pytest.mark.slow
def test_the_command_line_writes_it_where_it_is_told(
    data_dir_with: Callable[..., Path], catalog: Catalog, tmp_path: Path
) -> None:
    data = data_dir_with(SMOLLM)
    made = result_of(tmp_path, data / "models" / SMOLLM, catalog.model(SMOLLM), 2, "")
    job = done_job(data / "jobs", ONE_PERSON, made)
    outcome = called(data, "export", job, "--as", "gguf", "--to", str(tmp_path / "mine.zip"))
    assert (outcome.returncode, outcome.stdout.strip()) == (0, str(tmp_path / "mine.zip")), outcome.stderr
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        assert archive.read("Modelfile").startswith(b"FROM ./My-style.gguf")
    outcome = called(data, "export", job, "--as", "onnx")
    assert outcome.returncode == 2
    assert "adapter, merged, gguf" in outcome.stderr
