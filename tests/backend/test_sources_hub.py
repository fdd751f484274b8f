"""Models from the Hub: what is fetched of a repository, what is refused, who gets the token."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from safetensors.numpy import load_file, save

from llmapp.backend import download
from llmapp.backend.progress import Progress
from llmapp.backend.sources import Sources
from llmapp.catalog import HubSource, Model
from llmapp.errors import SourceError
from llmapp.settings import AppSettings
from tests.file_server import Fault
from tests.hub_server import COMMIT, HubServer, Repo

WEIGHTS = save({"w": np.arange(50_000, dtype=np.float32)})
SMALL = {"config.json": b'{"model_type": "llama"}', "tokenizer.json": b"{}", "vocab.txt": b"a\nb\n"}
ELSE = {"README.md": b"# x", "onnx/model.json": b"{}", "evil.py": b"1/0", "training_args.bin": b"x"}
MODEL = Model(
    id="tiny", name="Tiny", kind="causal", family="llama", tasks=("chat",), parameters=50_000, context=64,
    languages=("en",), licence="Apache-2.0", licence_url="", memory_mb={"fp32": 1}, note={},
    sources=(HubSource("me/tiny", "main", "fp32", len(WEIGHTS)),),
)  # fmt: skip


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        server.repos["me/tiny"] = Repo({**SMALL, **ELSE, "model.safetensors": WEIGHTS})
        yield server


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "BACKOFF_S", 0.01)


def sources(hub: HubServer, root: Path, **changes: object) -> Sources:
    return Sources(root, AppSettings(hub_endpoint=hub.url, **changes))


def hub_of(model: Model, **changes: object) -> Model:
    return replace(model, sources=(replace(model.sources[0], **changes),))


def test_the_server_speaks_the_protocol_of_huggingface_hub(hub: HubServer, tmp_path: Path) -> None:
    """Otherwise all the tests below would prove nothing about the real Hub."""
    for name in ("config.json", "model.safetensors"):
        got = huggingface_hub.hf_hub_download("me/tiny", name, endpoint=hub.url, local_dir=tmp_path, token=False)
        assert Path(got).read_bytes() == hub.repos["me/tiny"].files[name]


def test_safetensors_configuration_and_tokenizer_arrive_and_nothing_else(hub: HubServer, tmp_path: Path) -> None:
    there = sources(hub, tmp_path)
    assert there.where(MODEL) is None
    local = there.fetch(MODEL, lambda look: None)
    assert (local.revision, local.weights, local.origin) == (COMMIT, "fp32", "hub")
    assert {p.name for p in local.folder.iterdir()} == {*SMALL, "model.safetensors", "manifest.json"}
    assert load_file(local.folder / "model.safetensors")["w"][-1] == 49_999
    assert there.where(MODEL) == local
    assert not (tmp_path / "tiny.partial").exists()
    assert there.size_on_disk(MODEL) == sum(p.stat().st_size for p in local.folder.iterdir())


def test_a_pull_requests_revision_is_kept_as_its_commit(hub: HubServer, tmp_path: Path) -> None:
    local = sources(hub, tmp_path).fetch(hub_of(MODEL, revision="refs/pr/1"), lambda look: None)
    assert local.revision == COMMIT


def test_what_is_on_disk_needs_no_network(hub: HubServer, tmp_path: Path) -> None:
    local = sources(hub, tmp_path).fetch(MODEL, lambda look: None)
    asked = len(hub.seen)
    offline = sources(hub, tmp_path, offline=True)
    assert offline.where(MODEL) == offline.fetch(MODEL, lambda look: None) == local
    assert len(hub.seen) == asked


def test_shards_are_taken_from_the_index(hub: HubServer, tmp_path: Path) -> None:
    shards = {f"model-0000{i}-of-00002.safetensors": save({f"w{i}": np.ones(1000)}) for i in (1, 2)}
    index = {"weight_map": {f"w{i}": name for i, name in enumerate(shards, 1)}}
    names = {**SMALL, **shards, "model.safetensors.index.json": json.dumps(index).encode()}
    hub.repos["me/tiny"].files = {**names, "consolidated.safetensors": b"x" * 1000}
    seen: list[Progress] = []
    local = sources(hub, tmp_path).fetch(MODEL, seen.append)
    assert {p.name for p in local.folder.iterdir()} == {*names, "manifest.json"}
    assert {look.total for look in seen if look.phase == "downloading"} == {sum(map(len, names.values()))}


@pytest.mark.parametrize("shard", ["../outside.safetensors", "code.py", "missing.safetensors"])
def test_an_index_that_names_what_it_should_not_is_refused(hub: HubServer, tmp_path: Path, shard: str) -> None:
    index = json.dumps({"weight_map": {"w": shard}}).encode()
    hub.repos["me/tiny"].files = {**SMALL, "model.safetensors.index.json": index, "code.py": b"1/0"}
    with pytest.raises(SourceError, match="to download"):
        sources(hub, tmp_path).fetch(MODEL, lambda look: None)


def test_a_pickle_is_refused_by_name(hub: HubServer, tmp_path: Path) -> None:
    hub.repos["me/tiny"].files = {**SMALL, "pytorch_model.bin": b"\x80\x04pickle"}
    with pytest.raises(SourceError, match=r"`pytorch_model\.bin`, a pickle") as caught:
        sources(hub, tmp_path).fetch(MODEL, lambda look: None)
    assert caught.value.code == "source_pickle"
    assert hub.gets(".bin") == []


def test_a_gated_repository_says_what_to_do_and_the_token_opens_it(hub: HubServer, tmp_path: Path) -> None:
    hub.repos["me/tiny"].token = "hf_right"
    for token in ("", "hf_wrong"):
        with pytest.raises(SourceError, match=r"Accept it on .*/me/tiny, set HF_TOKEN"):
            sources(hub, tmp_path, hub_token=token).fetch(MODEL, lambda look: None)
    local = sources(hub, tmp_path, hub_token="hf_right").fetch(MODEL, lambda look: None)
    assert (local.folder / "model.safetensors").read_bytes() == WEIGHTS
    stored = [seen for seen in hub.seen if seen.port == hub.storage_port]
    assert stored
    assert not any("hf_" in json.dumps(seen.headers) for seen in stored), "the storage host got the token"
    assert any("hf_right" in json.dumps(seen.headers) for seen in hub.seen)


def test_cut_and_corrupt_downloads_still_arrive(hub: HubServer, tmp_path: Path) -> None:
    hub.faults["model.safetensors"] = [Fault("cut", after=70_000), Fault("corrupt", after=9)]
    hub.faults["tokenizer.json"] = [Fault("corrupt", after=0)]  # not in LFS: only git's own hash tells
    local = sources(hub, tmp_path).fetch(MODEL, lambda look: None)
    assert (local.folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (local.folder / "tokenizer.json").read_bytes() == b"{}"


def test_wrong_bytes_of_the_right_length_are_found_out(hub: HubServer, tmp_path: Path) -> None:
    hub.faults["model.safetensors"] = [Fault("corrupt", after=5)] * 2
    with pytest.raises(SourceError, match=r"`model\.safetensors` arrived damaged"):
        sources(hub, tmp_path).fetch(MODEL, lambda look: None)
    assert sources(hub, tmp_path).where(MODEL) is None


def test_a_stopped_download_goes_on_later(hub: HubServer, tmp_path: Path) -> None:
    hub.faults["model.safetensors"] = [Fault("stall", after=100_000)]
    cancel = threading.Event()
    threading.Timer(1.0, cancel.set).start()
    with pytest.raises(SourceError, match="was stopped"):
        sources(hub, tmp_path).fetch(MODEL, lambda look: None, cancel)
    assert sources(hub, tmp_path).where(MODEL) is None
    assert sources(hub, tmp_path).size_on_disk(MODEL) > 100_000
    sources(hub, tmp_path).fetch(MODEL, lambda look: None)
    assert hub.gets("model.safetensors")[-1].sent == len(WEIGHTS) - 100_000
    assert len(hub.gets("config.json")) == 1, "what was whole is not fetched again"


def test_a_repository_or_revision_that_is_not_there_is_named(hub: HubServer, tmp_path: Path) -> None:
    for changes in ({"repo": "me/nothing"}, {"revision": "f" * 40}):
        with pytest.raises(SourceError, match="is not on the Hub, or is private"):
            sources(hub, tmp_path).fetch(hub_of(MODEL, **changes), lambda look: None)


def test_a_disk_without_room_is_known_before_the_first_weight(hub: HubServer, tmp_path: Path) -> None:
    huge = hub_of(replace(MODEL, parameters=10**16), file="tiny.gguf")
    hub.repos["me/tiny"].files["tiny.gguf"] = b"GGUF" + os.urandom(10)
    with pytest.raises(SourceError, match=r"needs 40000000\.1 GB of disk"):
        sources(hub, tmp_path).fetch(huge, lambda look: None)
    assert hub.gets("tiny.gguf") == []


def test_hub_offline_closes_the_hub_by_name(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE is set"):
        sources(hub, tmp_path, hub_offline=True).fetch(MODEL, lambda look: None)
    assert hub.seen == []


def test_whether_the_hub_is_in_reach_is_found_out_behind_the_page(hub: HubServer, tmp_path: Path) -> None:
    there = sources(hub, tmp_path)
    assert there.hub_in_reach() is None
    there.start_hub_check()
    assert _settled(there) is True
    there.start_hub_check()
    assert len(hub.seen) == 1, "asked once"


def test_a_hub_that_says_nothing_is_out_of_reach_after_two_seconds(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        there = Sources(tmp_path, AppSettings(hub_endpoint=url))
        started = time.monotonic()
        there.start_hub_check()
        assert time.monotonic() - started < 0.5, "nobody waits for it"
        assert _settled(there) is False
        assert time.monotonic() - started < 2.5


@pytest.mark.parametrize("closed", [{"offline": True}, {"hub_offline": True}])
def test_a_closed_hub_is_never_asked(hub: HubServer, tmp_path: Path, closed: dict[str, bool]) -> None:
    there = sources(hub, tmp_path, **closed)
    there.start_hub_check()
    assert there.hub_in_reach() is False
    time.sleep(0.2)
    assert hub.seen == []


def test_a_hub_out_of_reach_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(SourceError, match=f"The Hub at http://127.0.0.1:{port} could not be reached"):
        Sources(tmp_path, AppSettings(hub_endpoint=f"http://127.0.0.1:{port}")).fetch(MODEL, lambda look: None)


def _settled(there: Sources) -> bool | None:
    until = time.monotonic() + 3
    while there.hub_in_reach() is None and time.monotonic() < until:
        time.sleep(0.02)
    return there.hub_in_reach()
