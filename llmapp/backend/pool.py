"""The one owner of loaded weights: who wants a model leases it here, one after the other.

One instance per (model, revision, precision) and one load however many ask; the least recently used unleased
model goes when memory is short. Knows sources, the loader and the engine; not tasks, pages or owners' rights.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from ..catalog import Adapter, Catalog, Model
from ..errors import Busy
from .device import Hardware, choose_precision
from .engine import Engine, EngineInfo, Precision
from .linear import FAMILY, Linear, LinearEngine, load_linear
from .memory import Guard, LastWords, check_fits, estimate, give_back, in_words, let_go_early
from .prefix_cache import PrefixCache
from .progress import Progress, Report
from .sources import Local, Sources
from .states import Absent, LoadedState, Loading, State
from .tokens import Prompt, Tokens

if TYPE_CHECKING:
    from .loader import Loaded, View
    from .torch_engine import TorchEngine

LOOK_S = 0.1
"""How often who waits looks whether to stop, and passes progress on."""


@dataclass(eq=False)
class _Slot:
    """One instance, from the first wish for it until it is gone."""

    model: Model
    precision: Precision
    revision: str = ""
    weights: str = ""
    loaded: Loaded | Linear | None = None
    tokens: Tokens | None = None
    engine: TorchEngine | LinearEngine | None = None
    bytes: int = 0
    since: float = 0.0
    used: float = 0.0
    wanted: int = 0
    progress: Progress = Progress("resolving")
    problem: BaseException | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    line: deque[object] = field(default_factory=deque)
    prefixes: PrefixCache = field(default_factory=PrefixCache)


class Pool:
    """Loads, lends, evicts and frees models. Safe to use from any thread."""

    def __init__(
        self,
        catalog: Catalog,
        sources: Sources,
        hardware: Hardware,
        wish: str = "auto",
        last_words: LastWords | None = None,
        answering: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`answering` is entered for as long as somebody has or waits for a lease."""
        self._answering = answering
        self._catalog, self._sources, self._hardware, self._wish = catalog, sources, hardware, wish
        self._guard = Guard(hardware, last_words)
        self._changed = threading.Condition()
        self._one_load = threading.Lock()
        self._slots: list[_Slot] = []
        self._closed = False

    @contextmanager
    def lease(
        self,
        name: str,
        owner: str = "",
        report: Report | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[Engine]:
        """An engine for a model id or an adapter id, alone until the block ends; what is missing is loaded.

        `report` hears how a load goes on, whoever started it. Waiting ends with Busy once `cancel` is set; a load
        that nobody waits for any more is given up. When the block ends, what it left running has ended.
        Raises NotFound, SourceError, CanNotRun, OutOfMemory, Busy.
        """
        model, adapter = self._catalog.resolve(name, owner)
        with self._answering():
            yield from self._lent(model, adapter, report, cancel)

    def _lent(
        self, model: Model, adapter: Adapter | None, report: Report | None, cancel: threading.Event | None
    ) -> Iterator[Engine]:
        slot = self._want(model)
        try:
            self._await(slot, lambda: slot.loaded is not None, cancel, report)
            with self._turn(slot, cancel):
                engine = self._engine(slot, adapter)
                try:
                    yield engine
                finally:
                    engine.end()
                    slot.engine = None
        finally:
            self._let_go(slot)

    def unload(self, model_id: str) -> None:
        """Give a model's memory back to the system, if it is loaded. Raises Busy while it is leased or loading."""
        with self._changed:
            for slot in [slot for slot in self._slots if slot.model.id == model_id]:
                if slot.wanted or slot.loaded is None:
                    raise Busy("model_in_use", model=slot.model.name)
                self._drop(slot)
        give_back()

    def loaded(self) -> list[LoadedState]:
        """What is in memory, the longest loaded first."""
        with self._changed:
            return [_state(slot) for slot in self._slots if slot.loaded is not None]

    def state(self, name: str, owner: str = "") -> State:
        """How a model, or an adapter's base, stands. Raises NotFound."""
        model, _ = self._catalog.resolve(name, owner)
        with self._changed:
            slot = self._find(model)
            if slot is None:
                return Absent()
            return Loading(slot.progress) if slot.loaded is None else _state(slot)

    def count_tokens(self, name: str, prompt: Prompt, owner: str = "") -> int | None:
        """Length of a prompt, without waiting for whoever leases the model; None while it is not loaded."""
        model, _ = self._catalog.resolve(name, owner)
        with self._changed:
            slot = self._find(model)
            tokens = slot.tokens if slot else None
        return len(tokens.ids(prompt)) if tokens else None

    def close(self) -> None:
        """Stop all loads and streams, and free everything; every lease after it is refused."""
        with self._changed:
            self._closed = True
            slots = list(self._slots)
            for slot in slots:
                slot.cancel.set()
            self._changed.notify_all()
        for slot in slots:
            engine = slot.engine
            if engine is not None:
                engine.end()
        with self._changed:
            for slot in slots:
                self._drop(slot)
        give_back()

    def _want(self, model: Model) -> _Slot:
        """The slot of a model, counted as wanted; a load is begun where there is none."""
        precision = choose_precision(model, self._hardware, self._wish)
        with self._changed:
            slot = self._find(model)
            if slot is None:
                slot = _Slot(model, precision)
                self._slots.append(slot)
                threading.Thread(target=self._fill, args=(slot,), name=f"load {model.id}").start()
            slot.wanted += 1
            return slot

    def _find(self, model: Model) -> _Slot | None:
        """The instance that answers for a model, unless another revision of it lies on the disk by now."""
        local = self._sources.where(model)
        for slot in self._slots:
            if slot.model.id == model.id and (not local or slot.revision in ("", local.revision)):
                return slot
        return None

    def _let_go(self, slot: _Slot) -> None:
        with self._changed:
            slot.wanted -= 1
            slot.used = time.monotonic()
            if not slot.wanted and slot.loaded is None:
                slot.cancel.set()
                self._drop(slot)  # who comes now begins anew
            self._changed.notify_all()

    def _await(
        self,
        slot: _Slot,
        ready: Callable[[], bool],
        cancel: threading.Event | None,
        report: Report | None = None,
    ) -> None:
        """Wait for something of a slot, passing progress on. Raises the slot's problem, or Busy when stopped."""
        told: Progress | None = None
        while True:
            with self._changed:
                if slot.problem:
                    raise slot.problem
                if self._closed or (cancel and cancel.is_set()):
                    raise Busy("lease_stopped", model=slot.model.name)
                if ready():
                    return
                if report is None or slot.progress is told:
                    self._changed.wait(LOOK_S)
                    continue
                told = slot.progress
            report(told)  # outside the lock: nobody knows how long it takes

    @contextmanager
    def _turn(self, slot: _Slot, cancel: threading.Event | None) -> Iterator[None]:
        """Alone with a loaded slot, first come first served."""
        ticket = object()
        with self._changed:
            slot.line.append(ticket)
        try:
            self._await(slot, lambda: slot.line[0] is ticket, cancel)
            yield
        finally:
            with self._changed:
                slot.line.remove(ticket)
                self._changed.notify_all()

    def _engine(self, slot: _Slot, adapter: Adapter | None) -> TorchEngine | LinearEngine:
        if isinstance(slot.loaded, Linear):
            info = EngineInfo(slot.model, slot.revision, slot.precision, slot.weights, labels=slot.loaded.labels)
            slot.engine = LinearEngine(slot.loaded, info)
            return slot.engine
        from .torch_engine import TorchEngine

        if slot.loaded is None or slot.tokens is None:
            raise Busy("lease_stopped", model=slot.model.name)
        view = slot.loaded.base if adapter is None else self._view(slot.loaded, adapter)
        info = EngineInfo(slot.model, slot.revision, slot.precision, slot.weights, adapter, view.labels)
        slot.engine = TorchEngine(view.model, view.kind, slot.tokens, info, self._guard, slot.prefixes)
        return slot.engine

    def _view(self, loaded: Loaded, adapter: Adapter) -> View:
        """The base seen through an adapter, attached the first time and again when it was trained anew."""
        from .adapters import attach, detach

        name = adapter.weights
        if name not in loaded.views:
            for old in [each for each in loaded.views if _adapter_id(each) == adapter.id]:
                detach(loaded, old)
            in_words(self._catalog.model(adapter.base), lambda: attach(loaded, adapter.folder, name))
        return loaded.views[name]

    def _fill(self, slot: _Slot) -> None:
        """Get a model from wherever it is into memory; runs in a thread of its own."""
        try:
            self._check_hope(slot)
            local = self._sources.fetch(slot.model, lambda progress: self._tell(slot, progress), slot.cancel)
            with self._one_load:
                self._tell(slot, Progress("loading"))
                self._make_room(slot)
                loaded = self._load(slot, local)
        except BaseException as problem:  # whoever waits raises it
            traceback.clear_frames(problem.__traceback__)  # they may hold half a model
            with self._changed:
                slot.problem = problem
                self._drop(slot)
                self._changed.notify_all()
            give_back()
            return
        with self._changed:
            slot.loaded = loaded
            slot.tokens = None if isinstance(loaded, Linear) else Tokens(loaded.tokenizer, slot.model)
            slot.since, slot.used = time.time(), time.monotonic()
            if slot not in self._slots:  # nobody waited for it any more
                self._drop(slot)
            self._changed.notify_all()

    def _load(self, slot: _Slot, local: Local) -> Loaded | Linear:
        if slot.cancel.is_set():
            raise Busy("lease_stopped", model=slot.model.name)
        slot.revision, slot.weights = local.revision, local.weights
        if slot.model.family == FAMILY:
            linear = load_linear(local.folder, slot.model)
            slot.bytes = linear.bytes
            return linear
        return self._load_torch(slot, local)

    def _load_torch(self, slot: _Slot, local: Local) -> Loaded:
        import torch

        from .loader import footprint, load

        if torch.get_num_threads() != _threads(self._hardware):
            torch.set_num_threads(_threads(self._hardware))
        let_go_early()
        with self._guard.loading(slot.model):
            loaded = in_words(slot.model, lambda: load(local, slot.model, slot.precision))
        slot.bytes = footprint(loaded.base.model)
        return loaded

    def _tell(self, slot: _Slot, progress: Progress) -> None:
        with self._changed:
            slot.progress = progress
            self._changed.notify_all()

    def _check_hope(self, slot: _Slot) -> None:
        """Raise OutOfMemory, before anything is downloaded, for what would not fit an otherwise empty app."""
        if self._guard.kills:
            could_go = sum(state.bytes for state in self.loaded())
            check_fits(slot.model, slot.precision, self._guard.free() + could_go)

    def _make_room(self, slot: _Slot) -> None:
        """Free the least recently used models that nobody leases until this one fits; else raise OutOfMemory."""
        needed = estimate(slot.model, slot.precision)
        while (free := self._guard.free()) < needed:
            with self._changed:
                others = [other for other in self._slots if other.loaded is not None]
                idle = [other for other in others if not other.wanted]
                if not idle:
                    break
                self._drop(min(idle, key=lambda other: other.used))
            give_back()
        else:
            return
        if self._guard.kills:  # a card says so itself, and the estimate may be too careful
            check_fits(slot.model, slot.precision, free, [other.model.name for other in others])

    def _drop(self, slot: _Slot) -> None:
        if slot in self._slots:
            self._slots.remove(slot)
        slot.loaded = slot.tokens = None
        slot.prefixes.clear()


def _state(slot: _Slot) -> LoadedState:
    adapters = () if isinstance(slot.loaded, Linear | None) else tuple(map(_adapter_id, slot.loaded.views))
    return LoadedState(slot.model.id, adapters, slot.precision, slot.weights, slot.bytes, slot.wanted, slot.since)


def _threads(hardware: Hardware) -> int:
    """One a physical core: two on one core wait for each other, and so does all else that computes."""
    return min(hardware.cores, psutil.cpu_count(logical=False) or hardware.cores)


def _adapter_id(view: str) -> str:
    return view.rpartition("@")[0]
