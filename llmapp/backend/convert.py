"""Turns a GGUF file, once, into a folder transformers loads at once: config, tokenizer, fp32 safetensors.

The work runs in a child process (`python -m llmapp.backend.convert GGUF TARGET`), so that its memory is gone
when it ends; it writes tensor by tensor and imports neither torch nor transformers. Does not know where files
come from.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .disk import check_room, disk_errors, sync_file, sync_folder
from .gguf_families import Place, config_of, places_of, rows_of_heads, special_ids
from .gguf_file import GgufFile
from .gguf_tokenizer import write_tokenizer
from .progress import Meter, Progress, Report
from .waiting import in_background

NICENESS = 5
FP32_BYTES = 4


def convert_gguf(gguf: Path, target: Path, report: Report) -> None:
    """Write `target`, whole or not at all. A `report` that raises stops the work; nothing is left behind.

    Reported in bytes of fp32 written. Nothing is done where `target` exists; one caller at a time for a target.
    Raises SourceError for a file that is no GGUF, cut, damaged or of a kind not known here, for a full disk,
    and when the child was killed.
    """
    if target.exists():
        return
    command = [sys.executable, "-m", "llmapp.backend.convert", str(gguf.absolute()), str(target.absolute())]
    with tempfile.TemporaryFile() as log:
        with _child(command, log) as child:
            try:
                last = _follow(child, report)
                child.wait()
            finally:
                child.kill()
                child.wait()
                _clear(target)
        log.seek(0)
        trace = log.read().decode(errors="replace")
    if child.returncode and not trace:
        raise SourceError("gguf_killed", file=gguf.name)
    if child.returncode:
        raise RuntimeError(f"the converter failed:\n{trace}")
    report(replace(last, done=last.total))


def _child(command: list[str], log: IO[bytes]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        encoding="utf-8",
    )


def _follow(child: subprocess.Popen[str], report: Report) -> Progress:
    """Pass on what the child says; where it is silent, say the last again, so that `report` can stop it."""
    last, stop = Progress("converting"), threading.Event()
    try:
        for line in in_background(lambda: iter(child.stdout or ()), stop):
            said = json.loads(line) if line else asdict(last)
            if "error" in said:
                raise SourceError(said["error"], **said["values"])
            last = Progress(**said)
            report(last)
    finally:
        stop.set()
    return last


def _clear(target: Path) -> None:
    """Take away what children that were ended left behind."""
    for part in target.parent.glob(f".{target.name}.*.part"):
        shutil.rmtree(part, ignore_errors=True)


def _convert(gguf: Path, target: Path, report: Report) -> None:
    """The child's work, atomic: a folder beside `target`, synced, gets its name in one rename."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear(target)
    try:
        with disk_errors(target.name, target.parent):
            part.mkdir()
            _write(GgufFile(gguf), part, report)
            sync_folder(part)
            if not target.exists():  # a child whose app was killed may have come first, with the same bytes
                part.rename(target)
            sync_folder(target.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(file: GgufFile, folder: Path, report: Report) -> None:
    config, places = config_of(file), places_of(file)
    total = sum(place.tensor.values for place in places) * FP32_BYTES
    check_room(file.path.name, folder, total)
    meter = Meter(report)
    meter.begin("converting", {"model.safetensors": total})
    write_tokenizer(file, folder, longest=file.setting(f"{file.setting('general.architecture')}.context_length"))
    for name, value in (("config", config), ("generation_config", special_ids(file))):
        (folder / f"{name}.json").write_text(json.dumps(value, indent=2), encoding="utf-8")
    _write_weights(file, places, folder / "model.safetensors", meter)
    for path in folder.iterdir():
        sync_file(path)


def _write_weights(file: GgufFile, places: Sequence[Place], path: Path, meter: Meter) -> None:
    """One safetensors file, a piece of a tensor at a time: length of the table, the table, the values."""
    table: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for place in places:
        size = place.tensor.values * FP32_BYTES
        shape = place.tensor.shape[:: -1 if place.change == "transposed" else 1]
        table[place.name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)  # values begin at a multiple of 8
    with path.open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for place in places:
            for piece in _values(file, place):
                out.write(piece.data)
                meter.add(piece.nbytes)


def _values(file: GgufFile, place: Place) -> Iterator[NDArray[np.float32]]:
    """A tensor's values as transformers has them, in flat pieces."""
    tensor = place.tensor
    if place.change == "heads":
        yield from file.values(tensor, rows_of_heads(file, tensor))
    elif place.change == "transposed":
        whole = np.concatenate(list(file.values(tensor))).reshape(tensor.shape)
        yield np.ascontiguousarray(whole.T).reshape(-1)
    elif place.change == "minus_one":
        yield from (piece - np.float32(1) for piece in file.values(tensor))
    else:
        yield from file.values(tensor)


def _main(gguf: Path, target: Path) -> int:
    """The child: progress, and at most one error, as lines of JSON on stdout."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)

    def line(said: object) -> None:
        print(json.dumps(said, default=str), flush=True)

    try:
        _convert(gguf, target, lambda progress: line(asdict(progress)))
    except SourceError as problem:
        line({"error": problem.code, "values": dict(problem.message.values)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), Path(sys.argv[2])))
