"""What a model needs in memory, whether that fits, and what is said when it did not.

On a card memory runs out with an exception, which is caught and put into words. On a processor Linux kills without
one: what can not fit is refused beforehand, and who was killed all the same leaves a marker that the next start
finds. Does not load, unload or write anything itself.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Literal, TypeVar

from filelock import FileLock, Timeout

from ..catalog import Model
from ..errors import OutOfMemory
from ..messages import Message, message
from .choose import CONVERSATION, MARGIN, SPARE_BYTES
from .device import Hardware, available_memory
from .engine import EngineInfo, Precision

T = TypeVar("T")
Doing = Literal["loading", "writing"]

RISK = 0.5
"""Share of the free memory from which an answer's keys and values are worth a marker."""

SPARED = 0.25
"""Share of the free memory that keys and values may keep between two answers."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's malloc.h."""

MAPPED_FROM = 4 << 20
"""Bytes from which a block gets pages of its own: most weights do, what one token needs does not."""

BOOT = Path("/proc/sys/kernel/random/boot_id")


def kv_bytes(model: Model, precision: Precision, tokens: int) -> int:
    """Keys and values of so many tokens: the catalog's figure for 16 bits, twice that where fp32 is computed."""
    return model.kv_bytes_per_token * tokens * (2 if precision.compute == "float32" else 1)


def estimate(model: Model, precision: Precision, tokens: int = CONVERSATION) -> int:
    """Bytes that loading a model, and writing with `tokens` of prompt and answer, takes.

    Formula: weights (the catalog's, by precision) x MARGIN + keys and values + SPARE_BYTES; `choose` says where
    the constants come from.
    """
    weights = model.memory_mb[precision.kind] * 1e6
    return int(weights * MARGIN) + kv_bytes(model, precision, tokens) + SPARE_BYTES


def check_fits(model: Model, precision: Precision, free: int, others: Sequence[str] = ()) -> None:
    """Raise OutOfMemory where a model needs more than the `free` bytes; `others` are loaded and could go."""
    needed = estimate(model, precision)
    if needed <= free:
        return
    values = {"model": model.name, "needs_gb": needed / 1e9, "free_gb": free / 1e9}
    if others:
        raise OutOfMemory("memory_unload", **values, others=", ".join(f"`{other}`" for other in others))
    raise OutOfMemory("memory_short", **values)


def give_back() -> None:
    """Return what is no longer used to the system: Python's garbage, the card's cache, the allocator's pages."""
    gc.collect()
    cuda = sys.modules.get("torch.cuda")  # while torch is still being imported it has none
    if cuda is not None and getattr(cuda, "is_initialized", bool)():
        cuda.empty_cache()
    _glibc("malloc_trim", 0)


def let_go_early() -> None:
    """Make glibc's allocator return large blocks when they are freed; to be called before weights are loaded.

    Left alone it raises both limits with the sizes it sees (mallopt(3)), up to 64 MB at the end of each thread's
    arena that `malloc_trim` does not reach: after a few models hundreds of MB stay with the process.
    """
    _glibc("mallopt", M_MMAP_THRESHOLD, MAPPED_FROM)
    _glibc("mallopt", M_TRIM_THRESHOLD, 2 * MAPPED_FROM)


def _glibc(name: str, *arguments: int) -> None:
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:  # musl has none of these
        function(*arguments)


def in_words(model: Model, work: Callable[[], T]) -> T:
    """The result of `work`. Where memory runs out in it, that is freed as far as it goes: raises OutOfMemory."""
    try:
        return work()
    except (RuntimeError, MemoryError) as problem:
        if not ran_out(problem):
            raise
    give_back()  # out here nothing holds on to what the failed work had in its hands
    raise OutOfMemory("memory_ran_out", model=model.name)


def ran_out(problem: Exception) -> bool:
    """True for torch.OutOfMemoryError from a card, and the plain RuntimeError from the allocator of the processor."""
    kind, said = type(problem).__name__, str(problem)
    return kind in ("OutOfMemoryError", "MemoryError") or "can't allocate memory" in said or "out of memory" in said


class LastWords:
    """Markers of work that may get the app killed, in a folder: who finds one that nobody holds knows what happened.

    A marker is held by an OS lock for as long as its process lives; the lock, not the pid, says whether it does.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def mark(self, doing: Doing, model: Model) -> Iterator[None]:
        """A marker while the work inside goes on."""
        self._folder.mkdir(parents=True, exist_ok=True)
        marker = self._folder / f"{uuid.uuid4().hex}.json"
        lock = FileLock(marker.with_suffix(".lock"), thread_local=False)
        with lock:
            facts = {"doing": doing, "model": model.name, "boot": _boot()}
            marker.write_text(json.dumps(facts), encoding="utf-8")
            try:
                yield
            finally:
                marker.unlink(missing_ok=True)
                Path(lock.lock_file).unlink(missing_ok=True)

    def read(self) -> list[Message]:
        """What the app was killed at, said once; nothing of other running apps, or from before a restart."""
        found = [self._take(marker) for marker in sorted(self._folder.glob("*.json"))]
        return [words for words in found if words is not None]

    def _take(self, marker: Path) -> Message | None:
        lock = FileLock(marker.with_suffix(".lock"))
        try:
            with lock.acquire(timeout=0):
                facts = json.loads(marker.read_text(encoding="utf-8"))
                marker.unlink()
            marker.with_suffix(".lock").unlink(missing_ok=True)
        except Timeout:  # its process lives
            return None
        except (OSError, ValueError):
            marker.unlink(missing_ok=True)
            return None
        if facts["boot"] != _boot():  # the whole machine went down: that was not the model
            return None
        codes = {"loading": "reason.ended_loading", "writing": "reason.ended_writing"}
        return message(codes[facts["doing"]], model=facts["model"])


def _boot() -> str:
    """A name of this run of the system; empty where the system gives none."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""


class Guard:
    """Stands before what takes memory: refuses what can not fit and leaves a marker for what may get killed."""

    def __init__(self, hardware: Hardware, last_words: LastWords | None = None) -> None:
        self._hardware, self._last_words = hardware, last_words

    def free(self) -> int:
        """Bytes free where weights would lie."""
        return available_memory(self._hardware)

    @property
    def kills(self) -> bool:
        """True where running out of memory ends the process instead of raising an exception."""
        return self._hardware.device != "cuda"

    def loading(self, model: Model) -> AbstractContextManager[None]:
        """Around the loading of weights."""
        return self._marked("loading", model)

    @contextmanager
    def writing(self, info: EngineInfo, tokens: int) -> Iterator[None]:
        """Around the writing of answers, of `tokens` with their prompts. Raises OutOfMemory beforehand."""
        needed = kv_bytes(info.model, info.precision, tokens)
        free = self.free() if self.kills and needed else 0
        if self.kills and needed > free:
            values = {"needs_gb": needed / 1e9, "free_gb": free / 1e9}
            raise OutOfMemory("memory_long", model=info.model.name, tokens=tokens, **values)
        with self._marked("writing", info.model) if needed > RISK * free else nullcontext():
            yield

    def together(self, info: EngineInfo, tokens: int) -> int:
        """Of so many tokens in one batch, those whose keys and values take at most half of what is free."""
        needed = kv_bytes(info.model, info.precision, tokens)
        room = RISK * self.free() if needed else 0
        return tokens if needed <= room else int(tokens * room / needed)

    def spares(self, info: EngineInfo, tokens: int) -> bool:
        """True where keys and values of so many tokens are little beside what is free: they may stay for a while."""
        return kv_bytes(info.model, info.precision, tokens) <= SPARED * self.free()

    def _marked(self, doing: Doing, model: Model) -> AbstractContextManager[None]:
        return self._last_words.mark(doing, model) if self._last_words and self.kills else nullcontext()
