"""Weights on disk -> a model that computes. The only file that names bitsandbytes, quantization, from_pretrained.

Knows folders, kinds of model and precisions; `adapters` puts LoRA on what it returns. Does not download, decide
on a precision, or keep anything it has loaded. No code from a model's folder is ever run.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..catalog import Kind, Model
from ..errors import BadInput, CanNotRun, SourceError
from .engine import Precision

if TYPE_CHECKING:
    from .sources import Local

T = TypeVar("T")

AUTO: Mapping[Kind, str] = {
    "causal": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "classifier": "AutoModelForSequenceClassification",
    "encoder": "AutoModel",
}

HEADS = frozenset({"classifier", "pre_classifier", "classification_head", "score", "pooler"})
"""Modules on top of an encoder, by transformers' names. A checkpoint may lack them; they are never quantized."""

NOT_QUANTIZED = ("lm_head", "classifier", "pre_classifier", "classification_head", "score", ".*pooler")
"""What stays in the compute type: output layers (mostly tied to the embeddings) and heads. Names or patterns."""


@dataclass(frozen=True)
class View:
    """One model that answers: a base itself, or a base's weights seen through an adapter."""

    model: Any
    kind: Kind

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of a classifier's classes in the order of its outputs; empty for other kinds."""
        if self.kind != "classifier":
            return ()
        return tuple(name for _, name in sorted(self.model.config.id2label.items()))


@dataclass
class Loaded:
    """A base model in memory, and its views through adapters by name, which `adapters` puts on and takes off.

    `fresh`: top modules that the checkpoint lacks and that start random, as a new head does. What trains them
    must save them (`modules_to_save` of a LoRA configuration).
    """

    base: View
    tokenizer: Any
    fresh: tuple[str, ...] = ()
    views: dict[str, View] = field(default_factory=dict)

    @property
    def model(self) -> Any:
        """The base's transformers model."""
        return self.base.model


def has_quantizer() -> bool:
    """True when the package for 4-bit weights is installed; that it imports shows when it is needed."""
    return importlib.util.find_spec("bitsandbytes") is not None


def load(local: Local, model: Model, precision: Precision) -> Loaded:
    """Load a model folder to answer with: eval mode, frozen, on `precision.device`.

    In fp32 on a processor, fp32 weights are mapped from the file and not copied. Raises SourceError for a folder
    that is damaged or incomplete, BadInput for one that can not be used here, CanNotRun without the 4-bit
    package. Where memory runs out, torch's own error comes through, with nothing left behind.
    """
    config = _config(local.folder, model)
    _name_labels(config, model)
    built, fresh = _built(model, AUTO[model.kind], local.folder, config, precision)
    if set(fresh) - ({"pooler"} if model.kind == "encoder" else set()):
        raise SourceError("weights_incomplete", model=model.name, missing=", ".join(fresh))
    built.requires_grad_(False)
    return Loaded(View(built, model.kind), _tokenizer(local.folder, model))


def load_for_training(local: Local, model: Model, precision: Precision, labels: Sequence[str] | None = None) -> Loaded:
    """Load a base to train an adapter on: with `labels`, under a classification head for them.

    A head that the checkpoint lacks, or has for other labels, starts random and is named in `fresh`: seed torch
    first. In 4-bit the base is frozen and prepared for QLoRA. Raises as `load` does.
    """
    config = _config(local.folder, model)
    kind: Kind = model.kind
    if labels is not None:
        kind = "classifier"
        set_labels(config, labels)
    built, fresh = _built(model, AUTO[kind], local.folder, config, precision)
    if set(fresh) - HEADS:
        raise SourceError("weights_incomplete", model=model.name, missing=", ".join(fresh))
    if precision.kind == "4-bit":
        from peft import prepare_model_for_kbit_training

        prepare_model_for_kbit_training(built, use_gradient_checkpointing=False)
    tokenizer = _tokenizer(local.folder, model)
    if built.config.pad_token_id is None:  # a head on a causal model looks for the last token before the padding
        built.config.pad_token_id = tokenizer.pad_token_id
    return Loaded(View(built, kind), tokenizer, fresh)


def footprint(model: Any) -> int:
    """Bytes of a torch model's parameters and buffers, each counted once, scales of 4-bit weights included."""
    sizes = {tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in _tensors(model)}
    return sum(sizes.values())


def _tensors(model: Any) -> Iterator[Any]:
    for tensor in (*model.parameters(), *model.buffers()):
        yield tensor
        state = getattr(tensor, "quant_state", None)
        if state is not None:
            nested = (state.state2.absmax, state.state2.code) if state.nested else ()
            yield from (each for each in (state.absmax, state.code, state.offset, *nested) if each is not None)


def _config(folder: Path, model: Model) -> Any:
    """The folder's configuration. Refused: what would run code, fetch something, or needs another quantizer."""
    import transformers

    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = raw["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise SourceError("weights_damaged", model=model.name, problem=f"config.json: {problem}") from problem
    if kind not in transformers.CONFIG_MAPPING:
        raise BadInput("model_unknown", model=model.name, kind=kind)
    if raw.get("quantization_config"):
        method = raw["quantization_config"].get("quant_method", "?")
        raise BadInput("model_quantized", model=model.name, method=method)
    # Both would make from_pretrained read other files than the model's own.
    strange = "transformers_weights" if "transformers_weights" in raw else "adapter_config.json"
    if strange in raw or (folder / strange).exists():
        raise SourceError("weights_damaged", model=model.name, problem=strange)
    return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _tokenizer(folder: Path, model: Model) -> Any:
    """The folder's tokenizer; a causal model's pads on the left, so that answers of a batch begin side by side."""
    import transformers

    # MarianTokenizer asks for a package at each start that none of its calls uses.
    warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
    load_it = transformers.AutoTokenizer.from_pretrained
    tokenizer = _told(model, lambda: load_it(folder, local_files_only=True, trust_remote_code=False))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if model.kind == "causal":
        tokenizer.padding_side = "left"
    return tokenizer


def _name_labels(config: Any, model: Model) -> None:
    if model.kind == "classifier" and model.labels:
        if config.num_labels != len(model.labels):
            raise BadInput("model_labels", model=model.name, have=config.num_labels, want=len(model.labels))
        set_labels(config, model.labels)


def set_labels(config: Any, labels: Sequence[str]) -> None:
    """Write class names into a transformers configuration, in the order of the outputs."""
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}


def _built(model: Model, auto: str, folder: Path, config: Any, precision: Precision) -> tuple[Any, tuple[str, ...]]:
    """The model, and the names of its top modules that the checkpoint does not hold."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    # Its import, peft's too, warns that a kernel could be fetched from the Hub: nothing a person can or should do.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    options: dict[str, Any] = {
        "config": config,
        "dtype": getattr(torch, precision.compute),
        "device_map": {"": precision.device},
        "attn_implementation": None,  # what config.json names could be code on the Hub
        "experts_implementation": None,
        "use_safetensors": True,
        "local_files_only": True,
        "ignore_mismatched_sizes": True,
        "output_loading_info": True,
    }
    if precision.kind == "4-bit":
        options["quantization_config"] = _nf4(precision)
    load_it = getattr(transformers, auto).from_pretrained
    built, info = _told(model, lambda: load_it(folder, trust_remote_code=False, **options))
    if precision.kind == "4-bit":
        _settle_4bit(built)
    return built, _fresh(built, [*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])])


def _fresh(built: Any, keys: Collection[str]) -> tuple[str, ...]:
    prefix = f"{built.base_model_prefix}."
    return tuple(sorted({key.removeprefix(prefix).split(".")[0] for key in keys}))


def _nf4(precision: Precision) -> Any:
    """4-bit NormalFloat with its scales quantized as well, as QLoRA has it (arXiv 2305.14314)."""
    import torch
    import transformers

    _import_quantizer()
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, precision.compute),
        llm_int8_skip_modules=list(NOT_QUANTIZED),
    )


def _import_quantizer() -> Any:
    try:
        import bitsandbytes
    except (ImportError, OSError, RuntimeError) as problem:
        raise CanNotRun("precision_4bit_package") from problem
    return bitsandbytes


def _settle_4bit(model: Any) -> None:
    """Make 4-bit weights safe to train and save on, and let go of the file they were made from.

    On processors with avx512_bf16, the first forward in eval mode repacks the weights in place; from then on
    gradients are wrong and saved weights can be ruined, without a word. Unpacked they are computed exactly.
    """
    bitsandbytes = _import_quantizer()
    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False
    for tensor in (*model.parameters(), *model.buffers()):
        if getattr(tensor, "quant_state", None) is None:
            tensor.data = tensor.data.clone()  # one tensor mapped from the file keeps all of the file resident


def _told(model: Model, work: Callable[[], T]) -> T:
    """Run a library's loading; what it says of a damaged folder becomes an error that a person can read.

    Raised outside the handler: an exception that is kept must not keep half a model through its traceback.
    """
    from safetensors import SafetensorError

    try:
        return work()
    except (OSError, ValueError, KeyError, SafetensorError) as problem:
        first_line = next(iter(str(problem).splitlines()), "")
    raise SourceError("weights_damaged", model=model.name, problem=first_line)
