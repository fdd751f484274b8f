"""Files to the Hugging Face Hub: a repository where there is none, one commit, all of it or nothing.

huggingface_hub sends them, in a child process (`python -m llmapp.backend.hub_push PUSH`) that can be ended: the library
waits for a silent line for ever. The token is in the child's environment and nowhere else. Does not know what is sent.
"""

from __future__ import annotations

import io
import json
import re
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from .. import __version__
from ..errors import BadInput, LlmappError, Refused, SourceError
from ..settings import AppSettings, read_settings
from .child import be_child, run_child
from .download import STALL_LIMIT_S
from .hub import first_line
from .progress import Meter, Progress, Report

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MARK = "llmapp"
"""The tag by which a repository is known to hold what this app pushed."""
ABOUT = "README.md"
ADAPTER = "adapter_config.json"
FROM_THE_HUB = frozenset({".gitattributes", ABOUT})  # lie in a repository that holds nothing yet
NAME = re.compile(r"(?!.*(--|\.\.))(\b[\w.-]{1,96}\b/)?\b[\w.-]{1,96}\b(?<!\.git)", re.ASCII)
"""What huggingface_hub takes for a repository (`validate_repo_id`)."""
LIBRARY = {
    # Nobody can ask a Hub whether it has Xet; every Hub takes plain LFS, which also goes on after a cut.
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "error",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True)
class Push:
    """What goes where: the files of a zip, with `about` as their README, to `repo`: a name, or owner/name."""

    archive: Path
    about: str
    repo: str
    public: bool = False


@dataclass(frozen=True)
class Pushed:
    """Where it is now, and as which commit."""

    repo: str
    url: str
    private: bool
    commit: str


def check_push(repo: str, settings: AppSettings) -> None:
    """Raises Refused or BadInput for what can not be pushed, whatever the Hub says: offline, the name, the token."""
    if not settings.may_use_hub:
        raise Refused("push_offline")
    if not NAME.fullmatch(repo):
        raise BadInput("push_name", repo=repo)
    if not settings.hub_token:
        raise BadInput("push_no_token", endpoint=settings.hub_endpoint)
    if not re.fullmatch(
        "[!-~]+", settings.hub_token
    ):  # what else would be sent is refused by a sentence that quotes it
        raise Refused("push_token_refused", endpoint=settings.hub_endpoint)


def push(what: Push, settings: AppSettings, report: Report) -> Pushed:
    """Send it with the token of these settings, and wait until it is there. Pushed again, what has changed is one more
    commit.

    A `report` that raises stops it. Raises LlmappError, in one sentence, for whatever keeps it from the Hub.
    """
    check_push(what.repo, settings)
    order = json.dumps(asdict(what), default=str)
    environment = {**settings.environment(), **LIBRARY}
    ended = run_child("llmapp.backend.hub_push", [order], _alive(report, what.repo), environment)
    if ended is None:
        raise SourceError("push_killed", repo=what.repo)
    return Pushed(**ended.made)


def _alive(report: Report, repo: str) -> Report:
    """A report that ends what has stood still for too long."""
    seen, since = Progress("resolving"), time.monotonic()

    def looked(progress: Progress) -> None:
        nonlocal seen, since
        now = time.monotonic()
        if (progress.phase, progress.done) != (seen.phase, seen.done):
            seen, since = progress, now
        if now - since > STALL_LIMIT_S:
            raise SourceError("push_stalled", repo=repo, seconds=round(now - since))
        report(progress)

    return looked


def send(what: Push, settings: AppSettings, report: Report) -> dict[str, Any]:
    """The child's work, with the token of these settings; the fields of `Pushed`."""
    from huggingface_hub import HfApi

    endpoint, meter = settings.hub_endpoint.rstrip("/"), Meter(report)
    api = HfApi(endpoint=endpoint, token=settings.hub_token, library_name=MARK, library_version=__version__)
    with zipfile.ZipFile(what.archive) as archive:
        files = {entry.filename: entry.file_size for entry in archive.infolist()}
        meter.begin("resolving")
        with _in_words(endpoint, what.repo, sending=False):
            repo = what.repo if "/" in what.repo else f"{api.whoami()['name']}/{what.repo}"
            private = _made_ready(api, repo, what.public, files)
        with _in_words(endpoint, repo, sending=True):
            commit = _commit(api, repo, archive, what.about, files, meter)
    return asdict(Pushed(repo, f"{endpoint}/{repo}", private, commit))


def _made_ready(api: HfApi, repo: str, public: bool, files: Mapping[str, int]) -> bool:
    """Make the repository, or see that it is one for this; whether it is private."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.model_info(repo)
    except RepositoryNotFoundError:
        api.create_repo(repo, private=not public)
        return not public
    there = {file.rfilename for file in info.siblings or []} - FROM_THE_HUB
    mine = MARK in (info.tags or []) and (ADAPTER in there) == (ADAPTER in files)
    if there and not mine:
        raise BadInput("push_taken", repo=repo)
    if not (info.private or public):
        raise BadInput("push_public", repo=repo)
    return bool(info.private)


def _commit(api: HfApi, repo: str, archive: zipfile.ZipFile, about: str, files: Mapping[str, int], meter: Meter) -> str:
    from huggingface_hub import CommitOperationAdd

    meter.begin("checking", files)
    counted = {name: _Counted(archive, name, meter) for name in files if name != ABOUT}
    # Reads all of them, for their sha256.
    operations = [CommitOperationAdd(name, cast(BinaryIO, content)) for name, content in counted.items()]
    meter.begin("uploading", files)
    operations.append(CommitOperationAdd(ABOUT, about.encode()))
    # One at a time: they are counted by one meter and read from one zip.
    made = api.create_commit(repo, operations, commit_message=f"Push by {MARK} {__version__}", num_threads=1)
    return str(made.oid)


class _Counted(io.BufferedIOBase):
    """A file of a zip that tells how much of it was read."""

    def __init__(self, archive: zipfile.ZipFile, name: str, meter: Meter) -> None:
        self._file, self._meter = archive.open(name), meter

    def read(self, size: int | None = -1, /) -> bytes:
        piece = self._file.read(-1 if size is None else size)
        self._meter.add(len(piece))
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


@contextmanager
def _in_words(endpoint: str, repo: str, sending: bool) -> Iterator[None]:
    """What the library raises, as a sentence."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as problem:
        raise _said_no(problem, endpoint, repo, sending) from problem
    except httpx2.HTTPError as problem:
        raise _broke_off(problem, endpoint, repo, sending) from problem
    except ValueError as problem:  # it answers, and not as a Hub does, or not to this
        if not sending:
            raise _broke_off(problem, endpoint, repo, sending) from problem
        raise BadInput("push_refused", repo=repo, problem=first_line(problem)) from problem
    except RuntimeError as problem:  # around what happened to a file
        if problem.__cause__ is None:
            raise
        raise _broke_off(problem.__cause__, endpoint, repo, sending) from problem


def _said_no(problem: Any, endpoint: str, repo: str, sending: bool) -> LlmappError:
    """What an answer of the Hub means, by its status."""
    from huggingface_hub.errors import RepositoryNotFoundError

    status = problem.response.status_code
    if status in (403, 404) or isinstance(problem, RepositoryNotFoundError):
        return Refused("push_no_right", repo=repo, endpoint=endpoint)
    if status == 401:
        return Refused("push_token_refused", endpoint=endpoint)
    if status == 409:
        return BadInput("push_taken", repo=repo)
    if status < 500 and status not in (408, 429):
        return BadInput("push_refused", repo=repo, problem=problem.server_message or f"HTTP {status}")
    return _broke_off(problem, endpoint, repo, sending)


def _broke_off(problem: BaseException, endpoint: str, repo: str, sending: bool) -> SourceError:
    why = first_line(problem)
    if sending:
        return SourceError("push_cut", repo=repo, problem=why)
    return SourceError("source_hub_unreachable", endpoint=endpoint, problem=why)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    todo = Push(**given | {"archive": Path(given["archive"])})
    sys.exit(be_child(lambda report: send(todo, read_settings([]), report)))
