"""What became of each row of a table, kept on disk as it comes: after a crash or a stop the work goes on there.

One JSON line a row, in the order of the rows. Does not know what is done to them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class DoneRows:
    """The rows that are done. What a crash tore off at the end is done again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[dict[str, Any]] = []
        kept = 0
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
            try:
                row = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            self.rows.append(row)
            kept += len(line)
        if path.exists():
            os.truncate(path, kept)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep what became of the next rows; it is on the disk when this returns."""
        with self._path.open("ab") as file:
            file.write(b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows))
            file.flush()
            os.fsync(file.fileno())
        self.rows.extend(map(dict, rows))
