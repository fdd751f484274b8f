"""Reads a GGUF file: what it says about itself, which tensors it holds, and their values as fp32.

Knows the format (docs/gguf.md of github.com/ggml-org/ggml). Does not know models or tokenizers.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError

VERSIONS = (2, 3)
PIECE = 1 << 18  # values dequantized at once: 1 MB of fp32 stays in a core's cache
LONGEST_SHAPE = 4
STRING, ARRAY, FLOAT32 = 8, 9, 6
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies in the file: shape with rows first, as in numpy; `start` and `size` in bytes."""

    name: str
    shape: tuple[int, ...]
    kind: str
    start: int
    size: int

    @property
    def values(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


class Facts:
    """What a GGUF file says about itself, or one that is yet to be written: its metadata by key."""

    def __init__(self, path: Path, metadata: Mapping[str, Any]) -> None:
        self.path, self.metadata = path, metadata

    def setting(self, key: str, default: Any = None) -> Any:
        """One value of the metadata. Raises SourceError where there is neither a value nor a default."""
        value = self.metadata.get(key, default)
        if value is None:
            raise SourceError("gguf_silent", file=self.path.name, key=key)
        return value


class GgufFile(Facts):
    """One GGUF file: its metadata by key, its tensors by name."""

    def __init__(self, path: Path) -> None:
        """Reads all but the tensors' values. Raises SourceError for what is no GGUF, cut or damaged."""
        metadata, self.tensors = _read(path)
        super().__init__(path, metadata)

    def values(self, tensor: Tensor, rows: NDArray[np.intp] | None = None) -> Iterator[NDArray[np.float32]]:
        """A tensor's values as flat pieces, in order; `rows` gives another order of its rows.

        Quantized blocks never cross a row, so rows are moved before they are unpacked.
        """
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
        from gguf.quants import dequantize

        kind = GGMLQuantizationType[tensor.kind]
        per_block, block = GGML_QUANT_SIZES[kind]
        piece = PIECE // per_block * block if rows is None else tensor.size
        with self.path.open("rb") as file:
            file.seek(tensor.start)
            for at in range(0, tensor.size, piece):
                raw = np.fromfile(file, np.uint8, min(piece, tensor.size - at))
                if rows is not None:
                    raw = raw.reshape(tensor.shape[0], -1)[rows].reshape(-1)
                yield dequantize(raw.reshape(1, -1), kind).reshape(-1)


class _Cursor:
    """Reads one thing after the other. Past the end it raises struct.error; `at` tells where."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self.at = data, 0

    def take(self, form: str) -> Any:
        (value,) = struct.unpack_from(f"<{form}", self._data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return value

    def bytes(self, size: int) -> bytes:
        if size > len(self._data) - self.at:
            raise struct.error
        self.at += size
        return self._data[self.at - size : self.at]

    def text(self) -> str:
        return self.bytes(self.take("Q")).decode()

    def texts(self, count: int) -> list[str]:
        """As `text`, many times: a vocabulary has a quarter of a million."""
        found, data, at, length = [], self._data, self.at, struct.Struct("<Q").unpack_from
        for _ in range(count):
            start = at + 8
            at = start + length(data, at)[0]
            found.append(data[start:at].decode())
        self.at = at
        if at > len(data):
            raise struct.error
        return found

    def numbers(self, kind: int, count: int) -> list[Any]:
        form = SCALARS[kind]
        return list(struct.unpack(f"<{count}{form}", self.bytes(count * struct.calcsize(f"<{form}"))))

    def value(self) -> Any:
        kind = self.take("I")
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            kind, count = self.take("I"), self.take("Q")
            return self.texts(count) if kind == STRING else self.numbers(kind, count)
        value = self.take(SCALARS[kind])
        # The shortest decimal of an fp32: 1e-05 as its author wrote it, not 9.999999747378752e-06.
        return float(str(np.float32(value))) if kind == FLOAT32 else value


def _read(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Tensor]]:
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise SourceError("gguf_none", file=path.name)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            cursor = _Cursor(data)
            try:
                metadata, tensors = _header(cursor, path)
            except (struct.error, UnicodeDecodeError, KeyError, OverflowError, MemoryError):
                raise SourceError("gguf_damaged", file=path.name, at=cursor.at, size=size) from None
    for tensor in tensors:
        if tensor.start + tensor.size > size:
            raise SourceError("gguf_damaged", file=path.name, at=size, size=size)
    return metadata, {tensor.name: tensor for tensor in tensors}


def _header(cursor: _Cursor, path: Path) -> tuple[dict[str, Any], list[Tensor]]:
    cursor.bytes(4)
    version = cursor.take("I")
    if version not in VERSIONS:
        raise SourceError("gguf_version", file=path.name, version=version)
    tensor_count, value_count = cursor.take("Q"), cursor.take("Q")
    metadata = {cursor.text(): cursor.value() for _ in range(value_count)}
    places = [_place(cursor) for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise struct.error
    start = math.ceil(cursor.at / alignment) * alignment
    return metadata, [_tensor(path, start, *place) for place in places]


def _place(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name, dimensions = cursor.text(), cursor.take("I")
    if not 0 < dimensions <= LONGEST_SHAPE:
        raise struct.error
    shape = tuple(reversed(cursor.numbers(10, dimensions)))
    return name, shape, cursor.take("I"), cursor.take("Q")


def _tensor(path: Path, start: int, name: str, shape: tuple[int, ...], number: int, offset: int) -> Tensor:
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import dequantize

    kind = number
    try:
        kind = GGMLQuantizationType(number)
        per_block, block = GGML_QUANT_SIZES[kind]
        dequantize(np.zeros((1, block), np.uint8), kind)
    except (ValueError, NotImplementedError):
        word = getattr(kind, "name", number)
        raise SourceError("gguf_quantization", file=path.name, tensor=name, kind=word) from None
    if shape[-1] % per_block:
        raise struct.error
    return Tensor(name, shape, kind.name, start + offset, math.prod(shape) // per_block * block)
