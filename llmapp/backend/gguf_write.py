"""Writes a GGUF file of a model's tensors: matrices in 16 bits, what is small in fp32; the reader's rules, reversed.

What a GGUF can not say is refused: what would be written is read again by the reader's own rules first, and must give
the model's config. Does not know tokenizers, adapters or where tensors come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput
from .gguf_families import FAMILIES, SETTINGS, Family, names_of, rows_of_heads
from .gguf_file import Facts

WRITTEN = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3_text": "gemma3"}
"""The architectures that are written, by transformers' model_type."""
ELSE: Mapping[str, Any] = {"hidden_act": "silu", "use_sliding_window": False, "use_bidirectional_attention": False}
"""What these architectures always are in llama.cpp; a config may say otherwise."""
F16 = 1
"""general.file_type: mostly 16 bits."""
Values = Callable[[str], NDArray[np.float32]]


def check_family(model: str, config: Mapping[str, Any]) -> str:
    """llama.cpp's name of the architecture. Raises BadInput for one that is not written here."""
    kind = config.get("model_type", "?")
    if kind not in WRITTEN:
        raise BadInput("take_along_family", model=model, kind=kind)
    return WRITTEN[kind]


def facts_of(model: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a config, as transformers fills it in. Raises BadInput for what a GGUF can not say."""
    architecture = check_family(model, config)
    angles = config["rope_parameters"]
    scaled = angles.get("full_attention", angles)
    own = {key: config[name] for key, name in SETTINGS.items()}
    own |= {"attention.value_length": config["head_dim"], "rope.dimension_count": config["head_dim"]}
    own |= {"vocab_size": config["vocab_size"], "rope.freq_base": float(scaled["rope_theta"])}
    if scaled["rope_type"] == "linear":
        own |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(scaled["factor"])}
    if architecture == "gemma3":
        own["attention.sliding_window"] = config["sliding_window"]
    facts = {"general.architecture": architecture} | {f"{architecture}.{key}": value for key, value in own.items()}
    read = FAMILIES[architecture].config(Facts(Path(model), facts))
    for key, value in {**ELSE, **read}.items():
        if key in config and config[key] != value:
            raise BadInput("take_along_setting", model=model, key=key, value=config[key])
    return facts


def write_gguf(
    path: Path,
    model: str,
    config: Mapping[str, Any],
    about: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    values: Values,
) -> Iterator[int]:
    """Write the file, a tensor at a time, and yield the bytes of each; `about` is all other metadata.

    `shapes` and `values` go by transformers' names. Raises BadInput for tensors and settings that have no place.
    """
    import gguf

    known = Facts(path, facts_of(model, config))
    facts = {**known.metadata, "general.file_type": F16, **about}
    family = FAMILIES[facts["general.architecture"]]
    names = _places(model, family, config, shapes)
    writer = gguf.GGUFWriter(path, facts.pop("general.architecture"))
    try:
        for key, value in facts.items():
            _add(writer, key, value)
        for inside, name in names.items():
            shape, kind = shapes[name], np.dtype(_kind(shapes[name]))
            writer.add_tensor_info(inside, shape, kind, int(np.prod(shape)) * kind.itemsize)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for inside, name in names.items():
            changed = _changed(known, family, inside, values(name))
            made = np.ascontiguousarray(changed.astype(_kind(changed.shape)))
            writer.write_tensor_data(made)
            yield made.nbytes
    finally:
        writer.close()


def size_of_gguf(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Bytes of the tensors as they are written."""
    return sum(int(np.prod(shape)) * np.dtype(_kind(shape)).itemsize for shape in shapes.values())


def _kind(shape: tuple[int, ...]) -> type[np.floating[Any]]:
    return np.float32 if len(shape) == 1 else np.float16


def _places(
    model: str, family: Family, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, str]:
    """Names in the file and in transformers of all tensors, which must be those of the architecture."""
    known = dict(names_of(family, config["num_hidden_layers"]))
    strange = set(shapes) ^ {name for name in known.values() if name in shapes or name != "lm_head.weight"}
    if strange:
        raise BadInput("take_along_setting", model=model, key="tensor", value=min(strange))
    return {inside: name for inside, name in known.items() if name in shapes}


def _changed(file: Facts, family: Family, name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the reader's change will undo."""
    change = family.change(name)
    if change == "heads":
        return values[np.argsort(rows_of_heads(file, name, len(values)))]
    return values + np.float32(1) if change == "minus_one" else values


def _add(writer: Any, key: str, value: Any) -> None:
    """One value in the type that llama.cpp reads it in."""
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
