"""Engines on tiny real models, for the tests of what an engine is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmapp.backend.device import detect
from llmapp.backend.engine import EngineInfo, Piece, Precision, Request, Sampling
from llmapp.backend.loader import load
from llmapp.backend.memory import Guard
from llmapp.backend.sources import Local
from llmapp.backend.tokens import Tokens
from llmapp.backend.torch_engine import TorchEngine
from llmapp.catalog import Model
from llmapp.messages import message
from tests import tiny

FP32 = Precision("fp32", "float32", "cpu", message("reason.precision_cpu"))
HARDWARE = detect("cpu")
MAKERS = {
    "causal": tiny.tiny_causal,
    "seq2seq": tiny.tiny_seq2seq,
    "classifier": tiny.tiny_classifier,
    "encoder": tiny.tiny_encoder,
}


def engine_of(folder: Path, kind: str, family: str, **changes: Any) -> TorchEngine:
    """An engine on a tiny model, made in `folder` where it is not there yet; `changes` are the catalog entry's."""
    if not (folder / "config.json").exists():
        MAKERS[kind](folder, family)
    return engine_on(folder, tiny.catalog_entry(folder, kind, family, **changes))


def engine_on(folder: Path, entry: Model) -> TorchEngine:
    """An engine on a model folder."""
    import torch

    torch.set_num_threads(1)  # two threads on something so small only wait for each other
    loaded = load(Local(folder, "0", "fp32", "folder"), entry, FP32)
    info = EngineInfo(entry, "0", FP32, "fp32")
    return TorchEngine(loaded.base.model, loaded.base.kind, Tokens(loaded.tokenizer, entry), info, Guard(HARDWARE))


def greedy(prompt: Any, tokens: int = 20, **changes: Any) -> Request:
    """A request for the likeliest answer."""
    return Request(prompt, Sampling(temperature=0, max_new_tokens=tokens, **changes))


def whole(pieces: Iterator[Piece]) -> str:
    """The text of a stream."""
    return "".join(piece.text for piece in pieces)


def longer(engine: TorchEngine, context: int) -> TorchEngine:
    """The same engine believing in another context length."""
    engine._info = replace(engine.info, model=replace(engine.info.model, context=context))
    engine._tokens.model = engine.info.model
    return engine
