"""Decisions for machines that are not here, and what is found on the one that is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from llmapp.backend import cgroup
from llmapp.backend.device import (
    NO_CARD,
    CudaDevice,
    Hardware,
    available_memory,
    choose_precision,
    detect,
    features_of,
    pick_device,
)
from llmapp.catalog import FolderSource, Model
from llmapp.errors import CanNotRun
from llmapp.messages import LANGUAGES
from llmapp.settings import DEVICES, PRECISIONS

GB = 10**9
T4 = CudaDevice("Tesla T4", (7, 5), 15 * GB, 16 * GB)
RTX = CudaDevice("NVIDIA GeForce RTX 4060", (8, 9), 8 * GB, 8 * GB)
MAXWELL = CudaDevice("Quadro M4000", (5, 2), 7 * GB, 8 * GB)
AVX2 = frozenset({"avx", "avx2"})
XEON = AVX2 | {"avx512f", "avx512_bf16", "amx_bf16"}
MACHINES = {
    "t4": Hardware("cuda", (T4,), cores=8, features=AVX2, ram=32 * GB),
    "rtx": Hardware("cuda", (RTX,), cores=8, features=AVX2, ram=32 * GB),
    "maxwell": Hardware("cuda", (MAXWELL,), cores=8, features=AVX2, ram=32 * GB),
    "mac": Hardware("mps", (), mps=True, cores=8, features=frozenset({"asimd"}), ram=16 * GB),
    "xeon": Hardware("cpu", cores=2, features=XEON, ram=24 * GB),
    "laptop": Hardware("cpu", cores=4, features=AVX2, ram=8 * GB),
    "old": Hardware("cpu", cores=2, features=frozenset({"avx"}), ram=4 * GB),
    "arm": Hardware("cpu", cores=4, features=frozenset({"asimd"}), ram=8 * GB),
}


def model(kind: str = "causal", family: str = "llama", parameters: int = 1_000_000_000) -> Model:
    fields: dict[str, Any] = {
        "id": "m",
        "name": "Some Model",
        "kind": kind,
        "family": family,
        "tasks": (),
        "parameters": parameters,
        "context": 2048,
        "languages": ("en",),
        "licence": "Apache-2.0",
        "licence_url": "",
        "sources": (FolderSource(Path("nowhere"), "bf16"),),
        "memory_mb": {},
        "note": {},
    }
    return Model(**fields)


AUTO = [
    ("t4", model(), "4-bit", "float16"),
    ("rtx", model(), "4-bit", "bfloat16"),
    ("rtx", model("seq2seq", "nllb"), "4-bit", "bfloat16"),
    ("t4", model("seq2seq", "t5"), "4-bit", "float32"),
    ("t4", model("causal", "gemma"), "4-bit", "float32"),
    ("rtx", model("causal", "gemma"), "4-bit", "bfloat16"),
    ("rtx", model("encoder", "bert", 22_000_000), "fp32", "float32"),
    ("rtx", model("classifier", "xlm-roberta", 278_000_000), "fp32", "float32"),
    ("rtx", model("encoder", "xlm-roberta", 3_500_000_000), "4-bit", "bfloat16"),
    ("maxwell", model(), "fp16", "float16"),
    ("maxwell", model("seq2seq", "mt5"), "fp32", "float32"),
    ("mac", model(), "fp16", "float16"),
    ("mac", model("causal", "gemma"), "fp32", "float32"),
    ("mac", model("seq2seq", "t5"), "fp32", "float32"),
    ("xeon", model(), "fp32", "float32"),
    ("laptop", model(), "fp32", "float32"),
    ("old", model("encoder", "bert", 22_000_000), "fp32", "float32"),
]


@pytest.mark.parametrize(("machine", "entry", "kind", "compute"), AUTO)
def test_left_to_itself(machine: str, entry: Model, kind: str, compute: str) -> None:
    chosen = choose_precision(entry, MACHINES[machine], "auto")
    assert (chosen.kind, chosen.compute, chosen.device) == (kind, compute, MACHINES[machine].device)
    assert str(chosen.why).startswith(kind), "the reason begins with what was chosen"


def test_the_reason_names_the_numbers() -> None:
    why = choose_precision(model(), MACHINES["rtx"], "auto").why
    assert str(why) == "4-bit, because the graphics card has 8.0 GB free and computes in bf16."
    assert "8.0 GB" in why.text("zh")


def test_without_the_package_a_card_computes_in_16_bits() -> None:
    bare = Hardware("cuda", (RTX,), quantizer=False)
    assert choose_precision(model(), bare, "auto").kind == "bf16"
    with pytest.raises(CanNotRun, match="bitsandbytes"):
        choose_precision(model(), bare, "4bit")


WISHES = [
    ("rtx", "fp32", "fp32", "float32"),
    ("rtx", "bf16", "bf16", "bfloat16"),
    ("rtx", "fp16", "fp16", "float16"),
    ("rtx", "4bit", "4-bit", "bfloat16"),
    ("t4", "fp16", "fp16", "float16"),
    ("t4", "4bit", "4-bit", "float16"),
    ("mac", "fp32", "fp32", "float32"),
    ("mac", "fp16", "fp16", "float16"),
    ("xeon", "bf16", "bf16", "bfloat16"),
    ("xeon", "4bit", "4-bit", "float32"),
    ("laptop", "4bit", "4-bit", "float32"),
    ("laptop", "fp16", "fp16", "float16"),
    ("arm", "4bit", "4-bit", "float32"),
    ("old", "fp32", "fp32", "float32"),
]


@pytest.mark.parametrize(("machine", "wish", "kind", "compute"), WISHES)
def test_a_wish_that_can_work_is_kept(machine: str, wish: str, kind: str, compute: str) -> None:
    chosen = choose_precision(model(), MACHINES[machine], wish)
    assert (chosen.kind, chosen.compute) == (kind, compute)
    assert "asked for it" in str(chosen.why)


def test_a_slow_wish_is_said_to_be_slow() -> None:
    assert "slower" in str(choose_precision(model(), MACHINES["laptop"], "bf16").why)
    assert "slower" not in str(choose_precision(model(), MACHINES["xeon"], "bf16").why)
    assert "slower" not in str(choose_precision(model(), MACHINES["laptop"], "fp32").why)


REFUSED = [
    ("t4", "bf16", model(), "precision_bf16_card", "7.5"),
    ("maxwell", "4bit", model(), "precision_4bit_card", "5.2"),
    ("mac", "4bit", model(), "precision_4bit_mps", "Apple"),
    ("mac", "bf16", model(), "precision_bf16_mps", "Apple"),
    ("old", "4bit", model(), "precision_4bit_cpu", "AVX2"),
    ("t4", "fp16", model("causal", "gemma"), "precision_fp16_overflow", "Some Model"),
    ("mac", "fp16", model("seq2seq", "t5"), "precision_fp16_overflow", "Some Model"),
]


@pytest.mark.parametrize(("machine", "wish", "entry", "code", "word"), REFUSED)
def test_a_wish_that_can_not_work_is_refused_with_the_reason(
    machine: str, wish: str, entry: Model, code: str, word: str
) -> None:
    with pytest.raises(CanNotRun, match=word) as caught:
        choose_precision(entry, MACHINES[machine], wish)
    assert caught.value.code == code


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("wish", PRECISIONS)
@pytest.mark.parametrize("family", ["llama", "gemma", "t5"])
def test_every_machine_and_wish_ends_in_a_sentence(machine: str, wish: str, family: str) -> None:
    for kind in ("causal", "seq2seq", "classifier", "encoder"):
        try:
            words = choose_precision(model(kind, family), MACHINES[machine], wish).why
        except CanNotRun as refusal:
            words = refusal.message
        assert all(words.text(language) for language in LANGUAGES)


@pytest.mark.parametrize(
    ("wish", "cuda", "mps", "device"),
    [
        ("auto", (RTX,), False, "cuda"),
        ("auto", (), True, "mps"),
        ("auto", (), False, "cpu"),
        ("cpu", (RTX,), True, "cpu"),
        ("cuda", (RTX,), False, "cuda"),
        ("mps", (), True, "mps"),
    ],
)
def test_the_device_that_computes(wish: str, cuda: tuple[CudaDevice, ...], mps: bool, device: str) -> None:
    assert pick_device(wish, cuda, mps, NO_CARD) == device


@pytest.mark.parametrize("wish", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_with_the_reason(wish: str) -> None:
    with pytest.raises(CanNotRun, match="PyTorch finds none") as caught:
        pick_device(wish, (), False, NO_CARD)
    assert caught.value.code == f"device_{wish}"


def test_this_machine() -> None:
    import torch

    for wish in DEVICES:
        there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if there.get(wish, True):
            found = detect(wish)
            assert wish in ("auto", found.device)
            assert 1 <= found.cores <= (os.cpu_count() or 1)
            assert 0 < found.ram <= psutil.virtual_memory().total
            assert found.quantizer
        else:
            with pytest.raises(CanNotRun):
                detect(wish)


@pytest.mark.skipif(sys.platform != "linux", reason="names of Linux's /proc/cpuinfo")
def test_features_agree_with_torch() -> None:
    import torch

    features = detect("cpu").features
    capability = torch.backends.cpu.get_cpu_capability()
    assert ("avx2" in features) is (capability in ("AVX2", "AVX512"))
    assert capability != "AVX512" or "avx512f" in features


def test_features_of_x86_and_arm() -> None:
    assert features_of("processor : 0\nflags\t\t: fpu avx2 avx512_bf16\n\nflags : other\n") == {
        "fpu",
        "avx2",
        "avx512_bf16",
    }
    assert features_of("processor\t: 0\nFeatures\t: fp asimd asimdhp\n") == {"fp", "asimd", "asimdhp"}
    assert features_of("") == frozenset()


def test_available_memory_is_what_is_there() -> None:
    free = available_memory(detect("cpu"))
    assert 0 < free <= psutil.virtual_memory().total


# ---- control groups, versions 1 and 2, as real files ----


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def room(root: Path, membership: str) -> cgroup.Room | None:
    (root / "membership").write_text(membership)
    return cgroup.room(root / "fs", root / "membership")


def test_version_2_counts_page_cache_as_free(tmp_path: Path) -> None:
    stat = "anon 500\ninactive_file 200\nactive_file 100\nslab_reclaimable 50\n"
    group(tmp_path / "fs" / "app", memory__max="1000\n", memory__current="900\n", memory__stat=stat)
    assert room(tmp_path, "0::/app\n") == cgroup.Room(limit=1000, free=450)


def test_version_1_counts_page_cache_as_free(tmp_path: Path) -> None:
    stat = "cache 300\ntotal_inactive_file 200\ntotal_active_file 100\n"
    files = {"memory__limit_in_bytes": "1000\n", "memory__usage_in_bytes": "900\n", "memory__stat": stat}
    group(tmp_path / "fs" / "memory" / "docker" / "abc", **files)
    assert room(tmp_path, "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n") == cgroup.Room(1000, 400)


def test_the_tightest_group_around_counts(tmp_path: Path) -> None:
    stat = "inactive_file 0\n"
    group(tmp_path / "fs" / "a", memory__max="1000\n", memory__current="800\n", memory__stat=stat)
    group(tmp_path / "fs" / "a" / "b", memory__max="max\n", memory__current="100\n", memory__stat=stat)
    group(tmp_path / "fs" / "a" / "b" / "c", memory__max="500\n", memory__current="10\n", memory__stat=stat)
    assert room(tmp_path, "0::/a/b/c\n") == cgroup.Room(1000, 200)


def test_a_container_that_sees_only_its_own_group(tmp_path: Path) -> None:
    group(tmp_path / "fs", memory__max="1000\n", memory__current="300\n", memory__stat="file 1\n")
    assert room(tmp_path, "0::/host/path/that/is/not/here\n") == cgroup.Room(1000, 700)


def test_over_the_limit_means_nothing_free(tmp_path: Path) -> None:
    group(tmp_path / "fs", memory__max="1000\n", memory__current="1300\n", memory__stat="file 1\n")
    assert room(tmp_path, "0::/\n") == cgroup.Room(1000, 0)


def test_no_limit_is_no_limit(tmp_path: Path) -> None:
    group(tmp_path / "fs", memory__max="max\n", memory__current="1\n", memory__stat="file 1\n")
    endless = {"memory__limit_in_bytes": "9223372036854771712\n", "memory__usage_in_bytes": "1\n"}
    group(tmp_path / "fs" / "memory", **endless, memory__stat="cache 1\n")
    assert room(tmp_path, "4:memory:/\n0::/\n") is None
    assert cgroup.room(tmp_path, tmp_path / "nowhere") is None
