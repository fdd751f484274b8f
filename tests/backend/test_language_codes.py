"""Languages as each translation family wants them, against real tokenizers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import transformers

from llmapp.backend.language_codes import FLORES, normal, translation_arguments
from llmapp.errors import BadInput
from tests import tiny


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("models")
    families = ("m2m100", "nllb", "marian", "t5")
    return {
        family: transformers.AutoTokenizer.from_pretrained(tiny.tiny_seq2seq(root / family, family))
        for family in families
    }


@pytest.mark.parametrize(
    ("tag", "want"),
    [
        ("en", "en"),
        ("EN-us", "en"),
        ("zh", "zh"),
        ("zh-CN", "zh"),
        ("zh_Hans", "zh"),
        ("zh-TW", "zh-hant"),
        ("zh_HK", "zh-hant"),
        ("zh-Hant-TW", "zh-hant"),
        ("nb", "no"),
        ("pt-BR", "pt"),
    ],
)
def test_tags_are_brought_to_one_form(tag: str, want: str) -> None:
    assert normal(tag) == want


def test_m2m100(tokenizers: dict[str, Any]) -> None:
    tokenizer = tokenizers["m2m100"]
    told = translation_arguments(tokenizer, "m2m100", "en-GB", "zh-TW")
    assert told == {"src_lang": "en", "prefix": "", "forced_bos_token_id": tokenizer.get_lang_id("zh")}
    assert tokenizer.convert_ids_to_tokens(told["forced_bos_token_id"]) == "__zh__"
    assert translation_arguments(tokenizer, "m2m100", "fil", "de")["src_lang"] == "tl"


def test_nllb(tokenizers: dict[str, Any]) -> None:
    tokenizer = tokenizers["nllb"]
    told = translation_arguments(tokenizer, "nllb", "en", "zh-CN")
    assert told["src_lang"] == "eng_Latn"
    assert tokenizer.convert_ids_to_tokens(told["forced_bos_token_id"]) == "zho_Hans"
    traditional = translation_arguments(tokenizer, "nllb", "de", "zh-Hant")["forced_bos_token_id"]
    assert tokenizer.convert_ids_to_tokens(traditional) == "zho_Hant"
    tokenizer.src_lang = told["src_lang"]
    assert tokenizer("I love")["input_ids"][0] == tokenizer.convert_tokens_to_ids("eng_Latn")


def test_every_code_is_one_that_nllb_has(tokenizers: dict[str, Any]) -> None:
    assert set(FLORES.values()) <= set(tokenizers["nllb"].all_special_tokens)


def test_marian_for_one_pair_needs_nothing(tokenizers: dict[str, Any]) -> None:
    told = translation_arguments(tokenizers["marian"], "marian", "en", "de")
    assert told == {"src_lang": "", "prefix": "", "forced_bos_token_id": None}


@pytest.mark.parametrize(
    ("marks", "target", "prefix"),
    [
        ([">>cmn_Hans<<", ">>cmn_Hant<<", ">>yue_Hant<<"], "zh", ">>cmn_Hans<< "),
        ([">>cmn_Hans<<", ">>cmn_Hant<<"], "zh-TW", ">>cmn_Hant<< "),
        ([">>fra<<", ">>spa<<"], "fr-CA", ">>fra<< "),
        ([">>fr<<", ">>es<<"], "es", ">>es<< "),
    ],
)
def test_marian_for_many_targets_marks_the_text(marks: list[str], target: str, prefix: str) -> None:
    tokenizer = SimpleNamespace(supported_language_codes=marks)
    assert translation_arguments(tokenizer, "marian", "en", target)["prefix"] == prefix


def test_t5_is_asked_in_words_or_by_a_token(tokenizers: dict[str, Any]) -> None:
    tokenizer = tokenizers["t5"]
    told = translation_arguments(tokenizer, "t5", "en", "de")
    assert told["prefix"] == "translate English to German: "
    tokenizer.add_tokens(["<2es>"])
    assert translation_arguments(tokenizer, "t5", "en", "es")["prefix"] == "<2es> "


@pytest.mark.parametrize(
    ("family", "source", "target", "unknown"),
    [
        ("m2m100", "en", "tlh", "tlh"),
        ("nllb", "tlh", "en", "tlh"),
        ("t5", "en", "ja", "ja"),
        ("bart", "en", "de", "de"),
    ],
)
def test_a_language_the_model_does_not_know_is_said(
    tokenizers: dict[str, Any], family: str, source: str, target: str, unknown: str
) -> None:
    with pytest.raises(BadInput, match=f"`Some Model` does not know the language `{unknown}`"):
        translation_arguments(tokenizers.get(family), family, source, target, "Some Model")


def test_a_tiny_folder_is_the_same_each_time(tmp_path: Path) -> None:
    one, two = tiny.tiny_seq2seq(tmp_path / "one", "nllb"), tiny.tiny_seq2seq(tmp_path / "two", "nllb")
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes(), path.name
