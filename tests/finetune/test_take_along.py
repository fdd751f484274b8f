"""A taught model, whole: merged as safetensors and written as GGUF, it is the model that was taught."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmapp.backend.adapters import attach
from llmapp.backend.convert import convert_gguf
from llmapp.backend.engine import Precision
from llmapp.backend.loader import load
from llmapp.backend.progress import Progress
from llmapp.backend.sources import Local
from llmapp.catalog import Model
from llmapp.errors import BadInput, LlmappError, SourceError
from llmapp.messages import message

from ..backend.conversions import ids, loaded, logits, original, silent
from ..tiny import CORPUS, catalog_entry, tiny_adapter, tiny_causal
from .whole import result_of, taken

FAMILIES = ("llama", "qwen2", "qwen3", "gemma3")
FP32 = Precision("fp32", "float32", "cpu", message("tests"))


def taught(tmp_path: Path, family: str, system: str | None = "", **lora: Any) -> tuple[tuple[Path, Any], Model, Any]:
    """A tiny training's result, its base's entry, and the model it taught."""
    base = original(tmp_path / "base", family)
    model = catalog_entry(base, "causal", family)
    tokenizer = loaded(base)[1]
    end = tokenizer.convert_tokens_to_ids("<end_of_turn>" if family == "gemma3" else "<|im_end|>")
    made = result_of(tmp_path, base, model, end, system, **lora)
    held = load(Local(base, "", "fp32", "folder"), model, FP32)
    return made, model, attach(held, tmp_path / "adapter", "mine").model


@pytest.mark.parametrize("family", FAMILIES)
def test_the_merged_model_is_the_one_that_was_taught(tmp_path: Path, family: str) -> None:
    made, model, mine = taught(tmp_path, family, seed=3)
    seen: list[Progress] = []
    folder = taken("merged", made, model, seen)
    other, tokenizer = loaded(folder)
    numbers = tokenizer(" ".join(CORPUS))["input_ids"][:200]
    np.testing.assert_allclose(logits(other, numbers), logits(mine, numbers), rtol=0, atol=1e-4)
    assert ids(tokenizer) == ids(loaded(tmp_path / "base")[1])
    assert seen[-1].phase == "converting"
    assert seen[-1].total > 100_000
    assert not list(made[0].glob(".*.part"))
    assert "My style" in (folder / "README.md").read_text()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gguf_read_back_is_the_one_that_was_taught(tmp_path: Path, family: str) -> None:
    made, model, mine = taught(tmp_path, family, seed=3)
    folder = taken("gguf", made, model, [])
    convert_gguf(folder / "My-style.gguf", tmp_path / "back", silent)
    other, tokenizer = loaded(tmp_path / "back")
    numbers = tokenizer(" ".join(CORPUS))["input_ids"][:200]
    np.testing.assert_allclose(logits(other, numbers), logits(mine, numbers), rtol=0, atol=0.05)
    assert ids(tokenizer) == ids(loaded(tmp_path / "base")[1])
    first, back = (json.loads((place / "config.json").read_text()) for place in (tmp_path / "base", tmp_path / "back"))
    assert {key: first[key] for key in ("hidden_size", "rms_norm_eps")}.items() <= back.items()


@pytest.mark.parametrize("form", ["merged", "gguf"])
def test_it_is_made_once_and_kept(tmp_path: Path, form: Any) -> None:
    made, model, _ = taught(tmp_path, "llama")
    taken(form, made, model, [])
    path = made[0] / f"My style-{form}.zip"
    was = path.stat().st_mtime_ns
    seen: list[Progress] = []
    taken(form, made, model, seen)
    assert (path.stat().st_mtime_ns, seen) == (was, [])


def refused(made: tuple[Path, Any], model: Model, form: Any = "gguf") -> LlmappError:
    with pytest.raises(LlmappError) as caught:
        taken(form, made, model, [])
    assert not [path.name for path in made[0].iterdir() if form in path.name and path.suffix != ".lock"]
    return caught.value


def test_what_a_gguf_can_not_say_is_refused_by_name(tmp_path: Path) -> None:
    base = tiny_causal(tmp_path / "base", "gemma3")  # its query scale is not a head's width
    model = catalog_entry(base, "causal", "gemma3")
    problem = refused(result_of(tmp_path, base, model, 6, None), model)
    assert problem.code == "take_along_setting"
    assert problem.message.values["key"] == "query_pre_attn_scalar"


@pytest.mark.parametrize("family", ["granite", "gpt2"])
def test_other_families_say_why_not(tmp_path: Path, family: str) -> None:
    base = tiny_causal(tmp_path / "base", family)
    model = catalog_entry(base, "causal", family)
    made = result_of(tmp_path, base, model, 2, None) if family == "granite" else gpt2_result(tmp_path, base, model)
    assert refused(made, model).code == "take_along_family"
    if family == "gpt2":
        assert refused(made, model, "merged").code == "take_along_adapter"


def gpt2_result(place: Path, base: Path, model: Model) -> tuple[Path, Any]:
    (place / "other").mkdir()
    other = tiny_causal(place / "other" / "base", "llama")
    result, report = result_of(place, other, model, 2, None)
    folder = tiny_adapter(place / "gpt2", base, targets=("c_attn",), name="My style")
    with zipfile.ZipFile(result / report["files"]["adapter"]) as archive:
        card = archive.read("card.json")
    with zipfile.ZipFile(result / report["files"]["adapter"], "w") as archive:
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            archive.write(folder / name, name)
        archive.writestr("card.json", card)
    return result, report


def test_a_tokenizer_that_cuts_otherwise_is_refused(tmp_path: Path) -> None:
    made, model, _ = taught(tmp_path, "llama")
    path = tmp_path / "base" / "tokenizer.json"
    data = json.loads(path.read_text())
    data["pre_tokenizer"] = {"type": "Whitespace"}
    path.write_text(json.dumps(data))
    assert refused(made, model).code == "take_along_tokenizer"


def test_a_sorter_and_a_base_that_is_gone_say_so(tmp_path: Path) -> None:
    made, model, _ = taught(tmp_path, "llama")
    without = {key: value for key, value in made[1].items() if key != "asked_as"}
    assert refused((made[0], without), model).code == "take_along_goal"
    (tmp_path / "base" / "config.json").unlink()
    assert isinstance(problem := refused(made, model), BadInput)
    assert problem.code == "take_along_base"


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmapp.finetune import take_along

    made, _, _ = taught(tmp_path, "llama")
    monkeypatch.setattr("llmapp.backend.disk.MARGIN", 1 << 60)
    folder = tmp_path / "base"
    order = take_along.Order(
        "gguf", "m", folder, made[0] / "My style.zip", made[0] / "a-gguf.zip", "", made[1]["asked_as"], {}
    )
    with pytest.raises(SourceError) as caught:
        take_along.make(order, lambda _: None)
    assert caught.value.code == "source_no_room"
    assert not list(made[0].glob("*gguf*"))
