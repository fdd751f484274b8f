"""Weights on the Hugging Face Hub: which files of a repository are wanted, where they are, who may have them.

huggingface_hub asks the Hub what there is. The files come through `download`, because that library can
neither be stopped within a second, nor say that it is stalled, nor check a sha256.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from ..catalog import HubSource
from ..errors import SourceError
from ..settings import AppSettings
from .disk import check_room
from .download import CONNECT_S, Denied, Downloader, open_client
from .part import Remote
from .progress import Meter
from .waiting import patiently, stop_when

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
SMALL = frozenset({".json", ".txt", ".model", ".spm", ".jinja"})  # configuration, tokenizer, chat template
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5"})
IN_REACH_S = 2.0


def fetch_hub(
    source: HubSource,
    folder: Path,
    room_after: int,
    settings: AppSettings,
    cancel: threading.Event,
    meter: Meter,
) -> tuple[str, list[Path]]:
    """The commit, and the wanted files of a repository, below `folder`. What is there already is kept.

    `room_after`: bytes of disk that must stay free for what comes next. Raises SourceError: gated, not there,
    pickles only, or as `Downloader.fetch`.
    """
    meter.begin("resolving")
    commit, there = _listing(source, settings, stop_when(cancel, meter, source.repo))
    names, folder = _wanted(source, there), folder / commit  # a branch may move on between two attempts
    folder.mkdir(exist_ok=True)
    denied = partial(_denied, source, settings)
    with open_client() as client:
        downloader = Downloader(client, meter, cancel)
        if INDEX in names:
            _get(downloader, there[INDEX], folder, meter, denied)
            names += _shards(folder / INDEX, there, source)
        sizes = {name: there[name].size or 0 for name in names}
        check_room(source.repo, folder, sum(sizes.values()) + room_after)
        meter.begin("downloading", sizes)
        for name in names:
            _get(downloader, there[name], folder, meter, denied)
    return commit, [folder / name for name in names]


def _listing(source: HubSource, settings: AppSettings, look_up: Callable[[], None]) -> tuple[str, dict[str, Remote]]:
    import httpx2
    from huggingface_hub import HfApi, errors

    endpoint = settings.hub_endpoint.rstrip("/")
    api = HfApi(endpoint=endpoint, token=settings.hub_token or False)
    options: dict[str, Any] = {"revision": source.revision, "files_metadata": True, "timeout": CONNECT_S}
    try:
        info = patiently(lambda: api.model_info(source.repo, **options), look_up)
    except errors.GatedRepoError as problem:
        raise _denied(source, settings, 403, "") from problem
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as problem:
        raise SourceError("source_no_repo", repo=source.repo, revision=source.revision) from problem
    except (errors.HfHubHTTPError, errors.OfflineModeIsEnabled, httpx2.HTTPError, ValueError) as problem:
        why = first_line(problem)
        raise SourceError("source_hub_unreachable", endpoint=endpoint, problem=why) from problem
    base = f"{endpoint}/{source.repo}/resolve/{info.sha}"
    headers = {"Authorization": f"Bearer {settings.hub_token}"} if settings.hub_token else {}
    return str(info.sha), {
        name: Remote(f"{base}/{quote(name)}", name, file.size, _digest(file), headers)
        for file in info.siblings or []
        for name in [file.rfilename]
    }


def _digest(file: Any) -> str:
    if file.lfs:
        return f"sha256:{file.lfs.sha256}"
    return f"git:{file.blob_id}" if file.blob_id and file.size is not None else ""


def _wanted(source: HubSource, there: Mapping[str, Remote]) -> list[str]:
    if source.file:
        if source.file not in there or not _at_top(source.file):
            raise SourceError("source_no_file", repo=source.repo, file=source.file)
        return [source.file]
    small = [name for name in there if _at_top(name) and PurePosixPath(name).suffix in SMALL]
    if INDEX in there:
        return small
    if SINGLE in there:
        return [*small, SINGLE]
    for name in there:
        if PurePosixPath(name).suffix in PICKLES:
            raise SourceError("source_pickle", source=source.repo, file=name)
    raise SourceError("source_no_file", repo=source.repo, file=SINGLE)


def _at_top(name: str) -> bool:
    return "/" not in name and "\\" not in name


def _shards(index: Path, there: Mapping[str, Remote], source: HubSource) -> list[str]:
    try:
        named = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as problem:
        raise SourceError("source_damaged", file=INDEX) from problem
    for name in named:
        if name not in there or not _at_top(name) or not name.endswith(".safetensors"):
            raise SourceError("source_no_file", repo=source.repo, file=name)
    return named


def _get(
    downloader: Downloader,
    remote: Remote,
    folder: Path,
    meter: Meter,
    denied: Callable[[int, str], SourceError],
) -> None:
    target = folder / remote.name
    if target.exists() and target.stat().st_size == remote.size:
        meter.skip(remote.size)
        return
    try:
        downloader.fetch(remote, target)
    except Denied as problem:
        raise denied(problem.status, remote.name) from problem


def _denied(source: HubSource, settings: AppSettings, status: int, file: str) -> SourceError:
    if status in (401, 403):
        page = f"{settings.hub_endpoint.rstrip('/')}/{source.repo}"
        return SourceError("source_gated", repo=source.repo, page=page)
    return SourceError("source_no_file", repo=source.repo, file=file)


def first_line(problem: BaseException) -> str:
    """What an exception of a library says, without what it says below it."""
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


class HubReach:
    """Whether the Hub answers: asked once, behind the page. No answer within `IN_REACH_S` is a no."""

    def __init__(self, settings: AppSettings) -> None:
        self._settings = settings
        self._started: float | None = None
        self._answer: bool | None = None if settings.may_use_hub else False

    def start(self) -> None:
        """Ask, in a thread that nobody waits for. Later calls do nothing."""
        if self._started is None and self._answer is None:
            self._started = time.monotonic()
            threading.Thread(target=self._ask, name="hub-check", daemon=True).start()

    @property
    def answer(self) -> bool | None:
        """True or False once it is known, None before."""
        late = self._started is not None and time.monotonic() - self._started > IN_REACH_S
        if self._answer is None and late:
            self._answer = False
        return self._answer

    def _ask(self) -> None:
        import httpx2

        try:
            status = httpx2.head(self._settings.hub_endpoint, timeout=IN_REACH_S).status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            status = 599
        if self.answer is None:
            self._answer = status < 500
