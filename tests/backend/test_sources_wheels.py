"""Models inside Python wheels: pip says where, single files come out, nothing of a package runs."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import threading
import time
import venv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from llmapp.backend import download, wheels
from llmapp.backend.progress import Meter, Progress
from llmapp.backend.sources import Sources
from llmapp.catalog import Catalog, Model, WheelPart, WheelSource
from llmapp.errors import SourceError
from llmapp.settings import AppSettings
from tests.file_server import Fault
from tests.wheel_index import WheelIndex, sdist, wheel

PIP_READS = ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "CONSTRAINT", "CERT", "PROXY")
HALVES = (os.urandom(150_000), os.urandom(120_000))
FILES = {"pack/data/config.json": b'{"model_type": "bert"}', "pack/data/model.safetensors": HALVES[0]}
BOOBY_TRAP = b"import pathlib; pathlib.Path(__file__ + '.ran').write_text('x'); raise SystemExit('I ran')"
MODELS = Path(__file__).parents[2] / "models"


def part(package: str, path: str, content: bytes) -> WheelPart:
    return WheelPart(f"{package}==1.0", path, hashlib.sha256(content).hexdigest(), len(content))


SEPARATE = WheelSource(tuple(part("pack", path, content) for path, content in FILES.items()), "fp32")
JOINED = WheelSource(
    tuple(part(f"half-{i}", "half/part", content) for i, content in enumerate(HALVES)),
    "fp32",
    join="model.safetensors",
    sha256=hashlib.sha256(b"".join(HALVES)).hexdigest(),
)


def model(source: WheelSource) -> Model:
    return Model(
        id="packed", name="Packed", kind="encoder", family="bert", tasks=("finetune",), parameters=1000,
        context=64, languages=("en",), licence="MIT", licence_url="", memory_mb={"fp32": 1}, note={},
        sources=(source,),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _bare_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in PIP_READS:
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setattr(download, "BACKOFF_S", 0.01)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[WheelIndex]:
    with WheelIndex() as server:
        halves = [wheel(f"half-{i}", "1.0", {"half/part": half}) for i, half in enumerate(HALVES)]
        server.files = dict([wheel("pack", "1.0", {"pack/__init__.py": BOOBY_TRAP, **FILES}), *halves])
        monkeypatch.setenv("PIP_INDEX_URL", server.index)
        yield server


def fetch(source: WheelSource, root: Path, **changes: object) -> Mapping[str, bytes]:
    local = Sources(root, AppSettings(**changes)).fetch(model(source), lambda look: None)
    assert (local.revision, local.origin) == (source.parts[0].package, "wheels")
    return {path.name: path.read_bytes() for path in local.folder.iterdir() if path.name != "manifest.json"}


def test_named_files_come_out_under_their_names_and_nothing_runs(index: WheelIndex, tmp_path: Path) -> None:
    got = fetch(SEPARATE, tmp_path, hub_offline=True)  # which closes the Hub only
    assert got == {Path(path).name: content for path, content in FILES.items()}
    assert len(index.fetched(".whl")) == 1, "one wheel is fetched once, however many of its files are wanted"
    assert not list(tmp_path.rglob("*.whl"))
    assert not list(tmp_path.rglob("*.ran"))


def test_pip_looks_only_for_metadata_and_does_not_fetch_the_wheel(index: WheelIndex, tmp_path: Path) -> None:
    big = {**FILES, "pack/data/more.bin": os.urandom(2_000_000)}
    index.files = dict([wheel("pack", "1.0", big)])
    fetch(SEPARATE, tmp_path)
    assert 0 < index.read_by_pip(".whl") < 200_000


def test_parts_are_joined_in_order_after_a_cut_and_a_refusal(index: WheelIndex, tmp_path: Path) -> None:
    first, second = (f"half_{i}-1.0-py3-none-any.whl" for i in (0, 1))
    index.faults = {first: [Fault("cut", after=80_000)], second: [Fault("status", status=403)]}
    with pytest.raises(SourceError, match="refused `half_1"):
        fetch(JOINED, tmp_path)
    assert index.fetched(first)[1].headers["Range"] == "bytes=80000-"
    assert fetch(JOINED, tmp_path) == {"model.safetensors": b"".join(HALVES)}
    assert len(index.fetched(first)) == 2, "what is whole is not fetched again"


def test_a_wrong_sum_of_right_parts_is_refused(index: WheelIndex, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"`model\.safetensors` arrived damaged"):
        fetch(replace(JOINED, parts=JOINED.parts[::-1]), tmp_path)
    assert Sources(tmp_path, AppSettings()).size_on_disk(model(JOINED)) == 0


def test_wheels_from_a_folder_need_no_index(index: WheelIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = tmp_path / "my wheels"
    links.mkdir()
    for name, content in index.files.items():
        (links / name).write_bytes(content)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", links.as_uri())
    assert set(fetch(SEPARATE, tmp_path / "root")) == {"config.json", "model.safetensors"}
    assert index.seen == []


def test_an_index_behind_a_log_in_works(index: WheelIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.login = "me:p%40ss"
    monkeypatch.setenv("PIP_INDEX_URL", index.index)
    index.login = "me:p@ss"
    assert set(fetch(SEPARATE, tmp_path)) == {"config.json", "model.safetensors"}


def test_a_source_archive_is_refused_by_name_and_never_run(index: WheelIndex, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    setup = f"open({str(trap)!r}, 'w')\nfrom setuptools import setup\nsetup(name='pack', version='1.0')\n"
    index.files = dict([sdist("pack", "1.0", setup)])
    with pytest.raises(SourceError, match=r"`pack==1\.0` is there only as source code") as caught:
        fetch(SEPARATE, tmp_path / "root")
    assert caught.value.code == "source_sdist"
    assert index.gets(".tar.gz") == []
    assert not trap.exists()


def test_a_package_that_is_not_there_is_named_in_pips_words(index: WheelIndex, tmp_path: Path) -> None:
    index.files.clear()
    with pytest.raises(SourceError, match=r"pip did not find `pack==1\.0`: .*No matching distribution"):
        fetch(SEPARATE, tmp_path)


def test_without_pip_it_is_said(tmp_path: Path) -> None:
    """In a virtual environment made without pip, as uv does; the libraries are lent from this one."""
    venv.create(tmp_path / "bare", with_pip=False)
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for library in Path(yaml.__file__).parents[1].iterdir():
        if not library.name.startswith("pip"):
            (libraries / library.name).symlink_to(library)
    code = (
        "from llmapp.backend.wheels import resolve\n"
        "from llmapp.errors import SourceError\n"
        "try: resolve(['x==1'], lambda: None)\n"
        "except SourceError as problem: print(problem.code)\n"
    )
    bare = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    paths = {"PYTHONPATH": os.pathsep.join([str(MODELS.parent), str(libraries)])}
    done = subprocess.run([bare, "-c", code], env=os.environ | paths, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "source_no_pip"


def unpack(tmp_path: Path, inside: Mapping[str, bytes], wanted: WheelPart) -> Path:
    name, content = wheel("pack", "1.0", inside)
    (tmp_path / name).write_bytes(content)
    target = tmp_path / "out" / "file"
    target.parent.mkdir()
    wheels.extract(tmp_path / name, wanted, target, Meter(lambda look: None))
    return target


WANTED = part("pack", "pack/file", HALVES[0])


def test_one_file_comes_out_and_no_other(tmp_path: Path) -> None:
    target = unpack(tmp_path, {"pack/file": HALVES[0], "pack/other": b"x", "../up": b"x"}, WANTED)
    assert target.read_bytes() == HALVES[0]
    assert list(target.parent.iterdir()) == [target]
    assert len(list(tmp_path.iterdir())) == 2


def test_another_file_than_the_catalog_says_is_refused_though_the_index_vouches_for_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="`pack/file` arrived damaged"):
        unpack(tmp_path, {"pack/file": os.urandom(150_000)}, WANTED)
    assert [p.name for p in tmp_path.rglob("*")] == ["out"], "neither the wheel nor the file is kept"


def test_a_longer_file_than_the_catalog_says_is_not_unpacked(tmp_path: Path) -> None:
    target = unpack(tmp_path, {"pack/file": HALVES[0] + bytes(50_000_000)}, WANTED)
    assert target.read_bytes() == HALVES[0]


def test_a_file_that_is_not_in_the_wheel_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"`pack-1\.0-py3-none-any\.whl` does not hold `pack/file`"):
        unpack(tmp_path, {"pack/else": b"x"}, WANTED)


def test_a_wheel_that_is_no_zip_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(b"no zip")
    with pytest.raises(SourceError, match=r"`x\.whl` arrived damaged"):
        wheels.extract(tmp_path / "x.whl", WANTED, tmp_path / "file", Meter(lambda look: None))


def test_stop_works_while_pip_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        cancel, seen = threading.Event(), list[Progress]()
        threading.Timer(2.0, cancel.set).start()
        started = time.monotonic()
        with pytest.raises(SourceError, match="was stopped"):
            Sources(tmp_path, AppSettings()).fetch(model(SEPARATE), seen.append, cancel)
        assert time.monotonic() - started < 3.2
        assert {look.phase for look in seen} == {"resolving"}


def test_pips_own_network_settings_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nproxy = http://proxy.example:8080\ncert = /from/file.pem\n"
        "index-url = https://me:s%2Fecret@first.example/simple\nextra-index-url = https://second.example/simple\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_CERT", "/from/environment.pem")
    network = wheels.pip_network(lambda: None)
    assert network.proxy == "http://proxy.example:8080"
    assert network.cert == "/from/environment.pem"
    assert network.logins["first.example"] == "bWU6cy9lY3JldA=="
    assert "second.example" not in network.logins


def test_offline_closes_the_index_too(index: WheelIndex, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--offline closes the network"):
        fetch(SEPARATE, tmp_path, offline=True)
    assert index.seen == []


def test_the_packaged_entries_say_what_they_need() -> None:
    for entry in Catalog.read(MODELS).models():
        for source in entry.sources:
            if isinstance(source, WheelSource):
                assert all("==" in p.package and len(p.sha256) == 64 and p.bytes > 0 for p in source.parts)
                assert (len(source.sha256) == 64) == bool(source.join)
                assert bool(source.join) or len({Path(p.path).name for p in source.parts}) == len(source.parts)
