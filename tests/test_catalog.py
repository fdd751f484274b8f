"""The Hub entries of the catalog: complete, true to the architectures they name, documented; and what Auto takes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from llmapp.backend.choose import best, needed_bytes
from llmapp.backend.device import CudaDevice, Hardware
from llmapp.backend.engine import Sampling
from llmapp.catalog import TASKS, Catalog, HubSource, Model
from llmapp.errors import BadInput, NotFound
from llmapp.messages import LANGUAGES

from .published_configs import CONFIGS

ROOT = Path(__file__).parent.parent
CATALOG = Catalog.read(ROOT / "models")
ALL = CATALOG.models()
HUB = [model for model in ALL if not model.packaged]
SPDX = {"Apache-2.0", "MIT", "CC-BY-4.0", "CC-BY-NC-4.0"}
NAMED = {"Gemma Terms of Use", "Llama 3.2 Community License"}
BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}
MODEL_TYPE = {
    "qwen3": "qwen3",
    "granite": "granite",
    "llama": "llama",
    "gemma": "gemma3_text",
    "hunyuan": "hunyuan_v1_dense",
    "gpt2": "gpt2",
    "marian": "marian",
    "m2m100": "m2m_100",
    "nllb": "m2m_100",
    "bart": "bart",
    "t5": "t5",
    "bert": "bert",
    "distilbert": "distilbert",
    "roberta": "roberta",
    "xlm-roberta": "xlm-roberta",
}


def each(models: list[Model]) -> Any:
    return pytest.mark.parametrize("model", models, ids=lambda model: model.id)


def hub(model: Model) -> HubSource:
    source = model.sources[0]
    assert isinstance(source, HubSource)
    return source


# ---- the entries


def test_the_list_is_short_and_no_id_or_repository_stands_twice() -> None:
    assert 20 <= len(HUB) <= 28
    assert {model.id for model in ALL} == {path.stem for path in (ROOT / "models").glob("*.yaml")}
    assert len({hub(model).repo for model in HUB}) == len(HUB)


def test_an_adapter_is_renamed_by_its_owner_alone(tmp_path: Path) -> None:
    card = {"id": "mine", "name": "Mail", "base": "gpt2", "task": "chat", "owner": "ada", "created": 1.0}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "card.json").write_text(json.dumps(card))
    catalog = Catalog.read(ROOT / "models", tmp_path)
    catalog.rename_adapter("mine", "ada", "邮件")
    found = catalog.adapter("mine", "ada")
    assert (found.name, found.weights) == ("邮件", "mine@1.0")
    for adapter, owner in (("mine", "bob"), ("sentiment-en", "ada")):
        with pytest.raises(NotFound):
            catalog.rename_adapter(adapter, owner, "other")


def test_a_broken_adapter_takes_no_other_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "card.json").write_text('{"id": "torn", "na')
    names = {adapter.id for adapter in Catalog.read(ROOT / "models", tmp_path).adapters("ada")}
    assert "sentiment-en" in names
    assert "torn" not in names
    assert "`torn` can not be read" in caplog.text


def test_an_entry_whose_id_is_not_its_file_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text((ROOT / "models" / "gpt2.yaml").read_text(encoding="utf-8"))
    with pytest.raises(BadInput, match=r"other\.yaml"):
        Catalog.read(tmp_path)


@each(ALL)
def test_a_note_is_one_short_line_in_each_language(model: Model) -> None:
    assert set(model.note) == set(LANGUAGES)
    for note in model.note.values():
        assert "\n" not in note
        assert 15 <= len(note) <= 160
    assert re.search(r"[\u4e00-\u9fff]", model.note["zh"])


@each(ALL)
def test_a_licence_is_an_spdx_id_or_a_named_one_with_an_address(model: Model) -> None:
    assert model.licence in SPDX | NAMED
    assert model.licence_url.startswith("https://")


@each(HUB)
def test_what_a_person_must_know_of_the_licence_is_in_the_note(model: Model) -> None:
    assert ("-NC" in model.licence) == ("commercial" in model.note["en"]) == ("商业" in model.note["zh"])
    assert hub(model).gated == ("asked for" in model.note["en"]) == ("申请" in model.note["zh"])


@each(HUB)
def test_a_revision_is_a_whole_commit_or_the_pull_request_with_the_safetensors(model: Model) -> None:
    assert re.fullmatch(r"[0-9a-f]{40}|refs/pr/\d+", hub(model).revision)


@each(ALL)
def test_languages_are_tags_and_a_one_way_translator_says_which_way(model: Model) -> None:
    assert model.languages
    assert len(set(model.languages)) == len(model.languages)
    assert all(re.fullmatch(r"[a-z]{2,3}(-[A-Z][a-z]{3})?", tag) for tag in model.languages)
    if model.family == "marian":
        assert model.id.endswith("-".join(model.languages))


@each(ALL)
def test_sampling_labels_and_reasoning_are_what_the_engine_takes(model: Model) -> None:
    Sampling(**model.sampling)  # type: ignore[arg-type]
    assert bool(model.labels) == (model.kind == "classifier")
    assert model.reasoning is None or (model.chat and all(model.reasoning))
    assert model.chat is False or model.kind == "causal"


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_free_hub_entry_that_knows_chinese(task: Any) -> None:
    free = [m for m in CATALOG.models(task) if m in HUB and not hub(m).gated and "-NC" not in m.licence]
    assert any("zh" in model.languages for model in free)
    assert any(model.memory_mb["fp32"] < 2500 for model in free)


def test_bases_to_fine_tune_and_a_sentiment_model_for_each_wish_are_there() -> None:
    bases = {model.id for model in CATALOG.models("finetune")}
    assert {"bert-base-uncased", "gpt2", "qwen3-0.6b", "smollm2-360m-instruct"} <= bases
    sentiment = [set(m.languages) for m in CATALOG.models("sentiment") if m.kind == "classifier"]
    assert {"en"} in sentiment
    assert {"zh"} in sentiment
    assert any(len(languages) > 5 for languages in sentiment)


@each(HUB)
def test_every_entry_is_documented_with_where_it_was_found(model: Model) -> None:
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    section = re.search(rf"^### `{re.escape(model.id)}`\n(.+?)(?=^#|\Z)", text, re.M | re.S)
    assert section, f"docs/models.md has no section for {model.id}"
    for fact in (hub(model).repo, hub(model).revision, model.licence, f"{model.parameters:,}"):
        assert fact in section[1]


# ---- the numbers, from the architecture itself


@dataclass(frozen=True)
class Counted:
    """What an architecture holds: all parameters, those that 4-bit quantizes, cache bytes of a token."""

    parameters: int
    linear: int
    cache: int


@pytest.fixture(scope="module")
def counted() -> dict[str, Counted]:
    """Every Hub entry, built without memory on torch's meta device, by the Auto class that loads it."""
    return {model.id: count(model) for model in HUB}


def count(model: Model) -> Counted:
    import torch
    import transformers
    from transformers.pytorch_utils import Conv1D
    from transformers.quantizers.quantizers_utils import should_convert_module

    from llmapp.backend.loader import NOT_QUANTIZED

    kind, shape = CONFIGS[model.id]
    config = transformers.AutoConfig.for_model(kind, **shape)
    auto = {
        "causal": transformers.AutoModelForCausalLM,
        "seq2seq": transformers.AutoModelForSeq2SeqLM,
        "classifier": transformers.AutoModelForSequenceClassification,
        "encoder": transformers.AutoModel,
    }[model.kind]
    with torch.device("meta"):
        built = auto.from_config(config)
    kept = [*NOT_QUANTIZED, *(built._keep_in_fp32_modules or ())]
    linear = sum(
        part.weight.numel()
        for name, part in built.named_modules()
        if isinstance(part, (torch.nn.Linear, Conv1D)) and should_convert_module(name, kept)
    )
    return Counted(sum(p.numel() for p in built.parameters()), linear, cache_bytes(model.kind, config))


def cache_bytes(kind: str, config: Any) -> int:
    """Keys and values of one token at two bytes, in every layer that generates."""
    if kind not in ("causal", "seq2seq"):
        return 0
    layers = getattr(config, "decoder_layers", None) or getattr(config, "num_decoder_layers", None)
    heads = getattr(config, "num_key_value_heads", None)
    heads = heads or getattr(config, "decoder_attention_heads", None) or config.num_attention_heads
    wide = getattr(config, "d_kv", None) or getattr(config, "head_dim", None)
    wide = wide or config.hidden_size // config.num_attention_heads
    return 2 * 2 * (layers or config.num_hidden_layers) * int(heads) * int(wide)


@each(HUB)
def test_the_family_names_the_architecture(model: Model) -> None:
    assert MODEL_TYPE[model.family] == CONFIGS[model.id][0]


@each(HUB)
def test_parameters_and_cache_are_those_of_the_architecture(model: Model, counted: dict[str, Counted]) -> None:
    assert model.parameters == counted[model.id].parameters
    assert model.kv_bytes_per_token == counted[model.id].cache


@each(HUB)
def test_memory_follows_the_stated_formula(model: Model, counted: dict[str, Counted]) -> None:
    """4 bytes a parameter in fp32, 2 in 16 bits; in 4 bits 0.56 in linear layers and 2 in all others."""
    linear, rest = counted[model.id].linear, model.parameters - counted[model.id].linear
    expected = {"fp32": 4 * model.parameters, "bf16": 2 * model.parameters, "fp16": 2 * model.parameters}
    expected["4-bit"] = 0.56 * linear + 2 * rest
    assert set(model.memory_mb) == set(expected)
    for kind, size in expected.items():
        assert model.memory_mb[kind] == pytest.approx(size / 1e6, abs=1), kind


@each(HUB)
def test_the_download_is_about_as_large_as_its_weights(model: Model) -> None:
    """Above it only by tokenizers, and by an output layer that some files hold though it is tied."""
    source = hub(model)
    assert 1.0 <= source.bytes / (model.parameters * BYTES[source.weights]) <= 1.3


# ---- what Auto takes


def processor(cores: int) -> Hardware:
    return Hardware("cpu", cores=cores)


def apple(cores: int) -> Hardware:
    return Hardware("mps", mps=True, cores=cores)


def card(free_gb: float, capability: tuple[int, int] = (8, 9), cores: int = 8) -> Hardware:
    return Hardware("cuda", (CudaDevice("card", capability, int(free_gb * 1e9), 0),), cores=cores)


T4 = card(14.6, (7, 5), cores=2)
RTX_4090 = card(23.5, cores=16)
TABLE = {
    "2 cores, 8 GB, no Hub": (processor(2), 6.5, False, "smollm2-135m-instruct", "auto_no_hub"),
    "2 cores, 8 GB": (processor(2), 6.5, True, "qwen3-0.6b", "auto_cpu"),
    "8 cores, 32 GB": (processor(8), 28.0, True, "qwen3-1.7b", "auto_cpu"),
    "64 cores, 256 GB": (processor(64), 240.0, True, "qwen3-1.7b", "auto_cpu"),
    "graphics card of 4 GB": (card(3.6), 3.6, True, "granite-4.1-3b", "auto_gpu"),
    "T4, 15 GB": (T4, 14.6, True, "qwen3-4b-instruct-2507", "auto_gpu"),
    "RTX 4090": (RTX_4090, 23.5, True, "qwen3-8b", "auto_gpu"),
    "RTX 4090, no Hub": (RTX_4090, 23.5, False, "smollm2-135m-instruct", "auto_no_hub"),
    "MPS, 16 GB": (apple(8), 11.0, True, "qwen3-4b-instruct-2507", "auto_gpu"),
    "1 core": (processor(1), 6.5, True, "smollm2-360m-instruct", "auto_cpu"),
    "2 GB": (processor(2), 1.2, True, "smollm2-135m-instruct", "auto_packaged"),
    "2 GB, half of it taken": (processor(2), 0.7, True, "smollm2-135m-instruct", "auto_tight"),
}


@pytest.mark.parametrize("name", TABLE)
def test_auto_for_chat(name: str) -> None:
    machine, free_gb, can_use_hub, expected, why = TABLE[name]
    choice = best(CATALOG, "chat", machine, int(free_gb * 1e9), can_use_hub)
    assert (choice.model.id, choice.why.code) == (expected, f"reason.{why}")
    for language in LANGUAGES:
        assert choice.model.name in choice.why.text(language)


@pytest.mark.parametrize(
    ("task", "machine", "free_gb", "expected"),
    [
        ("translate", processor(2), 6.5, "m2m100-418m"),
        ("translate", processor(8), 28.0, "hy-mt2-1.8b"),
        ("translate", T4, 14.6, "hy-mt2-1.8b"),
        ("summarize", processor(2), 6.5, "qwen3-0.6b"),
        ("summarize", T4, 14.6, "qwen3-4b-instruct-2507"),
        ("sentiment", processor(2), 6.5, "distilbert-multilingual-sentiment"),
        ("sentiment", RTX_4090, 23.5, "distilbert-multilingual-sentiment"),
        ("finetune", processor(8), 28.0, "all-minilm-l6-v2"),
        ("finetune", T4, 14.6, "xlm-roberta-base"),
    ],
)
def test_auto_for_the_other_tasks(task: Any, machine: Hardware, free_gb: float, expected: str) -> None:
    assert best(CATALOG, task, machine, int(free_gb * 1e9), can_use_hub=True).model.id == expected


def test_auto_needs_no_hub_for_what_is_on_disk() -> None:
    choice = best(CATALOG, "chat", T4, 14_600_000_000, can_use_hub=False, on_disk={"qwen3-1.7b", "gemma-3-1b-it"})
    assert choice.model.id == "qwen3-1.7b"


def test_auto_takes_what_was_taught_for_the_task_before_a_packaged_model_that_does_everything() -> None:
    machine = processor(2)
    taught = best(CATALOG, "sentiment", machine, 4 * 10**9, can_use_hub=False)
    assert (taught.name, taught.model.id) == ("sentiment-en", "all-minilm-l6-v2")
    for language in LANGUAGES:
        assert "Sentiment, English" in taught.why.text(language)
    better = best(CATALOG, "sentiment", machine, 4 * 10**9, can_use_hub=False, on_disk={"distilbert-sst2"})
    assert (better.name, better.adapter) == ("distilbert-sst2", None)


@pytest.mark.parametrize(
    ("language", "on_disk", "expected"),
    [
        ("zh", set(), "sentiment-zh"),
        ("zh", {"distilbert-sst2"}, "sentiment-zh"),
        ("zh", {"distilbert-multilingual-sentiment"}, "distilbert-multilingual-sentiment"),
        ("en", set(), "sentiment-en"),
        ("de", set(), "sentiment-en"),
        ("de", {"distilbert-multilingual-sentiment"}, "distilbert-multilingual-sentiment"),
    ],
)
def test_auto_takes_what_knows_the_language_of_the_text(language: str, on_disk: set[str], expected: str) -> None:
    machine, free = processor(2), 4 * 10**9
    choice = best(CATALOG, "sentiment", machine, free, can_use_hub=False, on_disk=on_disk, language=language)
    assert choice.name == expected
    assert all((choice.adapter or choice.model).name in choice.why.text(each) for each in LANGUAGES)


def test_auto_leaves_out_what_has_labels_of_its_own_when_a_person_names_them() -> None:
    on_disk = {"distilbert-sst2"}
    choice = best(CATALOG, "sentiment", processor(2), 4 * 10**9, can_use_hub=False, on_disk=on_disk, open_labels=True)
    assert (choice.name, choice.adapter) == ("smollm2-135m-instruct", None)


@pytest.mark.parametrize("task", TASKS)
def test_auto_keeps_its_promises_on_every_machine(task: Any) -> None:
    """It can be had, needs nobody's leave, may be used at work, and fits unless it says that it may not."""
    others = [processor(1), processor(16), apple(8)]
    for free_gb, can_use_hub in product((0.5, 1, 2, 4, 8, 16, 48), (True, False)):
        for machine in [*others, card(free_gb), card(free_gb, (5, 2))]:
            keeps_its_promises(task, machine, free_gb, can_use_hub)


def keeps_its_promises(task: Any, machine: Hardware, free_gb: float, can_use_hub: bool) -> None:
    choice = best(CATALOG, task, machine, int(free_gb * 1e9), can_use_hub)
    assert task in (choice.adapter.task if choice.adapter else choice.model.tasks)
    assert choice.model.packaged or (can_use_hub and not hub(choice.model).gated)
    assert "-NC" not in choice.model.licence
    tight = choice.why.code == "reason.auto_tight"
    assert tight or needed_bytes(choice.model, machine) <= free_gb * 1e9


def test_auto_says_it_when_nothing_does_the_task() -> None:
    with pytest.raises(NotFound, match="translate"):
        best(Catalog({}), "translate", processor(2), 10**10, can_use_hub=True)
