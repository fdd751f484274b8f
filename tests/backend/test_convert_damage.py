"""A GGUF file that is damaged or not known is refused in words; a conversion that is killed leaves nothing whole."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmapp.backend.convert import convert_gguf
from llmapp.backend.gguf_file import GgufFile
from llmapp.backend.progress import Progress
from llmapp.errors import SourceError
from tests.backend.conversions import big_gguf, loaded, original, pieces_of, silent
from tests.tiny_gguf import write_gguf

ROOT = Path(__file__).parents[2]


def code_of(file: Path, target: Path) -> str:
    with pytest.raises(SourceError) as caught:
        convert_gguf(file, target, silent)
    assert file.name in str(caught.value)
    assert file.name in caught.value.text("zh")
    assert not target.exists()
    assert pieces_of(target) == []
    return caught.value.code


def test_what_is_no_gguf_is_refused(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"GG", b"PK\x03\x04 a zip", b"<html>not found</html>" * 100)):
        file = tmp_path / f"{number}.gguf"
        file.write_bytes(content)
        assert code_of(file, tmp_path / "converted") == "gguf_none"
    file.write_bytes(b"GGUF" + (1).to_bytes(4, "little") + bytes(100))
    assert code_of(file, tmp_path / "converted") == "gguf_version"


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = write_gguf(original(tmp_path / "original", "llama"), tmp_path / "tiny.gguf", "llama").read_bytes()
    file = tmp_path / "cut.gguf"
    for size in (5, 23, 24, 60, 400, 5_000, 12_000, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(SourceError) as caught:
            GgufFile(file)
        assert caught.value.code == "gguf_damaged"
    assert code_of(file, tmp_path / "converted") == "gguf_damaged"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 30_000), byte=st.integers(0, 255))
def test_a_damaged_header_is_refused_in_words_or_read(tmp_path: Path, at: int, byte: int) -> None:
    good = tmp_path / "good.gguf"
    if not good.exists():
        write_gguf(original(tmp_path / "original", "llama"), good, "llama")
    content = bytearray(good.read_bytes())
    content[at] = byte
    (tmp_path / "bad.gguf").write_bytes(content)
    with contextlib.suppress(SourceError):
        GgufFile(tmp_path / "bad.gguf")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"facts": {"llama.rope.scaling.type": "yarn"}}, "gguf_setting"),
        ({"pre": "jina-v2-de"}, "gguf_tokenizer"),
        ({"more": {"rope_freqs.weight": np.ones(8, np.float32)}}, "gguf_tensor"),
        ({"leave_out": "blk.1.ffn_up.weight"}, "gguf_tensor"),
        ({"leave_out": "token_embd.weight"}, "gguf_tensor"),
        ({"more": {"blk.0.ffn_up.weight": np.ones((128, 64), np.int8)}}, "gguf_quantization"),
    ],
)
def test_what_is_not_known_is_refused_by_name(tmp_path: Path, change: dict[str, Any], code: str) -> None:
    file = write_gguf(original(tmp_path / "original", "llama"), tmp_path / "odd.gguf", "llama", **change)
    assert code_of(file, tmp_path / "converted") == code


def test_an_unknown_architecture_and_an_unknown_format_are_named(tmp_path: Path) -> None:
    file = write_gguf(original(tmp_path / "original", "llama"), tmp_path / "odd.gguf", "llama")
    content = file.read_bytes()
    file.write_bytes(content.replace(b"llama", b"mamba"))
    with pytest.raises(SourceError, match=r"architecture `mamba`.*llama, qwen2, qwen3, gemma3, gpt2"):
        convert_gguf(file, tmp_path / "converted", silent)
    place = content.index(b"blk.0.attn_q.weight") + len(b"blk.0.attn_q.weight") + 4 + 2 * 8
    file.write_bytes(content[:place] + (99).to_bytes(4, "little") + content[place + 4 :])
    with pytest.raises(SourceError, match=r"`blk.0.attn_q.weight` in the format 99"):
        convert_gguf(file, tmp_path / "converted", silent)


def test_a_file_that_is_silent_on_its_size_is_refused(tmp_path: Path) -> None:
    file = write_gguf(original(tmp_path / "original", "llama"), tmp_path / "odd.gguf", "llama")
    file.write_bytes(file.read_bytes().replace(b"llama.block_count", b"llama.block_cound"))
    assert code_of(file, tmp_path / "converted") == "gguf_silent"


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_a_killed_child_leaves_nothing_and_the_next_try_is_whole(tmp_path: Path) -> None:
    file, target = big_gguf(tmp_path), tmp_path / "converted"

    def kill(progress: Progress) -> None:
        if progress.total:
            assert not target.exists()
            assert pieces_of(target)
            for child in children():
                child.kill()

    with pytest.raises(SourceError) as caught:
        convert_gguf(file, target, kill)
    assert caught.value.code == "gguf_killed"
    assert not target.exists()
    assert pieces_of(target) == []
    convert_gguf(file, target, silent)
    assert loaded(target)[0].config.model_type == "llama"


def test_a_report_that_raises_ends_the_child(tmp_path: Path) -> None:
    file, target = big_gguf(tmp_path), tmp_path / "converted"

    def stop(progress: Progress) -> None:
        raise SourceError("source_stopped", file=file.name)

    started = time.monotonic()
    with pytest.raises(SourceError) as caught:
        convert_gguf(file, target, stop)
    assert caught.value.code == "source_stopped"
    assert time.monotonic() - started < 5
    assert children() == []
    assert not target.exists()
    assert pieces_of(target) == []


@pytest.mark.skipif(os.name != "posix", reason="SIGSTOP and SIGKILL are POSIX's")
def test_when_the_app_itself_is_killed_the_child_ends_too_and_its_rest_is_cleared_away(tmp_path: Path) -> None:
    file, target = big_gguf(tmp_path), tmp_path / "converted"
    program = (
        "import sys, pathlib, time; from llmapp.backend.convert import convert_gguf;"
        "convert_gguf(*map(pathlib.Path, sys.argv[1:]), lambda p: p.total and time.sleep(60))"
    )
    app = subprocess.Popen([sys.executable, "-c", program, str(file), str(target)], cwd=ROOT)
    child = None
    deadline = time.monotonic() + 60
    while not pieces_of(target) and time.monotonic() < deadline:
        time.sleep(0.005)
    (child,) = psutil.Process(app.pid).children()
    child.suspend()
    app.send_signal(signal.SIGKILL)
    app.wait()
    assert pieces_of(target)
    assert not target.exists()
    child.resume()
    psutil.wait_procs([child], timeout=60)
    assert not child.is_running()
    convert_gguf(file, target, silent)
    assert pieces_of(target) == []
    assert loaded(target)[0].config.model_type == "llama"
