"""Where a training was: folders of tensors and a little state, whole or not there, the newest few of them.

Knows files only: no pickle, no model. A kill in the middle of a save leaves the one before.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..backend.disk import sync_file, sync_folder

KEPT = 2


class Checkpoints:
    """Folders of tensors and state, whole or not there; the newest few are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, step: int, tensors: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Write aside, sync, rename, then drop what is older. What could not be written takes no room."""
        aside, final = self._folder / "new", self._folder / f"step-{step:08d}"
        shutil.rmtree(aside, ignore_errors=True)
        try:
            _write(aside, tensors, state)
        except Exception:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
        sync_folder(self._folder)
        for old in sorted(self._folder.glob("step-*"))[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def newest(self, fingerprint: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Tensors and state of the newest one that can be read and belongs to this training."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        for folder in sorted(self._folder.glob("step-*"), reverse=True):
            try:
                state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
                if state["fingerprint"] == fingerprint:
                    return load_file(folder / "tensors.safetensors"), state
            except (OSError, ValueError, KeyError, SafetensorError):
                continue
        return None


def _write(folder: Path, tensors: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "tensors.safetensors")
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for file in folder.iterdir():
        sync_file(file)
    sync_folder(folder)
