"""Writes a tiny model folder as a GGUF file, as llama.cpp's convert_hf_to_gguf.py would; fast.

Names of tensors come from the gguf package's own table. Nothing of llmapp is used here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file

PRE = {"llama": "gpt-2", "gpt2": "gpt-2", "qwen2": "qwen2", "qwen3": "qwen2", "gemma3": "default"}
NORMAL, CONTROL, USER_DEFINED, BYTE = 1, 3, 4, 6


def write_gguf(
    model: Path,
    path: Path,
    family: str,
    kind: str = "F32",
    pre: str = "",
    facts: dict[str, Any] | None = None,
    more: dict[str, np.ndarray] | None = None,
    leave_out: str = "",
) -> Path:
    """One GGUF file of a folder that `tiny_causal` wrote; matrices in `kind`, vectors in fp32.

    `facts` and `more` add metadata and tensors, `leave_out` names a tensor that is not written.
    """
    writer = gguf.GGUFWriter(path, family)
    config = json.loads((model / "config.json").read_text())
    _write_config(writer, config, family)
    _write_tokenizer(writer, model, family, pre or PRE[family])
    for key, value in (facts or {}).items():
        (writer.add_string if isinstance(value, str) else writer.add_float32)(key, value)
    tensors = {**_renamed(load_file(model / "model.safetensors"), config, family), **(more or {})}
    for name, values in tensors.items():
        if name != leave_out:
            _write_tensor(writer, name, values, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_tensor(writer: gguf.GGUFWriter, name: str, values: np.ndarray, kind: str) -> None:
    if kind == "F32" or values.ndim == 1:
        writer.add_tensor(name, np.ascontiguousarray(values))
        return
    quantization = gguf.GGMLQuantizationType[kind]
    writer.add_tensor(name, gguf.quantize(values, quantization), raw_dtype=quantization)


def _write_config(writer: gguf.GGUFWriter, config: dict[str, Any], family: str) -> None:
    if family == "gpt2":
        writer.add_context_length(config["n_positions"])
        writer.add_embedding_length(config["n_embd"])
        writer.add_feed_forward_length(config["n_inner"] or 4 * config["n_embd"])
        writer.add_block_count(config["n_layer"])
        writer.add_head_count(config["n_head"])
        writer.add_layer_norm_eps(config["layer_norm_epsilon"])
        return
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    rope = config["rope_parameters"]
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if family in ("qwen3", "gemma3"):
        writer.add_key_length(config["head_dim"])
    if family == "gemma3":
        writer.add_sliding_window(config["sliding_window"])


def _write_tokenizer(writer: gguf.GGUFWriter, model: Path, family: str, pre: str) -> None:
    data = json.loads((model / "tokenizer.json").read_text())
    numbers = {**data["model"]["vocab"], **{token["content"]: token["id"] for token in data["added_tokens"]}}
    special = {token["content"] for token in data["added_tokens"]}
    tokens = sorted(numbers, key=lambda token: numbers[token])
    spm = family == "gemma3"
    writer.add_tokenizer_model("llama" if spm else "gpt2")
    writer.add_tokenizer_pre(pre)
    if spm:
        runs = {token for token in tokens if len(token) > 1 and not token.strip("▁")}
        writer.add_token_list([token.replace("▁", " ") if token in runs else token for token in tokens])
        writer.add_token_scores([-float(number) for number in range(len(tokens))])
        writer.add_token_types([_kind(token, special, runs) for token in tokens])
        writer.add_add_bos_token(True)
    else:
        writer.add_token_list(tokens)
        writer.add_token_types([CONTROL if token in special else NORMAL for token in tokens])
        writer.add_token_merges([" ".join(merge) for merge in data["model"]["merges"]])
    settings = json.loads((model / "tokenizer_config.json").read_text())
    for role, add in (("bos", writer.add_bos_token_id), ("eos", writer.add_eos_token_id)):
        add(numbers[settings[f"{role}_token"]])
    writer.add_pad_token_id(numbers[settings["pad_token"]])
    if spm:
        writer.add_unk_token_id(numbers[settings["unk_token"]])
        writer.add_eot_token_id(numbers["<end_of_turn>"])
    template = model / "chat_template.jinja"
    if template.exists():
        writer.add_chat_template(template.read_text())


def _kind(token: str, special: set[str], runs: set[str]) -> int:
    if token in special:
        return CONTROL
    if token in runs:
        return USER_DEFINED
    return BYTE if token.startswith("<0x") else NORMAL


def _renamed(tensors: dict[str, np.ndarray], config: dict[str, Any], family: str) -> dict[str, np.ndarray]:
    architecture = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}[family]
    names = gguf.get_tensor_name_map(architecture, config.get("num_hidden_layers") or config["n_layer"])
    found = {}
    for name, values in tensors.items():
        new = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert new is not None, name
        found[new] = _changed(new, values, config, family)
    return found


def _changed(name: str, values: np.ndarray, config: dict[str, Any], family: str) -> np.ndarray:
    if family == "llama" and ("attn_q" in name or "attn_k" in name):
        heads = config["num_attention_heads" if "attn_q" in name else "num_key_value_heads"]
        rows, columns = values.shape
        return values.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
    if family == "gemma3" and name.endswith("norm.weight"):
        return values + 1
    if family == "gpt2" and name.startswith("blk.") and values.ndim == 2:
        return values.T
    return values
