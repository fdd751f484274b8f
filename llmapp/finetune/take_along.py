"""What a training made, whole, for other programs: the base with its adapter merged in, as safetensors or as GGUF.

Made once, in a child process (`python -m llmapp.finetune.take_along ORDER`), and kept with the job: a zip that gets its
name when it is complete. Does not know jobs or the page.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ..backend.child import be_child, run_child
from ..backend.disk import check_room, disk_errors, sync_file
from ..backend.gguf_vocabulary import vocabulary
from ..backend.gguf_write import check_family, size_of_gguf, write_gguf
from ..backend.hub_push import ABOUT
from ..backend.progress import Meter, Report
from ..backend.sources import Sources
from ..backend.tensors import SIZES, Kind, Planned, write_tensors
from ..catalog import CARD, Model
from ..errors import BadInput, CanNotRun
from .merge import Merged
from .model_card import model_card
from .turns import Pieces, jinja, modelfile, pieces_of, system_prompt

Form = Literal["merged", "gguf"]
FORMS: tuple[Form, ...] = get_args(Form)
COPIED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")


@dataclass(frozen=True)
class Order:
    """What the child makes: a zip `target` of a base's folder and the zip of an adapter for it.

    `end`: id of the token that ends an answer; `asked_as`: what the training asked; `about`: the README.
    """

    form: Form
    model: str
    base: Path
    adapter: Path
    target: Path
    about: str
    asked_as: Mapping[str, Any]
    sampling: Mapping[str, float]


def take_along(
    form: Form, result: Path, made: Mapping[str, Any], base: Model, sources: Sources, report: Report
) -> Path:
    """The zip of a training whose result folder and report these are; made now where it is not there yet.

    Raises BadInput for what can not be taken along so, and SourceError for a full disk.
    """
    if "asked_as" not in made:
        raise BadInput("take_along_goal")
    local = sources.where(base)
    if local is None:
        raise BadInput("take_along_base", model=base.name)
    adapter = result / str(made["files"]["adapter"])
    target = result / f"{adapter.stem}-{form}.zip"
    about = model_card(form, card_in(adapter), base)
    order = Order(form, base.name, local.folder, adapter, target, about, made["asked_as"], base.sampling)
    with FileLock(result / f".{form}.lock"):
        if not target.exists():
            for left in result.glob(f".{target.name}.*.part"):
                left.unlink()
            ended = run_child("llmapp.finetune.take_along", [json.dumps(asdict(order), default=str)], report)
            if ended is None:
                raise CanNotRun("take_along_killed", name=target.name)
    return target


def check_form(form: str) -> Form:
    """One of FORMS. Raises BadInput for another."""
    for known in FORMS:
        if form == known:
            return known
    raise BadInput("setting_choice", name="as", value=form, choices=", ".join(("adapter", *FORMS)))


def card_in(adapter: Path) -> dict[str, Any]:
    """The card in the zip of an adapter."""
    with zipfile.ZipFile(adapter) as archive:
        return dict(json.loads(archive.read(CARD)))


def make(order: Order, report: Report) -> None:
    """The child's work: the zip, written under another name first."""
    if order.form == "gguf":
        check_family(order.model, _read(order.base, "config.json"))
    with disk_errors(order.target.name, order.target.parent), _weights(order) as weights:
        part = order.target.with_name(f".{order.target.name}.{os.getpid()}.part")
        meter = Meter(report)
        try:
            with zipfile.ZipFile(part, "w") as archive:
                (_merged if order.form == "merged" else _gguf)(order, weights, archive, meter)
                archive.writestr(ABOUT, order.about)
            sync_file(part)
            part.replace(order.target)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _weights(order: Order) -> Iterator[Merged]:
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(order.adapter) as archive:
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            archive.extract(name, folder)
        yield Merged(order.base, Path(folder))


def _merged(order: Order, weights: Merged, archive: zipfile.ZipFile, meter: Meter) -> None:
    """A folder for transformers: fp32 where the base is, else 16 bits, which hold what bf16 held."""
    kind: Kind = "F32" if weights.exact else "F16"
    planned = [Planned(name, kind, shape) for name, shape in weights.shapes.items()]
    total = sum(tensor.size for tensor in planned)
    check_room(order.target.name, order.target.parent, total)
    meter.begin("converting", {order.target.name: total})
    template, pieces = _turns(order)
    for name in COPIED:
        if (order.base / name).exists():
            archive.write(order.base / name, name, zipfile.ZIP_DEFLATED)
    config = _read(order.base, "config.json") | {"dtype": "float32"}  # in fp16 Gemma's middle layers overflow
    texts = {"config.json": config, "generation_config.json": _ends(order)}
    for name, data in texts.items():
        archive.writestr(name, json.dumps(data, indent=2))
    archive.writestr("chat_template.jinja", jinja(template, pieces, order.asked_as))
    with archive.open("model.safetensors", "w", force_zip64=True) as out:
        write_tensors(out, planned, _counted(weights, planned, meter))


def _counted(weights: Merged, planned: list[Planned], meter: Meter) -> Iterator[NDArray[Any]]:
    for tensor in planned:
        made = np.ascontiguousarray(weights.values(tensor.name).astype(f"<f{SIZES[tensor.kind]}", copy=False))
        yield made
        meter.add(made.nbytes)


def _gguf(order: Order, weights: Merged, archive: zipfile.ZipFile, meter: Meter) -> None:
    """A GGUF file and Ollama's Modelfile for it. On the disk it lies twice for a moment."""
    import transformers

    total, file = size_of_gguf(weights.shapes), f"{order.adapter.stem}.gguf".replace(" ", "-")
    check_room(order.target.name, order.target.parent, 2 * total)
    meter.begin("converting", {order.target.name: total})
    said = _read(order.base, "config.json")
    config = transformers.CONFIG_MAPPING[said["model_type"]](**said).to_dict()
    template, pieces = _turns(order)
    about = vocabulary(order.model, order.base, config["vocab_size"])
    end = int(order.asked_as["end"])
    if end != about["tokenizer.ggml.eos_token_id"]:
        about["tokenizer.ggml.eot_token_id"] = end
    first = _names(order.base)["bos_token"]
    if about["tokenizer.ggml.add_bos_token"]:
        if template and not pieces.opening.startswith(first):
            about["tokenizer.ggml.add_bos_token"] = False
        pieces = pieces.without(first)
    about |= {"tokenizer.chat_template": jinja(template, pieces, order.asked_as), "general.name": order.adapter.stem}
    aside = order.target.with_name(f".{order.target.name}.{os.getpid()}.gguf.part")
    try:
        for size in write_gguf(aside, order.model, config, about, weights.shapes, weights.values):
            meter.add(size)
        archive.write(aside, file)
    finally:
        aside.unlink(missing_ok=True)
    archive.writestr("Modelfile", modelfile(file, pieces, system_prompt(order.asked_as), order.sampling))


def _turns(order: Order) -> tuple[str, Pieces]:
    """The base's chat template, empty where it has none, and its pieces."""
    path = order.base / "chat_template.jinja"
    said = _read(order.base, "tokenizer_config.json").get("chat_template", "")
    template = path.read_text(encoding="utf-8") if path.exists() else said if isinstance(said, str) else ""
    tokens = json.loads((order.base / "tokenizer.json").read_text(encoding="utf-8"))
    numbers = {**tokens["model"]["vocab"], **{token["content"]: token["id"] for token in tokens["added_tokens"]}}
    end = next(token for token, number in numbers.items() if number == order.asked_as["end"])
    return template, pieces_of(order.model, template, _names(order.base), order.asked_as, end)


def _names(base: Path) -> dict[str, str]:
    """What the special tokens are called, for a chat template."""
    settings = _read(base, "tokenizer_config.json")
    found = {name: settings.get(name) for name in NAMES}
    return {name: token["content"] if isinstance(token, dict) else token or "" for name, token in found.items()}


def _ends(order: Order) -> dict[str, Any]:
    """generation_config.json, by which an answer ends with the token it was taught to end with."""
    path = order.base / "generation_config.json"
    config = _read(order.base, path.name) if path.exists() else {}
    ends = config.get("eos_token_id")
    known = ends if isinstance(ends, list) else [ends]
    every = dict.fromkeys([int(order.asked_as["end"]), *(end for end in known if end is not None)])
    return config | {"eos_token_id": list(every)}


def _read(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / name).read_text(encoding="utf-8")))


def _order(text: str) -> Order:
    data = json.loads(text)
    return Order(**data | {name: Path(data[name]) for name in ("base", "adapter", "target")})


if __name__ == "__main__":
    sys.exit(be_child(lambda report: make(_order(sys.argv[1]), report)))
