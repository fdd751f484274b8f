"""The shape of every Hub entry of the catalog, as its published config gives it: model_type and what counts.

Where each was read stands in docs/models.md. Only what changes the number of parameters or the cache is here.
"""

from __future__ import annotations

from typing import Any

_QWEN3 = {"vocab_size": 151936, "head_dim": 128, "num_key_value_heads": 8, "tie_word_embeddings": True}
_MARIAN = {
    "vocab_size": 65001,
    "d_model": 512,
    "encoder_layers": 6,
    "decoder_layers": 6,
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "decoder_ffn_dim": 2048,
    "max_position_embeddings": 512,
    "pad_token_id": 65000,
    "decoder_start_token_id": 65000,
}
_ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1}


def _decoder(hidden: int, middle: int, layers: int, heads: int, **more: Any) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "intermediate_size": middle,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        **more,
    }


CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3-0.6b": ("qwen3", _QWEN3 | _decoder(1024, 3072, 28, 16)),
    "qwen3-1.7b": ("qwen3", _QWEN3 | _decoder(2048, 6144, 28, 16)),
    "qwen3-4b-instruct-2507": ("qwen3", _QWEN3 | _decoder(2560, 9728, 36, 32)),
    "qwen3-8b": ("qwen3", _QWEN3 | _decoder(4096, 12288, 36, 32, tie_word_embeddings=False)),
    "granite-4.1-3b": (
        "granite",
        _decoder(2560, 8192, 40, 40, num_key_value_heads=8, vocab_size=100352, tie_word_embeddings=True),
    ),
    "smollm2-360m-instruct": (
        "llama",
        _decoder(960, 2560, 32, 15, num_key_value_heads=5, vocab_size=49152, tie_word_embeddings=True),
    ),
    "llama-3.2-3b-instruct": (
        "llama",
        _decoder(3072, 8192, 28, 24, num_key_value_heads=8, vocab_size=128256, tie_word_embeddings=True),
    ),
    "gemma-3-1b-it": (
        "gemma3_text",
        _decoder(1152, 6912, 26, 4, num_key_value_heads=1, head_dim=256, vocab_size=262144),
    ),
    "hy-mt2-1.8b": (
        "hunyuan_v1_dense",
        _decoder(2048, 6144, 32, 16, num_key_value_heads=4, head_dim=128, vocab_size=120818)
        | {"tie_word_embeddings": True},
    ),
    "opus-mt-en-zh": ("marian", _MARIAN),
    "opus-mt-zh-en": ("marian", _MARIAN),
    "m2m100-418m": ("m2m_100", {"vocab_size": 128112}),
    "nllb-200-distilled-600m": ("m2m_100", {"vocab_size": 256206}),
    "bart-large-cnn": ("bart", {"vocab_size": 50264}),
    "distilbart-cnn-6-6": ("bart", {"vocab_size": 50264, "encoder_layers": 6, "decoder_layers": 6}),
    "t5-small": ("t5", {}),
    "distilbert-sst2": ("distilbert", {"num_labels": 2}),
    "distilbert-multilingual-sentiment": ("distilbert", {"vocab_size": 119547, "num_labels": 3}),
    "twitter-roberta-sentiment": ("roberta", _ROBERTA | {"vocab_size": 50265, "num_labels": 3}),
    "erlangshen-sentiment-zh": ("bert", {"vocab_size": 21128, "num_labels": 2}),
    "bert-base-uncased": ("bert", {}),
    "bert-base-chinese": ("bert", {"vocab_size": 21128}),
    "distilbert-base-uncased": ("distilbert", {}),
    "xlm-roberta-base": ("xlm-roberta", _ROBERTA | {"vocab_size": 250002}),
    "gpt2": ("gpt2", {}),
}
