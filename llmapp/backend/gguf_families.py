"""How the architectures of GGUF files look in transformers: config, tensor names, changes of values.

llama.cpp's convert_hf_to_gguf.py wrote these files; each rule here undoes one of its own, and is read the other way
round where a GGUF is written (`gguf_write`). Reads no values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .gguf_file import Facts, GgufFile, Tensor

Change = Literal["", "heads", "minus_one", "transposed"]
EMBEDDING, HEAD = "token_embd.weight", "output.weight"
LAYER = "blk."

LINEARS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
PRE_NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
HEAD_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
GEMMA_NORMS = {
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
GPT2_LAYER = {
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
SETTINGS = {
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "context_length": "max_position_embeddings",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
}
OUTER = {EMBEDDING: "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
GPT2_OUTER = {
    EMBEDDING: "transformer.wte.weight",
    "position_embd.weight": "transformer.wpe.weight",
    "output_norm.weight": "transformer.ln_f.weight",
    "output_norm.bias": "transformer.ln_f.bias",
}


@dataclass(frozen=True)
class Place:
    """Where one tensor goes: its name in transformers and what undoes llama.cpp's change."""

    tensor: Tensor
    name: str
    change: Change


@dataclass(frozen=True)
class Family:
    """One architecture: names outside and inside the layers, the change of a tensor, and its config."""

    model_class: str
    outer: Mapping[str, str]
    layers: str
    layer: Mapping[str, str]
    change: Callable[[str], Change]
    config: Callable[[Facts], dict[str, Any]]


def family_of(file: GgufFile) -> Family:
    """The family of a file. Raises SourceError naming an architecture that is not known here."""
    architecture = file.setting("general.architecture")
    if architecture not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise SourceError("gguf_architecture", file=file.path.name, architecture=architecture, known=known)
    return FAMILIES[architecture]


def config_of(file: GgufFile) -> dict[str, Any]:
    """config.json of a file. Raises SourceError for settings that are missing or not known here."""
    family = family_of(file)
    return {
        "architectures": [family.model_class],
        "dtype": "float32",
        "vocab_size": file.tensors[EMBEDDING].shape[0] if EMBEDDING in file.tensors else 0,
        "tie_word_embeddings": HEAD not in file.tensors,
        **special_ids(file),
        **family.config(file),
    }


def special_ids(file: GgufFile) -> dict[str, Any]:
    """Ids that begin, end and pad: all ids that end an answer, the file's own first."""
    ends = [file.metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")]
    known = list(dict.fromkeys(end for end in ends if end is not None))
    return {
        "bos_token_id": file.metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": known if len(known) > 1 else next(iter(known), None),
        "pad_token_id": file.metadata.get("tokenizer.ggml.padding_token_id"),
    }


def places_of(file: GgufFile) -> list[Place]:
    """Every tensor with its place, in the file's order.

    Raises SourceError where a tensor is missing or has no place: better no model than a wrong one.
    """
    family = family_of(file)
    names = dict(names_of(family, _setting(file, "block_count")))
    for name in (*names, *file.tensors):
        if name not in names or (name not in file.tensors and name != HEAD):
            architecture = file.setting("general.architecture")
            raise SourceError("gguf_tensor", file=file.path.name, tensor=name, architecture=architecture)
    return [Place(tensor, names[name], family.change(name)) for name, tensor in file.tensors.items()]


def rows_of_heads(file: Facts, name: str, rows: int) -> NDArray[np.intp]:
    """The order of a tensor's rows that undoes "heads": in each head, the even rows and then the odd ones."""
    key = "attention.head_count_kv" if ".attn_k." in name else "attention.head_count"
    heads = _setting(file, key, _setting(file, "attention.head_count"))
    return np.arange(rows).reshape(heads, -1, 2).swapaxes(1, 2).reshape(-1)


def names_of(family: Family, layers: int) -> Iterator[tuple[str, str]]:
    """Every tensor that a file of so many layers can hold: its name there, and in transformers."""
    yield from family.outer.items()
    yield HEAD, "lm_head.weight"
    for number in range(layers):
        for inside, name in family.layer.items():
            yield f"{LAYER}{number}.{inside}", f"{family.layers}.{number}.{name}"


def _with(ending: str, names: Mapping[str, str]) -> dict[str, str]:
    return {f"{inside}.{ending}": f"{name}.{ending}" for inside, name in names.items()}


def _setting(file: Facts, key: str, default: Any = None) -> Any:
    return file.setting(f"{file.setting('general.architecture')}.{key}", default)


def _unknown(file: Facts, key: str, value: object) -> SourceError:
    full = f"{file.setting('general.architecture')}.{key}"
    return SourceError("gguf_setting", file=file.path.name, key=full, value=value)


def _decoder(model_type: str) -> Callable[[Facts], dict[str, Any]]:
    def config(file: Facts) -> dict[str, Any]:
        heads = _setting(file, "attention.head_count")
        usual = {
            "attention.head_count_kv": heads,
            "attention.key_length": _setting(file, "embedding_length") // heads,
        }
        said = {name: _setting(file, key, usual.get(key)) for key, name in SETTINGS.items()}
        return {"model_type": model_type, **said, "rope_parameters": _rope(file)}

    return config


def _rope(file: Facts) -> dict[str, Any]:
    scaling = _setting(file, "rope.scaling.type", "none")
    angles = {"rope_type": "default", "rope_theta": _setting(file, "rope.freq_base", 10000.0)}
    if scaling == "linear":
        return {**angles, "rope_type": "linear", "factor": _setting(file, "rope.scaling.factor")}
    if scaling != "none":
        raise _unknown(file, "rope.scaling.type", scaling)
    return angles


def _gemma3(file: Facts) -> dict[str, Any]:
    """Gemma 3's text half; numbers a GGUF does not hold are those of llama.cpp's gemma3 loader.

    Every sixth layer sees everything; the others a window, with rotary angles of their own, never scaled.
    Attention is scaled by the width of a head; in the 27B (62 layers) by the model's width over its heads.
    """
    config = _decoder("gemma3_text")(file)
    layers, period = config["num_hidden_layers"], _setting(file, "attention.sliding_window_pattern", 6)
    if not isinstance(period, int):
        raise _unknown(file, "attention.sliding_window_pattern", period)
    local = {"rope_type": "default", "rope_theta": _setting(file, "rope.freq_base_swa", 10000.0)}
    per_head = config["hidden_size"] // config["num_attention_heads"]
    return {
        **config,
        "rope_parameters": {"full_attention": config["rope_parameters"], "sliding_attention": local},
        "layer_types": [
            "sliding_attention" if number % period else "full_attention" for number in range(1, layers + 1)
        ],
        "sliding_window": _setting(file, "attention.sliding_window"),
        "query_pre_attn_scalar": per_head if layers == 62 else config["head_dim"],
        "final_logit_softcapping": _setting(file, "final_logit_softcapping", 0.0) or None,
        "hidden_activation": "gelu_pytorch_tanh",
    }


def _gpt2(file: Facts) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "n_positions": _setting(file, "context_length"),
        "n_embd": _setting(file, "embedding_length"),
        "n_inner": _setting(file, "feed_forward_length"),
        "n_layer": _setting(file, "block_count"),
        "n_head": _setting(file, "attention.head_count"),
        "layer_norm_epsilon": _setting(file, "attention.layer_norm_epsilon"),
    }


def _llama_change(name: str) -> Change:
    """llama.cpp turns rotary halves into pairs within each head of llama's queries and keys."""
    return "heads" if ".attn_q." in name or ".attn_k." in name else ""


def _gemma_change(name: str) -> Change:
    """Gemma multiplies by 1 + weight; a GGUF holds the sum."""
    return "minus_one" if name.endswith("norm.weight") else ""


def _gpt2_change(name: str) -> Change:
    """GPT-2 keeps its linear weights input first."""
    return "transposed" if name.startswith(LAYER) and name.endswith(".weight") and "norm" not in name else ""


def _no_change(_name: str) -> Change:
    return ""


BARE = _with("weight", LINEARS | PRE_NORMS)
QWEN2_LAYER = BARE | _with("bias", {name: LINEARS[name] for name in ("attn_q", "attn_k", "attn_v")})
QWEN3_LAYER = BARE | _with("weight", HEAD_NORMS)
GEMMA3_LAYER = _with("weight", LINEARS | GEMMA_NORMS | HEAD_NORMS)
GPT2_BOTH = _with("weight", GPT2_LAYER) | _with("bias", GPT2_LAYER)
LAYERS = "model.layers"
FAMILIES = {
    "llama": Family("LlamaForCausalLM", OUTER, LAYERS, BARE, _llama_change, _decoder("llama")),
    "qwen2": Family("Qwen2ForCausalLM", OUTER, LAYERS, QWEN2_LAYER, _no_change, _decoder("qwen2")),
    "qwen3": Family("Qwen3ForCausalLM", OUTER, LAYERS, QWEN3_LAYER, _no_change, _decoder("qwen3")),
    "gemma3": Family("Gemma3ForCausalLM", OUTER, LAYERS, GEMMA3_LAYER, _gemma_change, _gemma3),
    "gpt2": Family("GPT2LMHeadModel", GPT2_OUTER, "transformer.h", GPT2_BOTH, _gpt2_change, _gpt2),
}
