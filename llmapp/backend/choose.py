"""The "Auto" choice: which catalog entry suits a task on this machine, and why.

Takes what is known of the machine, the disk and the network as values: it looks at nothing itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..catalog import Adapter, Catalog, HubSource, Model, Task
from ..errors import NotFound
from ..messages import Message, message
from .device import Hardware, choose_precision

MARGIN = 1.15
"""Weights take this much more than their own size: buffers, fragments, what loading holds for a moment."""

SPARE_BYTES = 300_000_000
"""Activations of a prompt of some thousand tokens, and the libraries' own workspace."""

CONVERSATION = 4096
"""Tokens of key/value cache that must have room: some pages of text, not the whole context."""

PARAMETERS_PER_CORE = 1.35e9
"""Parameters one core gets through in a second in fp32: SmolLM2 135M wrote 20 tokens/s on two cores. Rough."""

USEFUL_CORES = 8
"""More cores do not help one answer: two memory channels are busy by then."""

PLEASANT = 3.5
"""Tokens a second from which reading along is pleasant."""

PLEASANT_THINKING = 4.5
"""The same for a model that thinks before it answers: nothing of that is the answer yet."""

TRAINS_ON_CPU = 50_000_000
"""Parameters up to which a thousand short texts are learned within minutes on a CPU."""


@dataclass(frozen=True)
class Choice:
    """An entry and the reason it was taken; `adapter` goes on top of it."""

    model: Model
    why: Message
    adapter: Adapter | None = None

    @property
    def name(self) -> str:
        """What to lease."""
        return self.adapter.id if self.adapter else self.model.id


def best(
    catalog: Catalog,
    task: Task,
    hardware: Hardware,
    available_bytes: int,
    can_use_hub: bool,
    on_disk: Collection[str] = (),
    open_labels: bool = False,
    language: str = "en",
) -> Choice:
    """The entry to take for a task when a person left it to the app.

    `available_bytes` is what is free where the model would lie: graphics memory on "cuda", else main memory.
    `on_disk`: ids of entries that need no download. Entries that are gated or not for commercial use are left
    to people. Many languages go before few, the Hub's entries before the packaged ones, then `rank` decides; an
    adapter that ships with the app, taught for the task, goes before a packaged model that does many things.
    `open_labels`: a person names the labels, so what was taught other ones is out. `language`: of the text; what does
    not know it is out where something does, else it is taken for English.
    Raises NotFound when no entry does the task.
    """
    fit = [m for m in catalog.models(task) if _may(m) and not (open_labels and m.kind == "classifier")]
    candidates = [m for m in fit if _to_be_had(m, can_use_hub, on_disk)]
    if not candidates:
        raise NotFound("no_model_for_task", task=task)
    candidates = [m for m in candidates if language in m.languages] or [m for m in candidates if "en" in m.languages]
    good = [m for m in candidates if _fits(m, hardware, available_bytes) and _fast(m, task, hardware)]
    taught = None if open_labels or any(not m.packaged for m in good) else _taught(catalog, task, good, language)
    if taught and _fits(taught.model, hardware, available_bytes):
        return taught
    if not good:
        smallest = min(candidates, key=lambda m: needed_bytes(m, hardware))
        return Choice(smallest, _reason("auto_tight", smallest, hardware, available_bytes))
    model = min(good, key=lambda m: (m.packaged, len(m.languages) <= 2, m.rank))
    return Choice(model, _reason(_code(model, hardware, can_use_hub), model, hardware, available_bytes))


def _taught(catalog: Catalog, task: Task, good: Collection[Model], language: str) -> Choice | None:
    """What ships with the app for a task and a language: a model of its own, or an adapter on a packaged base."""
    for model in good:
        if model.kind == "classifier" and language in model.languages:
            values = {"model": model.name, "language": Message(f"language.{language}")}
            return Choice(model, message("reason.auto_made_for", **values))
    for adapter in catalog.adapters("", task):
        base = catalog.model(adapter.base)
        if base.packaged:
            return Choice(base, message("reason.auto_taught", adapter=adapter.name, model=base.name), adapter)
    return None


def needed_bytes(model: Model, hardware: Hardware) -> int:
    """Bytes to load an entry in the precision it would get here, and to hold a conversation with it."""
    kind = choose_precision(model, hardware).kind
    cache = model.kv_bytes_per_token * CONVERSATION * (2 if kind == "fp32" else 1)
    return int(model.memory_mb[kind] * 1e6 * MARGIN) + cache + SPARE_BYTES


def _may(model: Model) -> bool:
    gated = all(isinstance(source, HubSource) and source.gated for source in model.sources)
    return not gated and not model.one_way and "-NC" not in model.licence


def _to_be_had(model: Model, can_use_hub: bool, on_disk: Collection[str]) -> bool:
    return can_use_hub or model.packaged or model.id in on_disk


def _fits(model: Model, hardware: Hardware, available_bytes: int) -> bool:
    needed = needed_bytes(model, hardware)
    if model.reasoning and hardware.device != "cpu":
        needed *= 2  # a card with that much memory is also one on which waiting for the thoughts is short
    return needed <= available_bytes


def _fast(model: Model, task: Task, hardware: Hardware) -> bool:
    if hardware.device != "cpu":
        return True
    if task == "finetune":
        return model.parameters <= TRAINS_ON_CPU
    if model.kind in ("classifier", "encoder") or model.packaged:
        return True
    tokens_per_s = PARAMETERS_PER_CORE * min(hardware.cores, USEFUL_CORES) / model.parameters
    return tokens_per_s >= (PLEASANT_THINKING if model.reasoning else PLEASANT)


def _code(model: Model, hardware: Hardware, can_use_hub: bool) -> str:
    if model.packaged:
        return "auto_packaged" if can_use_hub else "auto_no_hub"
    return "auto_cpu" if hardware.device == "cpu" else "auto_gpu"


def _reason(code: str, model: Model, hardware: Hardware, available_bytes: int) -> Message:
    return message(
        f"reason.{code}",
        model=model.name,
        precision=choose_precision(model, hardware).kind,
        needs_gb=needed_bytes(model, hardware) / 1e9,
        free_gb=available_bytes / 1e9,
        cores=hardware.cores,
    )
