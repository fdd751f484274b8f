"""Every family, loaded for real: fp32, 4-bit, used, let go. And what must never be loaded."""

from __future__ import annotations

import gc
import json
import socket
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit

from llmapp.backend.device import choose_precision, detect
from llmapp.backend.language_codes import translation_arguments
from llmapp.backend.loader import Loaded, footprint, load, load_for_training
from llmapp.backend.sources import Local
from llmapp.catalog import Catalog
from llmapp.errors import BadInput, CanNotRun, LlmappError, SourceError
from tests import tiny

FAMILIES = [
    *(("causal", family) for family in (*tiny.CAUSAL, *tiny.HUB_CAUSAL)),
    *(("seq2seq", family) for family in tiny.SEQ2SEQ),
    *(("classifier", family) for family in tiny.CLASSIFIERS),
    *(("encoder", family) for family in tiny.ENCODERS),
]
BUILD = {
    "causal": tiny.tiny_causal,
    "seq2seq": tiny.tiny_seq2seq,
    "classifier": tiny.tiny_classifier,
    "encoder": tiny.tiny_encoder,
}
TEXTS = ["I love this film.", "法国的首都是巴黎。今天天气很好，我们去公园散步吧。"]
HARDWARE = detect("cpu")
Build = Callable[..., Path]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models are slower on two threads, and far slower when the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """`built("causal", "llama")`: a tiny model's folder, made once."""
    root = tmp_path_factory.mktemp("models")

    def build(kind: str, family: str) -> Path:
        folder = root / f"{kind}-{family}"
        return folder if folder.exists() else BUILD[kind](folder, family)

    return build


def loaded_from(folder: Path, kind: str, family: str, wish: str = "fp32", **changes: Any) -> Loaded:
    model = tiny.catalog_entry(folder, kind, family, **changes)
    return load(local(folder), model, choose_precision(model, HARDWARE, wish))


def local(folder: Path) -> Local:
    return Local(folder, "", "fp32", "folder")


def inputs(loaded: Loaded) -> dict[str, torch.Tensor]:
    batch = loaded.tokenizer(TEXTS, return_tensors="pt", padding=True)
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


def outputs(loaded: Loaded, model: Any = None) -> torch.Tensor:
    """What a forward gives: logits or hidden states, shape (2, ...)."""
    given = inputs(loaded)
    if loaded.base.kind == "seq2seq":
        given["decoder_input_ids"] = given["input_ids"][:, :3]
    with torch.inference_mode():
        return (model or loaded.model)(**given)[0]


def written(loaded: Loaded, family: str) -> list[str]:
    """Answers of 5 tokens."""
    options: dict[str, Any] = {"max_new_tokens": 5, "do_sample": False, "num_beams": 1}
    if family in ("marian", "m2m100", "nllb", "t5", "mt5"):
        told = translation_arguments(loaded.tokenizer, family, "en", "de")
        if told["src_lang"]:
            loaded.tokenizer.src_lang = told["src_lang"]
        if told["forced_bos_token_id"] is not None:
            options["forced_bos_token_id"] = told["forced_bos_token_id"]
    ids = loaded.model.generate(**inputs(loaded), **options)
    if "forced_bos_token_id" in options:
        assert ids[:, 1].tolist() == [options["forced_bos_token_id"]] * 2
    return list(loaded.tokenizer.batch_decode(ids, skip_special_tokens=True))


def unpacked(loaded: Loaded, folder: Path, family: str) -> Any:
    """An fp32 copy that holds the 4-bit weights as bitsandbytes unpacks them."""
    copy = loaded_from(folder, loaded.base.kind, family).model
    for name, module in loaded.model.named_modules():
        if isinstance(module, Linear4bit):
            other = copy.get_submodule(name)
            weight = dequantize_4bit(module.weight.data, module.weight.quant_state)
            turned = other.weight.shape != weight.shape or type(other).__name__ == "Conv1D"
            other.weight.data = (weight.T if turned else weight).clone()
    return copy


@pytest.mark.parametrize(("kind", "family"), FAMILIES)
def test_each_family_loads_answers_and_goes(built: Build, kind: str, family: str) -> None:
    folder, sizes = built(kind, family), {}
    for wish in ("fp32", "4bit"):
        loaded = loaded_from(folder, kind, family, wish)
        sizes[wish] = footprint(loaded.model)
        quantized = sum(isinstance(module, Linear4bit) for module in loaded.model.modules())
        assert bool(quantized) is (wish == "4bit")
        got = outputs(loaded)
        assert got.isfinite().all()
        if kind == "classifier":
            assert got.shape == (2, 2)
            assert loaded.base.labels == ("negative", "positive")
        if kind in ("causal", "seq2seq"):
            assert len(written(loaded, family)) == 2
        if wish == "4bit":
            difference = (got - outputs(loaded, unpacked(loaded, folder, family))).abs().max()
            assert difference <= 1e-4 * got.abs().max(), "4-bit does not compute what its weights say"
        gone = weakref.ref(loaded.model)
        del loaded
        gc.collect()
        assert gone() is None, "something holds on to an unloaded model"
    assert sizes["4bit"] < sizes["fp32"]


def test_every_family_that_the_catalog_names_is_tested(catalog: Catalog) -> None:
    tested = {(kind, "gemma" if family == "gemma3" else family) for kind, family in FAMILIES}
    named = {(model.kind, model.family) for model in catalog.models()}
    assert named - {("classifier", "linear")} <= tested  # that one needs no loader: see test_linear


@pytest.mark.parametrize("kind", ["causal", "seq2seq", "classifier", "encoder"])
def test_a_prompt_alone_and_in_a_batch_answers_alike(built: Build, kind: str) -> None:
    """Padding is where the family expects it: on the left for causal models."""
    family = {"causal": "llama", "seq2seq": "t5"}.get(kind, "bert")
    loaded = loaded_from(built(kind, family), kind, family)
    short = loaded.tokenizer(TEXTS[:1], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        if kind in ("causal", "seq2seq"):
            options: dict[str, Any] = {"max_new_tokens": 4, "do_sample": False}
            together = loaded.model.generate(**inputs(loaded), **options)[0, -4:]
            alone = loaded.model.generate(short, **options)[0, -4:]
            assert together.tolist() == alone.tolist()
        else:
            at = outputs(loaded)[0] if kind == "classifier" else outputs(loaded)[0, : short.shape[1]]
            torch.testing.assert_close(at, loaded.model(short)[0][0], atol=1e-5, rtol=1e-4)


def test_fp32_weights_are_mapped_not_copied(built: Build) -> None:
    folder = built("causal", "llama")
    loaded = loaded_from(folder, "causal", "llama")
    maps = Path("/proc/self/maps").read_text()
    assert str(folder / "model.safetensors") in maps
    before = (folder / "model.safetensors").read_bytes()
    loaded.model.get_input_embeddings().weight.data.add_(1.0)
    assert (folder / "model.safetensors").read_bytes() == before, "writing to weights reached the file"


def test_4bit_lets_go_of_the_file(built: Build) -> None:
    folder = built("causal", "llama")
    loaded = loaded_from(folder, "causal", "llama", "4bit")
    gc.collect()
    assert str(folder / "model.safetensors") not in Path("/proc/self/maps").read_text()
    assert loaded.model.lm_head.weight is loaded.model.get_input_embeddings().weight


def test_16_bit_wishes_are_kept(built: Build) -> None:
    for wish, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        loaded = loaded_from(built("causal", "llama"), "causal", "llama", wish)
        assert {parameter.dtype for parameter in loaded.model.parameters()} == {dtype}
        assert outputs(loaded).isfinite().all()


def test_a_loaded_model_is_frozen_and_in_eval_mode(built: Build) -> None:
    loaded = loaded_from(built("classifier", "bert"), "classifier", "bert")
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


# ---- the trap: on avx512_bf16 processors an eval forward repacks 4-bit weights in place ----


def trainable(folder: Path, wish: str) -> tuple[Loaded, Any]:
    """A base with a LoRA adapter on it, the same adapter each time."""
    import peft

    model = tiny.catalog_entry(folder, "causal", "llama")
    loaded = load_for_training(local(folder), model, choose_precision(model, HARDWARE, wish))
    torch.manual_seed(1)
    config = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"
    )
    return loaded, peft.get_peft_model(loaded.model, config)


def gradients(loaded: Loaded, model: Any) -> dict[str, torch.Tensor | None]:
    model.train()
    model.zero_grad()
    batch = inputs(loaded)
    model(**batch, labels=batch["input_ids"]).loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


def worst(got: dict[str, torch.Tensor | None], want: dict[str, torch.Tensor | None]) -> float:
    """The largest relative error of any gradient; a missing one counts as infinite."""
    errors = []
    for name, reference in want.items():
        mine = got[name]
        assert reference is not None
        errors.append(
            float("inf") if mine is None else float((mine - reference).norm() / reference.norm().clamp_min(1e-9))
        )
    return max(errors)


def after_eval_forward(folder: Path, trap: bool) -> float:
    """Train 4-bit after an eval forward; how far gradients are from those of the unpacked fp32 copy."""
    loaded, model = trainable(folder, "4bit")
    exact, reference = trainable(folder, "fp32")
    for name, module in model.named_modules():
        if isinstance(module, Linear4bit):
            weight = dequantize_4bit(module.weight.data, module.weight.quant_state)
            reference.get_submodule(name).weight.data = weight.clone()
            module.support_avx512bf16_for_cpu = trap
    model.eval()
    with torch.no_grad():
        model(**inputs(loaded))
    return worst(gradients(loaded, model), gradients(exact, reference))


def test_gradients_are_right_after_an_eval_forward(built: Build) -> None:
    folder = built("causal", "llama")
    _, model = trainable(folder, "4bit")
    assert not any(m.support_avx512bf16_for_cpu for m in model.modules() if isinstance(m, Linear4bit))
    assert after_eval_forward(folder, trap=False) < 1e-4


@pytest.mark.skipif("avx512_bf16" not in HARDWARE.features, reason="this processor does not have the trap")
@pytest.mark.filterwarnings("ignore")
def test_the_trap_is_real_without_what_the_loader_does(built: Build) -> None:
    assert after_eval_forward(built("causal", "llama"), trap=True) > 0.01


def loss(loaded: Loaded, model: Any = None) -> float:
    batch = inputs(loaded)
    with torch.no_grad():
        return float((model or loaded.model)(**batch, labels=batch["input_ids"]).loss)


def test_saving_after_an_eval_forward_keeps_the_weights(built: Build, tmp_path: Path) -> None:
    import transformers

    loaded = loaded_from(built("causal", "llama"), "causal", "llama", "4bit")
    before = loss(loaded)
    loaded.model.state_dict()
    assert loss(loaded) == before
    loaded.model.save_pretrained(tmp_path)
    assert loss(loaded) == before
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, device_map="cpu")
    for module in again.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False
    assert loss(loaded, again) == pytest.approx(before, abs=1e-6)


# ---- loading to train ----


@pytest.mark.parametrize("family", tiny.CLASSIFIERS)
@pytest.mark.parametrize("wish", ["fp32", "4bit"])
def test_a_plain_encoder_gets_a_head_to_train(built: Build, family: str, wish: str) -> None:
    folder = built("encoder", family)
    model = tiny.catalog_entry(folder, "encoder", family)
    precision = choose_precision(model, HARDWARE, wish)
    loaded = load_for_training(local(folder), model, precision, labels=("bad", "fair", "good"))
    assert (loaded.base.kind, loaded.base.labels) == ("classifier", ("bad", "fair", "good"))
    assert outputs(loaded).shape == (2, 3)
    want = {"distilbert": ("classifier", "pre_classifier")}.get(family, ("classifier",))
    assert loaded.fresh == want
    for name in loaded.fresh:
        heads = loaded.model.get_submodule(name).modules()
        assert not any(isinstance(module, Linear4bit) for module in heads)


def test_a_classifier_for_other_labels_gets_a_new_head(built: Build) -> None:
    folder = built("classifier", "bert")
    model = tiny.catalog_entry(folder, "classifier", "bert")
    fp32 = choose_precision(model, HARDWARE, "fp32")
    assert load_for_training(local(folder), model, fp32, labels=("a", "b")).fresh == ()
    assert load_for_training(local(folder), model, fp32, labels=("a", "b", "c")).fresh == ("classifier",)


# ---- what must not be loaded ----


def changed(folder: Path, tmp_path: Path, **changes: Any) -> Path:
    """A copy of a model folder with another config.json; None takes a field away."""
    target = tmp_path / "changed"
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    config = json.loads((target / "config.json").read_text()) | changes
    kept = {name: value for name, value in config.items() if value is not None}
    (target / "config.json").write_text(json.dumps(kept))
    return target


def with_code(folder: Path) -> Path:
    """Put a Python file into a model folder that leaves a trace when it runs; the trace's path."""
    trace = folder / "ran"
    code = f"open({str(trace)!r}, 'w')\nfrom transformers import LlamaConfig as C, LlamaForCausalLM as M\n"
    (folder / "evil.py").write_text(code)
    return trace


AUTO_MAP = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}


def refused(folder: Path, kind: str = "causal", family: str = "llama", **changes: Any) -> LlmappError:
    with pytest.raises(LlmappError) as caught:
        loaded_from(folder, kind, family, **changes)
    return caught.value


def test_code_in_a_folder_is_never_run(built: Build, tmp_path: Path) -> None:
    folder = changed(built("causal", "llama"), tmp_path, model_type="evil", auto_map=AUTO_MAP)
    trace = with_code(folder)
    error = refused(folder)
    assert isinstance(error, BadInput)
    assert error.code == "model_unknown"
    assert "evil" in str(error)
    assert not trace.exists()


def test_a_known_kind_is_loaded_without_the_code_beside_it(built: Build, tmp_path: Path) -> None:
    folder = changed(built("causal", "llama"), tmp_path, auto_map=AUTO_MAP)
    trace = with_code(folder)
    loaded = loaded_from(folder, "causal", "llama")
    assert type(loaded.model).__module__.startswith("transformers.")
    assert not trace.exists()


def test_attention_named_in_a_config_is_not_fetched(
    built: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: Any) -> None:
        raise AssertionError("loading went to the network")

    monkeypatch.setattr(socket.socket, "connect", connect)
    for name in ("attn_implementation", "_attn_implementation"):
        (tmp_path / name).mkdir()
        folder = changed(built("causal", "llama"), tmp_path / name, **{name: "kernels-community/flash-attn"})
        loaded = loaded_from(folder, "causal", "llama")
        assert loaded.model.config._attn_implementation in ("sdpa", "eager")


def test_packed_weights_are_refused(built: Build, tmp_path: Path) -> None:
    folder = changed(built("causal", "llama"), tmp_path, quantization_config={"quant_method": "gptq"})
    assert refused(folder).code == "model_quantized"


def test_a_folder_that_points_elsewhere_is_refused(built: Build, tmp_path: Path) -> None:
    folder = changed(built("causal", "llama"), tmp_path, transformers_weights="../other.safetensors")
    assert "transformers_weights" in str(refused(folder))
    plain = changed(built("causal", "llama"), tmp_path / "changed")
    (plain / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else"}')
    assert "adapter_config.json" in str(refused(plain))


def test_a_pickle_is_not_opened(built: Build, tmp_path: Path) -> None:
    folder = changed(built("causal", "llama"), tmp_path)
    torch.save({}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert isinstance(refused(folder), SourceError)


@pytest.mark.parametrize("damage", ["cut", "config", "tokenizer"])
def test_a_damaged_folder_is_said(built: Build, tmp_path: Path, damage: str) -> None:
    folder = changed(built("causal", "llama"), tmp_path)
    if damage == "cut":
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:5000])
    elif damage == "config":
        (folder / "config.json").write_text("{")
    else:
        (folder / "tokenizer.json").write_text("{")
    error = refused(folder)
    assert isinstance(error, SourceError)
    assert error.code == "weights_damaged"
    assert folder.name in str(error)


def test_a_head_that_is_missing_is_not_made_up(built: Build) -> None:
    error = refused(built("encoder", "bert"), "classifier", "bert")
    assert error.code == "weights_incomplete"
    assert "classifier" in str(error)


def test_labels_come_from_the_catalog_where_it_names_them(built: Build) -> None:
    folder = built("classifier", "bert")
    assert loaded_from(folder, "classifier", "bert", labels=("bad", "good")).base.labels == ("bad", "good")
    assert refused(folder, "classifier", "bert", labels=("one", "two", "three")).code == "model_labels"


def test_4bit_without_its_package_is_refused(built: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # what an import that fails looks like
    folder = built("causal", "llama")
    with pytest.raises(CanNotRun, match="bitsandbytes"):
        loaded_from(folder, "causal", "llama", "4bit")


def test_importing_the_backend_imports_no_library(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from llmapp.backend import adapters, device, language_codes, loader; device.detect('cpu');"
        "heavy = {'torch', 'transformers', 'peft', 'bitsandbytes', 'accelerate'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) if heavy else 0)"
    )
    root = Path(__file__).parent.parent.parent
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
