"""Turns a GGUF file, once, into a folder transformers loads at once: config, tokenizer, fp32 safetensors.

The work runs in a child process (`python -m llmapp.backend.convert GGUF TARGET`), so that its memory is gone
when it ends; it writes tensor by tensor and imports neither torch nor transformers. Does not know where files
come from.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .child import be_child, run_child
from .disk import check_room, disk_errors, sync_file, sync_folder
from .gguf_families import Place, config_of, places_of, rows_of_heads, special_ids
from .gguf_file import GgufFile
from .gguf_tokenizer import write_tokenizer
from .progress import Meter, Report
from .tensors import Planned, write_tensors

FP32_BYTES = 4


def convert_gguf(gguf: Path, target: Path, report: Report) -> None:
    """Write `target`, whole or not at all. A `report` that raises stops the work; nothing is left behind.

    Reported in bytes of fp32 written. Nothing is done where `target` exists; one caller at a time for a target.
    Raises SourceError for a file that is no GGUF, cut, damaged or of a kind not known here, for a full disk,
    and when the child was killed.
    """
    if target.exists():
        return
    try:
        ended = run_child("llmapp.backend.convert", (str(gguf.absolute()), str(target.absolute())), report)
    finally:
        _clear(target)
    if ended is None:
        raise SourceError("gguf_killed", file=gguf.name)
    report(replace(ended.last, done=ended.last.total))


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
    """One safetensors file, a piece of a tensor at a time."""
    planned = [
        Planned(place.name, "F32", place.tensor.shape[:: -1 if place.change == "transposed" else 1]) for place in places
    ]
    with path.open("wb") as out:
        write_tensors(out, planned, _counted(file, places, meter))


def _counted(file: GgufFile, places: Sequence[Place], meter: Meter) -> Iterator[NDArray[np.float32]]:
    for place in places:
        for piece in _values(file, place):
            yield piece
            meter.add(piece.nbytes)


def _values(file: GgufFile, place: Place) -> Iterator[NDArray[np.float32]]:
    """A tensor's values as transformers has them, in flat pieces."""
    tensor = place.tensor
    if place.change == "heads":
        yield from file.values(tensor, rows_of_heads(file, tensor.name, tensor.shape[0]))
    elif place.change == "transposed":
        whole = np.concatenate(list(file.values(tensor))).reshape(tensor.shape)
        yield np.ascontiguousarray(whole.T).reshape(-1)
    elif place.change == "minus_one":
        yield from (piece - np.float32(1) for piece in file.values(tensor))
    else:
        yield from file.values(tensor)


if __name__ == "__main__":
    paths = Path(sys.argv[1]), Path(sys.argv[2])
    sys.exit(be_child(lambda report: _convert(*paths, report)))
