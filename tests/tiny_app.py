"""The real app with a catalog of tiny real models, which answer nonsense at once, and the same nonsense each time."""

from __future__ import annotations

from pathlib import Path

import yaml

from . import tiny
from .running_app import App

# The app with another catalog than the one it ships with, which is its first argument.
WITH_MODELS = """
import sys
from pathlib import Path
from app import build, read_settings, serve
models = Path(sys.argv.pop(1))
try:
    serve(build(read_settings(), models))
except KeyboardInterrupt:
    pass
"""
TINY: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "tiny-chat": ("causal", "llama", ("chat", "summarize")),
    "tiny-translator": ("seq2seq", "m2m100", ("translate",)),
    "tiny-judge": ("classifier", "bert", ("sentiment",)),
}


def tiny_catalog(folder: Path) -> Path:
    """A catalog of tiny real models with random weights, one for each tab."""
    makers = {"causal": tiny.tiny_causal, "seq2seq": tiny.tiny_seq2seq, "classifier": tiny.tiny_classifier}
    for name, (kind, family, tasks) in TINY.items():
        entry = tiny.catalog_entry(makers[kind](folder / name, family), kind, family, tasks=tasks)
        labels = ["negative", "positive"] if kind == "classifier" else []
        source = {"folder": {"path": str(folder / name), "weights": "fp32"}}
        card = {**vars(entry), "tasks": list(tasks), "languages": list(entry.languages), "labels": labels}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**card, "sources": [source]}), encoding="utf-8")
    return folder


def app_of_tiny_models(folder: Path) -> App:
    """Not started yet; its models and its data lie in `folder`."""
    models = folder / "models"
    models.mkdir()
    return App(folder / "data", program=("-c", WITH_MODELS, str(tiny_catalog(models))))
