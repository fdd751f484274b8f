"""Safetensors files without torch: which tensors a folder holds, their values as fp32, and such a file written.

Knows the format (github.com/huggingface/safetensors). Does not know models.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError

Kind = Literal["F32", "F16"]
SIZES: Mapping[Kind, int] = {"F32": 4, "F16": 2}
READ: Mapping[str, type[np.generic]] = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}


@dataclass(frozen=True)
class Stored:
    """One tensor of a file: its number format there, shape, and where its bytes lie."""

    path: Path
    kind: str
    shape: tuple[int, ...]
    start: int

    @property
    def values(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    def read(self) -> NDArray[np.float32]:
        """The values. Raises SourceError for a format that is not read here."""
        if self.kind not in READ:
            raise SourceError("weights_damaged", model=self.path.name, problem=self.kind)
        raw = np.fromfile(self.path, READ[self.kind], self.values, offset=self.start).reshape(self.shape)
        if self.kind == "BF16":  # the upper half of an fp32
            return (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return raw.astype(np.float32, copy=False)


@dataclass(frozen=True)
class Planned:
    """One tensor of a file that is to be written."""

    name: str
    kind: Kind
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return math.prod(self.shape) * SIZES[self.kind]


def stored_in(folder: Path) -> dict[str, Stored]:
    """Every tensor of a folder's safetensors files, by name."""
    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in _table(path).items()}


def write_tensors(out: IO[bytes], planned: Sequence[Planned], pieces: Iterable[NDArray[Any]]) -> None:
    """Length of the table, the table, the values; `pieces` are these in order, each of any part of a tensor."""
    table: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for tensor in planned:
        table[tensor.name] = {"dtype": tensor.kind, "shape": tensor.shape, "data_offsets": [at, at + tensor.size]}
        at += tensor.size
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)  # values begin at a multiple of 8
    out.write(struct.pack("<Q", len(text)) + text)
    for piece in pieces:
        out.write(piece.data)


def _table(path: Path) -> dict[str, Stored]:
    with path.open("rb") as file:
        try:
            (length,) = struct.unpack("<Q", file.read(8))
            table = json.loads(file.read(length))
        except (struct.error, ValueError, OverflowError, MemoryError) as problem:
            raise SourceError("weights_damaged", model=path.name, problem=str(problem)) from None
    table.pop("__metadata__", None)
    begin = 8 + length
    return {
        name: Stored(path, entry["dtype"], tuple(entry["shape"]), begin + entry["data_offsets"][0])
        for name, entry in table.items()
    }
