"""The model card: front matter that the Hub reads, figures, settings and nothing of the rows."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from llmapp.catalog import Catalog, HubSource, Model
from llmapp.finetune.export import pack
from llmapp.finetune.model_card import model_card

from ..tiny import catalog_entry, tiny_adapter, tiny_causal, tiny_encoder
from .whole import result_of, taken

SORTER: dict[str, Any] = {
    "name": "Spam | or\nnot",
    "labels": ["spam", "ham"],
    "report": {
        "test_rows": 40,
        "train_rows": 320,
        "valid_rows": 40,
        "before": {"kind": "commonest", "answer": "ham", "accuracy": 0.5, "macro_f1": 0.3333},
        "after": {"accuracy": 0.9, "macro_f1": 0.8951},
        "p": 0.00021,
        "steps": 100,
        "best_step": 80,
        "settings": {"rank": 8, "max_tokens": 256, "seed": 3},
        "sha256": "ab" * 32,
        "goal": "sort",
        "effort": "quick",
        "language": "zh-Hant",
        "precision": "fp32",
        "revision": "/home/somebody/secret/base",
        "versions": {"torch": "9.9", "peft": "8.8"},
    },
}


@pytest.fixture(scope="module")
def encoder(catalog: Catalog) -> Model:
    return catalog.model("all-minilm-l6-v2")


def test_the_front_matter_is_what_the_hub_reads(encoder: Model) -> None:
    facts = ModelCard(model_card("adapter", SORTER, encoder)).data
    assert facts.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert (facts.library_name, facts.license, facts.language) == ("peft", "apache-2.0", "zh")
    assert (facts.pipeline_tag, facts.metrics) == ("text-classification", ["accuracy", "f1"])
    assert facts.tags == ["llmapp", "lora"]
    assert facts.model_name == "Spam | or not"
    assert {each.metric_type: each.metric_value for each in facts.eval_results} == {"accuracy": 0.9, "f1": 0.8951}


def test_it_tells_figures_split_settings_versions_and_how_to_run(encoder: Model) -> None:
    text = model_card("adapter", SORTER, encoder)
    for told in (
        "# Spam | or not\n",
        "sorts texts into: spam, ham",
        "| right | 50.0% | 90.0% |",
        "| macro-F1 | 33.3% | 89.5% |",
        "Before: always naming the commonest label, ham.",
        "p = 0.00021",
        "320 to learn from, 40 to choose with, 40 to test on; drawn by a hash with seed 3",
        f"`{'ab' * 32}`",
        "rank 8, max_tokens 256, seed 3",
        "torch 9.9, peft 8.8",
        "[Apache-2.0](https://",
        'python predict.py "some text"',
    ):
        assert told in text, told
    assert "/home/somebody" not in text


def test_a_licence_with_terms_of_its_own_has_a_name_and_a_link(catalog: Catalog) -> None:
    facts = ModelCard(model_card("adapter", SORTER, catalog.model("gemma-3-270m"))).data
    assert (facts.license, facts.license_name) == ("other", "gemma-terms-of-use")
    assert facts.license_link == "https://ai.google.dev/gemma/terms"


def test_a_base_that_is_not_on_the_hub_is_not_said_to_be(encoder: Model) -> None:
    here = replace(encoder, sources=tuple(s for s in encoder.sources if not isinstance(s, HubSource)))
    text = model_card("adapter", SORTER, here)
    assert ModelCard(text).data.base_model is None
    assert "| base | all-minilm-l6-v2 base |" in text


def test_a_report_of_an_early_version_makes_a_card_too(encoder: Model) -> None:
    known = ("test_rows", "train_rows", "steps", "sha256")
    early = {name: SORTER["report"][name] for name in known} | {
        "before": {"accuracy": 0.5},
        "after": {"accuracy": 0.9},
        "settings": {},
    }
    text = model_card("adapter", SORTER | {"report": early}, encoder)
    assert "| right | 50.0% | 90.0% |" in text
    assert "| rows | 320 to learn from, 40 to test on |" in text
    assert "versions" not in text


def test_every_zip_has_its_card(tmp_path: Path) -> None:
    base = tiny_causal(tmp_path / "base")
    model = catalog_entry(base, "causal", "llama")
    made = result_of(tmp_path, base, model, 2, "")
    with zipfile.ZipFile(made[0] / "My style.zip") as archive:
        adapter = ModelCard(archive.read("README.md").decode())
    whole = {form: ModelCard((taken(form, made, model, []) / "README.md").read_text()) for form in ("merged", "gguf")}
    assert adapter.data.metrics == ["chrf", "exact_match"]
    assert [card.data.library_name for card in (adapter, *whole.values())] == ["peft", "transformers", None]
    assert [card.data.to_dict()["base_model_relation"] for card in (adapter, *whole.values())] == [
        "adapter",
        "finetune",
        "finetune",
    ]
    assert "gguf" in whole["gguf"].data.tags
    for card in (adapter, *whole.values()):
        assert "| word for word the same | 50.0% | 50.0% |" in card.text
        assert "rounded to 4 bits" not in card.text


def test_what_was_taught_in_4_bits_says_so_where_it_is_merged(catalog: Catalog) -> None:
    writer = catalog.model("smollm2-135m-instruct")
    card = SORTER | {"labels": [], "report": SORTER["report"] | {"precision": "4-bit"}}
    assert "rounded to 4 bits" in model_card("merged", card, writer)
    assert "rounded to 4 bits" not in model_card("adapter", card, writer)


def test_nobodys_folders_or_tokens_are_in_a_zip(tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path / "base")
    folder = tiny_adapter(
        tmp_path / "adapter",
        base,
        "encoder",
        ("query",),
        ("a", "b"),
        owner="browser-secret",
        report=SORTER["report"],
        name="x",
    )
    file = pack(folder, tmp_path, "x", catalog_entry(base, "encoder", "bert"))
    with zipfile.ZipFile(tmp_path / file) as archive:
        card = json.loads(archive.read("card.json"))
        texts = [archive.read(name) for name in ("card.json", "README.md", "predict.py")]
    assert card["report"]["revision"] == "base"
    assert not any(b"/home/somebody" in text or b"browser-secret" in text for text in texts)
