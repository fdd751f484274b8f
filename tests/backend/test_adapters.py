"""LoRA adapters on a loaded base, against peft's own loading; and adapters that must be refused."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from llmapp.backend.adapters import attach, detach
from llmapp.backend.device import choose_precision, detect
from llmapp.backend.loader import Loaded, footprint, load, load_for_training
from llmapp.backend.sources import Local
from llmapp.catalog import read_adapter
from llmapp.errors import BadInput
from tests import tiny

HARDWARE = detect("cpu")
TARGETS = {"distilbert": ["q_lin", "v_lin"], "llama": ["q_proj", "v_proj"], "t5": ["q", "v"]}
ATTENTION = ["query", "value"]
LABELS = ("bad", "fair", "good")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models are slower on two threads, and far slower when the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal base with two adapters beside it, `one` and `two.v1`."""
    base = tiny.tiny_causal(tmp_path_factory.mktemp("llama") / "base")
    tiny.tiny_adapter(base.parent / "one", base, seed=1)
    tiny.tiny_adapter(base.parent / "two.v1", base, seed=2)
    return base


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain encoder with a classification adapter beside it, `three`."""
    base = tiny.tiny_encoder(tmp_path_factory.mktemp("minilm") / "base")
    tiny.tiny_adapter(base.parent / "three", base, "encoder", ATTENTION, LABELS)
    return base


def loaded_from(folder: Path, kind: str, family: str, wish: str = "fp32") -> Loaded:
    model = tiny.catalog_entry(folder, kind, family)
    return load(Local(folder, "", "fp32", "folder"), model, choose_precision(model, HARDWARE, wish))


def outputs(model: Any, loaded: Loaded) -> torch.Tensor:
    batch = loaded.tokenizer(["I love this film.", "I hate it"], return_tensors="pt", padding=True)
    given = {name: batch[name] for name in ("input_ids", "attention_mask")}
    if model.config.is_encoder_decoder:
        given["decoder_input_ids"] = given["input_ids"][:, :3]
    with torch.inference_mode():
        return model(**given)[0]


def by_peft(base: Path, adapter: Path, labels: int = 0) -> Any:
    """What peft and transformers make of the same folders."""
    import peft
    import transformers

    config = transformers.AutoConfig.from_pretrained(base)
    auto = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    model = (
        transformers.AutoModelForSequenceClassification.from_pretrained(
            base, num_labels=labels, ignore_mismatched_sizes=True
        )
        if labels
        else auto.from_pretrained(base)
    )
    return peft.PeftModel.from_pretrained(model, adapter).eval()


def test_adapters_switch_on_a_base_that_is_loaded_once(llama: Path) -> None:
    loaded = loaded_from(llama, "causal", "llama")
    base, size = outputs(loaded.model, loaded), footprint(loaded.model)
    for name in ("one", "two.v1"):
        attach(loaded, llama.parent / name, name)
        torch.testing.assert_close(outputs(loaded.model, loaded), base, atol=0, rtol=0)
    for name in ("one", "two.v1", "one"):
        got = outputs(loaded.views[name].model, loaded)
        torch.testing.assert_close(got, outputs(by_peft(llama, llama.parent / name), loaded))
        assert (got - base).abs().max() > 0.01
    torch.testing.assert_close(outputs(loaded.model, loaded), base, atol=0, rtol=0)
    everything = {id(t) for view in (loaded.base, *loaded.views.values()) for t in view.model.parameters()}
    shared = {id(t) for t in loaded.base.model.parameters()}
    assert len(everything) == len(shared) + 2 * (2 * 2 * 2), "an adapter holds more than its own weights"
    assert footprint(loaded.base.model) == size


def test_generation_goes_through_the_adapter(llama: Path) -> None:
    loaded = loaded_from(llama, "causal", "llama")
    ids = loaded.tokenizer("I love", return_tensors="pt")["input_ids"]
    options: dict[str, Any] = {"max_new_tokens": 8, "do_sample": False}
    plain = loaded.model.generate(ids, **options).tolist()
    adapted = attach(loaded, llama.parent / "one", "one").model.generate(ids, **options).tolist()
    assert adapted != plain
    assert adapted == by_peft(llama, llama.parent / "one").generate(input_ids=ids, **options).tolist()


def test_an_adapter_that_is_taken_off_leaves_memory(llama: Path) -> None:
    loaded = loaded_from(llama, "causal", "llama")
    gone = weakref.ref(attach(loaded, llama.parent / "one", "one").model)
    detach(loaded, "one")
    gc.collect()
    assert gone() is None
    with pytest.raises(KeyError):
        detach(loaded, "one")
    attach(loaded, llama.parent / "one", "one")


@pytest.mark.parametrize("family", tiny.ENCODERS)
def test_a_classification_adapter_brings_its_head_to_a_plain_encoder(tmp_path: Path, family: str) -> None:
    base = tiny.tiny_encoder(tmp_path / "base", family)
    adapter = tiny.tiny_adapter(tmp_path / "three", base, "encoder", TARGETS.get(family, ATTENTION), LABELS)
    loaded = loaded_from(base, "encoder", family)
    plain = outputs(loaded.model, loaded)
    view = attach(loaded, adapter, "three")
    assert (view.kind, view.labels) == ("classifier", LABELS)
    want = outputs(by_peft(base, adapter, labels=3), loaded)
    torch.testing.assert_close(outputs(view.model, loaded), want)
    assert (loaded.base.kind, loaded.base.labels) == ("encoder", ())
    torch.testing.assert_close(outputs(loaded.model, loaded), plain, atol=0, rtol=0)


def test_a_classifier_takes_an_adapter_for_other_labels(tmp_path: Path) -> None:
    base = tiny.tiny_classifier(tmp_path / "base", "distilbert")
    adapter = tiny.tiny_adapter(tmp_path / "three", base, "encoder", TARGETS["distilbert"], LABELS)
    loaded = loaded_from(base, "classifier", "distilbert")
    view = attach(loaded, adapter, "three")
    assert view.labels == LABELS
    want = outputs(by_peft(base, adapter, labels=3), loaded)
    torch.testing.assert_close(outputs(view.model, loaded), want)
    assert loaded.base.labels == ("negative", "positive")


def test_what_was_trained_answers_the_same_after_it_is_attached(tmp_path: Path) -> None:
    """The round trip of a training: load to train, train, save, attach."""
    import peft

    base = tiny.tiny_encoder(tmp_path / "base", "distilbert")
    model = tiny.catalog_entry(base, "encoder", "distilbert")
    local = Local(base, "", "fp32", "folder")
    torch.manual_seed(3)
    trained = load_for_training(local, model, choose_precision(model, HARDWARE, "fp32"), labels=LABELS)
    config = peft.LoraConfig(
        r=4, target_modules=TARGETS["distilbert"], modules_to_save=list(trained.fresh), task_type="SEQ_CLS"
    )
    learner = peft.get_peft_model(trained.model, config)
    optimizer = torch.optim.SGD((p for p in learner.parameters() if p.requires_grad), lr=0.5)
    batch = trained.tokenizer(["I love it", "I hate it"], return_tensors="pt", padding=True)
    given = {name: batch[name] for name in ("input_ids", "attention_mask")}
    for _ in range(3):
        learner(**given, labels=torch.tensor([2, 0])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    learner.eval().save_pretrained(tmp_path / "mine")
    want = outputs(learner, trained)
    card = {"id": "mine", "name": "mine", "base": "base", "task": "sentiment", "owner": "", "labels": LABELS}
    (tmp_path / "mine" / "card.json").write_text(json.dumps(card))
    loaded = loaded_from(base, "encoder", "distilbert")
    view = attach(loaded, tmp_path / "mine", "mine")
    assert view.labels == read_adapter(tmp_path / "mine").labels
    torch.testing.assert_close(outputs(view.model, loaded), want)


@pytest.mark.parametrize("wish", ["4bit", "bf16", "fp16"])
def test_adapters_work_on_bases_of_every_precision(llama: Path, minilm: Path, wish: str) -> None:
    for folder, kind, family, name in ((llama, "causal", "llama", "one"), (minilm, "encoder", "bert", "three")):
        loaded = loaded_from(folder, kind, family, wish)
        plain = outputs(loaded.model, loaded)
        got = outputs(attach(loaded, folder.parent / name, name).model, loaded)
        exact = loaded_from(folder, kind, family)
        attach(exact, folder.parent / name, name)
        want = outputs(exact.views[name].model, exact)
        close = 0.35 if wish == "4bit" else 0.05
        assert (got - want).norm() < close * want.norm()
        torch.testing.assert_close(outputs(loaded.model, loaded), plain, atol=0, rtol=0)


def test_an_encoder_decoder_takes_an_adapter(tmp_path: Path) -> None:
    base = tiny.tiny_seq2seq(tmp_path / "base", "t5")
    adapter = tiny.tiny_adapter(tmp_path / "one", base, "seq2seq", TARGETS["t5"])
    loaded = loaded_from(base, "seq2seq", "t5")
    view = attach(loaded, adapter, "one")
    torch.testing.assert_close(outputs(view.model, loaded), outputs(by_peft(base, adapter), loaded))


# ---- what must be refused; the base stays as it was ----


def altered(folder: Path, target: Path, **settings: Any) -> Path:
    shutil.copytree(folder, target)
    path = target / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return target


def code_of(loaded: Loaded, folder: Path) -> str:
    before = outputs(loaded.model, loaded)
    with pytest.raises(BadInput) as caught:
        attach(loaded, folder, "bad")
    assert loaded.views == {}
    torch.testing.assert_close(outputs(loaded.model, loaded), before, atol=0, rtol=0)
    assert folder.name in str(caught.value)
    return caught.value.code


def test_pickles_are_refused_even_beside_safetensors(llama: Path, tmp_path: Path) -> None:
    folder = altered(llama.parent / "one", tmp_path / "bad")
    torch.save({}, folder / "adapter_model.bin")
    assert code_of(loaded_from(llama, "causal", "llama"), folder) == "adapter_pickle"


@pytest.mark.parametrize(
    "settings",
    [
        {"peft_type": "IA3"},
        {"peft_type": "PROMPT_TUNING"},
        {"layer_replication": [[0, 2], [1, 2]]},
        {"trainable_token_indices": [1, 2]},
        {"target_modules": ".*(a|aa)+$"},
    ],
    ids=str,
)
def test_other_methods_are_refused(llama: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    folder = altered(llama.parent / "one", tmp_path / "bad", **settings)
    assert code_of(loaded_from(llama, "causal", "llama"), folder) == "adapter_kind"


def test_modules_that_a_configuration_names_are_not_imported(llama: Path, tmp_path: Path) -> None:
    """peft imports what `megatron_core` and `auto_mapping` name."""
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    settings = {
        "megatron_config": {"a": 1},
        "megatron_core": "evil_module",
        "auto_mapping": {"base_model_class": "X", "parent_library": "evil_module"},
    }
    folder = altered(llama.parent / "one", tmp_path / "one", **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        attach(loaded_from(llama, "causal", "llama"), folder, "one")
    assert not (tmp_path / "ran").exists()


def test_an_adapter_of_another_base_is_refused(llama: Path, minilm: Path, tmp_path: Path) -> None:
    assert code_of(loaded_from(llama, "causal", "llama"), minilm.parent / "three") == "adapter_base"
    assert code_of(loaded_from(minilm, "encoder", "bert"), llama.parent / "one") == "adapter_base"


@pytest.mark.parametrize("change", ["fewer", "more", "wider"])
def test_weights_must_match_layer_by_layer(llama: Path, tmp_path: Path, change: str) -> None:
    folder = altered(llama.parent / "one", tmp_path / "bad")
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    name = next(iter(weights))
    if change == "fewer":
        del weights[name]
    elif change == "more":
        weights[name.replace("layers.0", "layers.7")] = weights[name].clone()
    else:
        weights[name] = torch.zeros(4, 96)
    save_file(weights, path)
    assert code_of(loaded_from(llama, "causal", "llama"), folder) == "adapter_base"


def test_labels_must_be_as_many_as_the_head_tells_apart(minilm: Path, tmp_path: Path) -> None:
    folder = altered(minilm.parent / "three", tmp_path / "bad")
    (folder / "card.json").write_text(json.dumps({"labels": ["yes", "no"]}))
    assert code_of(loaded_from(minilm, "encoder", "bert"), folder) == "adapter_labels"


def test_a_head_that_is_missing_is_not_made_up(minilm: Path, tmp_path: Path) -> None:
    folder = altered(minilm.parent / "three", tmp_path / "bad")
    path = folder / "adapter_model.safetensors"
    weights = {name: tensor for name, tensor in load_file(path).items() if "classifier" not in name}
    save_file(weights, path)
    assert code_of(loaded_from(minilm, "encoder", "bert"), folder) in ("adapter_labels", "adapter_base")


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("damage", ["gone", "garbage"])
def test_a_damaged_folder_is_said(llama: Path, tmp_path: Path, file: str, damage: str) -> None:
    folder = altered(llama.parent / "one", tmp_path / "bad")
    (folder / file).unlink()
    if damage == "garbage":
        (folder / file).write_bytes(b"{ not what it should be")
    assert code_of(loaded_from(llama, "causal", "llama"), folder) == "adapter_file"
