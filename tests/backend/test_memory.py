"""What fits and what is said; markers of who was killed, with a process that really is."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from llmapp.backend import memory
from llmapp.backend.choose import needed_bytes
from llmapp.backend.device import detect
from llmapp.backend.engine import EngineInfo, Precision
from llmapp.backend.memory import Guard, LastWords, check_fits, estimate, give_back, in_words, kv_bytes
from llmapp.catalog import Catalog
from llmapp.errors import OutOfMemory
from llmapp.messages import message

ROOT = Path(__file__).parents[2]
FP32 = Precision("fp32", "float32", "cpu", message("reason.precision_cpu"))
FP16 = Precision("fp16", "float16", "cuda", message("reason.precision_cpu"))
CHILD = """
import sys, time
from pathlib import Path
from types import ModuleType
from llmapp.backend.memory import LastWords
from llmapp.catalog import Catalog
model = Catalog.read(Path("models")).model("qwen3-0.6b")
with LastWords(Path(sys.argv[1])).mark("loading", model):
    print("loading", flush=True)
    time.sleep(60)
"""


def test_an_estimate_is_weights_keys_and_values_and_some_more(catalog: Catalog) -> None:
    model = catalog.model("smollm2-135m-instruct")
    # 30 layers x 3 heads x 64 numbers, keys and values, 2 bytes each
    assert model.kv_bytes_per_token == 30 * 3 * 64 * 2 * 2
    assert kv_bytes(model, FP16, 1000) == 23_040_000
    assert kv_bytes(model, FP32, 1000) == 46_080_000
    more = estimate(model, FP32, 8192) - estimate(model, FP32, 0)
    assert more == kv_bytes(model, FP32, 8192)
    assert 538e6 < estimate(model, FP32, 0) < 538e6 * 2
    assert estimate(model, FP16, 0) < estimate(model, FP32, 0)


def test_what_is_chosen_is_what_fits(catalog: Catalog) -> None:
    hardware = detect("cpu")
    for model in catalog.models("chat"):
        assert estimate(model, FP32) == needed_bytes(model, hardware)


def test_what_does_not_fit_is_refused_with_numbers_and_the_next_step(catalog: Catalog) -> None:
    model = catalog.model("smollm2-135m-instruct")
    check_fits(model, FP32, estimate(model, FP32))
    with pytest.raises(OutOfMemory) as short:
        check_fits(model, FP32, estimate(model, FP32) - 1)
    with pytest.raises(OutOfMemory) as unload:
        check_fits(model, FP32, 200_000_000, ["Qwen3 4B"])
    assert "Close other programs" in str(short.value)
    assert "needs 1.1 GB, 0.2 GB is free. Unload `Qwen3 4B` or pick a smaller model." in str(unload.value)
    assert "0.2 GB" in unload.value.text("zh")


def test_an_answer_that_would_not_fit_is_refused(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    info = EngineInfo(catalog.model("smollm2-135m-instruct"), "0", FP32, "Q4_1")
    guard = Guard(detect("cpu"))
    monkeypatch.setattr(memory, "available_memory", lambda hardware: 100_000_000)
    with guard.writing(info, 2_000):
        pass
    with pytest.raises(OutOfMemory, match="8,192 tokens"), guard.writing(info, 8_192):
        pass


def test_on_a_card_nothing_is_refused_beforehand(catalog: Catalog) -> None:
    info = EngineInfo(catalog.model("smollm2-135m-instruct"), "0", FP16, "bf16")
    with Guard(replace(detect("cpu"), device="cuda")).writing(info, 10**9):
        pass


@pytest.mark.parametrize("size", [10**15, 2**62])
def test_memory_that_ran_out_is_said(catalog: Catalog, size: int) -> None:
    import torch

    with pytest.raises(OutOfMemory, match="Memory ran out while") as caught:
        in_words(catalog.model("gpt2"), lambda: torch.empty(size // 4))
    assert caught.value.__context__ is None  # it would hold what the failed work had in its hands


def test_other_errors_stay_what_they_are(catalog: Catalog) -> None:
    import torch

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        in_words(catalog.model("gpt2"), lambda: torch.ones(2, 3) @ torch.ones(2, 3))


def killed_while_loading(folder: Path, how: signal.Signals = signal.SIGKILL) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "loading\n"
    assert LastWords(folder).read() == []  # it lives: another running app is not taken for a dead one
    child.send_signal(how)
    child.wait()
    child.stdout.close()


def test_who_was_killed_while_loading_is_found_once(tmp_path: Path) -> None:
    killed_while_loading(tmp_path)
    (words,) = LastWords(tmp_path).read()
    assert "ended the app while it was loading `Qwen3 0.6B`, probably because memory ran out" in words.text("en")
    assert LastWords(tmp_path).read() == []
    assert list(tmp_path.iterdir()) == []


def test_a_restart_of_the_whole_machine_is_not_taken_for_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_while_loading(tmp_path)
    other_boot = tmp_path / "boot_id"
    other_boot.write_text("another")
    monkeypatch.setattr(memory, "BOOT", other_boot)
    assert LastWords(tmp_path).read() == []


def test_who_ends_well_or_with_an_error_leaves_nothing(tmp_path: Path, catalog: Catalog) -> None:
    words = LastWords(tmp_path)
    with words.mark("writing", catalog.model("gpt2")):
        assert len(list(tmp_path.glob("*.json"))) == 1
        assert words.read() == []
    with pytest.raises(ValueError), words.mark("writing", catalog.model("gpt2")):
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_a_marker_cut_short_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"doing": "load')
    assert LastWords(tmp_path).read() == []
    assert list(tmp_path.glob("*.json")) == []


def test_a_risky_answer_leaves_a_marker_while_it_is_written(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = EngineInfo(catalog.model("smollm2-135m-instruct"), "0", FP32, "Q4_1")
    guard = Guard(detect("cpu"), LastWords(tmp_path))
    monkeypatch.setattr(memory, "available_memory", lambda hardware: 100_000_000)
    for tokens, markers in ((1_000, 0), (2_000, 1)):
        with guard.writing(info, tokens):
            assert len(list(tmp_path.glob("*.json"))) == markers


def test_memory_is_given_back_while_torch_is_still_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who ends the app in that moment must see no traceback."""
    for half in ("torch", "torch.cuda"):
        monkeypatch.setitem(sys.modules, half, ModuleType(half))
    give_back()
    monkeypatch.delitem(sys.modules, "torch.cuda")
    give_back()
