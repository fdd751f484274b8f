"""LoRA adapters on a loaded base: put on and taken off without loading the base again.

Each adapter is a view: a copy of the base's modules that shares its weights, with the adapter's own on top. The
base itself is never changed, so a failure leaves nothing behind and two views may compute at the same time.
A sequence-classification adapter brings its head: its view is a classifier even where the base has no head.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..catalog import CARD
from ..errors import BadInput
from .loader import Loaded, View, set_labels

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})

OWN = "default"
"""Name of the adapter inside its view. Ids of adapters may hold dots, which module names can not."""

OUTPUTS = frozenset({"classifier.weight", "classifier.out_proj.weight", "score.weight"})
"""The layer of a classification model that has a row for each label, by transformers' names."""

FIELDS = (
    "r",
    "lora_alpha",
    "target_modules",
    "modules_to_save",
    "bias",
    "use_rslora",
    "use_dora",
    "lora_bias",
    "rank_pattern",
    "alpha_pattern",
    "layers_to_transform",
    "layers_pattern",
    "fan_in_fan_out",
)
"""What is taken from an adapter's configuration. All else could name modules to import or change the base."""

MEANINGFUL = (
    "alora_invocation_tokens",
    "arrow_config",
    "exclude_modules",
    "kasa_config",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
)
"""What would change the answers and is not taken: an adapter that uses one of these is refused."""


def attach(loaded: Loaded, folder: Path, name: str) -> View:
    """Put the adapter of a folder on a base, under a name; the view that answers with it is in `loaded.views`.

    Reads `adapter_config.json`, `adapter_model.safetensors` and the labels of `card.json`, nothing else. Raises
    BadInput for pickles, other methods than LoRA, and weights that do not fit this base.
    """
    settings = lora_settings(folder)
    weights = _weights(folder, str(loaded.base.model.device))
    if settings.get("task_type") == "SEQ_CLS":
        labels = _labels(folder, weights, loaded.base)
        view = View(_with_head(loaded.base.model, labels, weights, folder.name), "classifier")
    else:
        view = View(_shared(loaded.base.model), loaded.base.kind)
    _inject(view.model, settings, weights, folder.name)
    loaded.views[name] = view
    return view


def detach(loaded: Loaded, name: str) -> None:
    """Take an adapter off. Raises KeyError for a name not attached."""
    del loaded.views[name]


def lora_settings(folder: Path) -> Mapping[str, Any]:
    """`adapter_config.json` of a folder. Raises BadInput for pickles and for other methods than LoRA."""
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        raise BadInput("adapter_pickle", adapter=folder.name, file=pickles[0])
    try:
        settings: Mapping[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind = settings["peft_type"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise BadInput("adapter_file", adapter=folder.name, file=CONFIG, problem=str(problem)) from problem
    used = [key for key in MEANINGFUL if settings.get(key)]
    targets = settings.get("target_modules")
    if kind != "LORA" or used or not (isinstance(targets, list) or targets == "all-linear"):
        what = kind if kind != "LORA" else ", ".join(used) or f"target_modules: {targets}"
        raise BadInput("adapter_kind", adapter=folder.name, what=what)
    return settings


def _weights(folder: Path, device: str) -> dict[str, Any]:
    """Tensors by name, without the prefix that a training wrapper leaves."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(folder / WEIGHTS, device=device)
    except (OSError, SafetensorError) as problem:
        raise BadInput("adapter_file", adapter=folder.name, file=WEIGHTS, problem=str(problem)) from problem
    return {name.removeprefix("base_model.model."): tensor for name, tensor in tensors.items()}


def _labels(folder: Path, weights: Mapping[str, Any], base: View) -> list[str]:
    """Class names: the card's, else the base's own, else numbered; as many as the adapter's head is wide."""
    widths = [len(tensor) for name, tensor in weights.items() if name in OUTPUTS]
    try:
        names = json.loads((folder / CARD).read_text(encoding="utf-8")).get("labels")
    except (OSError, ValueError):
        names = None
    width = widths[0] if widths else len(base.labels)
    labels = list(names or (base.labels if len(base.labels) == width else map("LABEL_{}".format, range(width))))
    if not width or len(labels) != width:
        raise BadInput("adapter_labels", adapter=folder.name, have=width, want=len(labels))
    return labels


def _shared(model: Any) -> Any:
    """A copy of a model's modules around the very same weights."""
    tensors = [*model.parameters(), *model.buffers()]
    states = [tensor.quant_state for tensor in tensors if getattr(tensor, "quant_state", None) is not None]
    return copy.deepcopy(model, {id(each): each for each in (*tensors, *states)})


def _with_head(base: Any, labels: list[str], weights: Mapping[str, Any], adapter: str) -> Any:
    """The base's encoder, shared, under a head for these labels: the adapter's, or where it has none the base's."""
    import torch
    import transformers

    config = copy.deepcopy(base.config)
    set_labels(config, labels)
    try:
        with torch.device("meta"):
            model = transformers.AutoModelForSequenceClassification.from_config(config)
    except ValueError as problem:
        raise BadInput("adapter_base", adapter=adapter, problem=str(problem)) from problem
    body = model.base_model_prefix
    setattr(model, body, _shared(getattr(base, body, base)))
    for name, child in list(model.named_children()):
        if name == body:
            continue
        missing = {f"{name}.{key}" for key in child.state_dict()} - set(weights)
        if missing and not hasattr(base, name):
            raise BadInput("adapter_base", adapter=adapter, problem=", ".join(sorted(missing)))
        if missing:
            setattr(model, name, _shared(getattr(base, name)))
        else:
            child.to(base.dtype).to_empty(device=base.device)
    model.is_loaded_in_4bit = getattr(base, "is_loaded_in_4bit", False)
    return model


def _inject(model: Any, settings: Mapping[str, Any], weights: Mapping[str, Any], adapter: str) -> None:
    """Put LoRA layers into a view and fill them; refused unless layers and weights match one to one."""
    from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict

    config = LoraConfig(**{name: settings[name] for name in FIELDS if settings.get(name) is not None})
    try:
        inject_adapter_in_model(config, model, OWN)
        result = set_peft_model_state_dict(model, weights, OWN)
    except (KeyError, ValueError) as problem:
        raise BadInput("adapter_base", adapter=adapter, problem=str(problem)) from problem
    except RuntimeError as problem:
        if "size mismatch" not in str(problem):
            raise
        raise BadInput("adapter_base", adapter=adapter, problem=str(problem).splitlines()[-1]) from problem
    strange = [*(name for name in result.missing_keys if OWN in name.split(".")), *result.unexpected_keys]
    if strange:
        raise BadInput("adapter_base", adapter=adapter, problem=", ".join(strange[:3]))
    model.eval().requires_grad_(False)
