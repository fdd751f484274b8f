"""What 4-bit costs and saves on a processor, for the packaged chat model: size, perplexity, speed.

Prints one JSON object:
  perplexity     by precision, on 20,000 bytes of Python's own documentation (`pydoc_data.topics`, named below)
  rise           perplexity of 4-bit over fp32, minus 1. The weights were 4-bit (Q4_1) before: NF4 packs them twice
  footprint_mb   parameters, buffers and scales, by precision
  decode_ratio   tokens/s of 4-bit over fp32's, greedy, turn about, median of pairs
  exact_ratio    4-bit tokens/s as this app computes (exact, safe to train and save) over bitsandbytes' own repacked
                 path, which processors with avx512_bf16 have; null elsewhere
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import statistics
import sys
import time
from pydoc_data.topics import topics
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit

from llmapp.backend.device import choose_precision, detect
from llmapp.backend.loader import Loaded, footprint, load

from .house import catalog, packaged

MODEL = "smollm2-135m-instruct"
TOPIC = "specialnames"
BYTES = 20_000
WINDOW = 1024
PAIRS = 3
TOKENS = 24


def text() -> str:
    """The first bytes of a chapter of the language reference, as this Python carries it."""
    return topics[TOPIC].encode()[:BYTES].decode(errors="ignore")


def perplexity(loaded: Loaded, ids: torch.Tensor) -> float:
    """exp of the mean loss of every token but the first of each window of `WINDOW` tokens; `ids`: (1, tokens)."""
    total, count = 0.0, 0
    with torch.inference_mode():
        for window in ids.split(WINDOW, dim=1):
            logits = loaded.model(window).logits[0, :-1]
            total += float(torch.nn.functional.cross_entropy(logits, window[0, 1:], reduction="sum"))
            count += window.shape[1] - 1
    return math.exp(total / count)


def rate(model: Any, ids: torch.Tensor) -> float:
    """Tokens a second of greedy writing after a short prompt."""
    begin = time.perf_counter()
    model.generate(ids, max_new_tokens=TOKENS, min_new_tokens=TOKENS, do_sample=False)
    return TOKENS / (time.perf_counter() - begin)


def ratio(one: Any, other: Any, ids: torch.Tensor) -> float:
    """Median over pairs of how much faster `one` writes than `other`."""
    return statistics.median(rate(one, ids) / rate(other, ids) for _ in range(PAIRS))


def repacked(loaded: Loaded) -> Any:
    """The model on bitsandbytes' repacked path. For good: its weights are not to be trained or saved any more."""
    for module in loaded.model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = True
    return loaded.model


def main() -> None:
    hardware = detect("cpu")
    model, local = catalog().model(MODEL), packaged(MODEL)
    wishes = ("fp32", "bf16", "4bit")
    held = {wish: load(local, model, choose_precision(model, hardware, wish)) for wish in wishes}
    chapter = text()
    ids = held["fp32"].tokenizer(chapter, return_tensors="pt", verbose=False)["input_ids"]
    short = ids[:, :16]
    found = {wish: perplexity(held[wish], ids) for wish in wishes}
    result = {
        "model": MODEL,
        "weights": local.weights,
        "text": f"pydoc_data.topics[{TOPIC!r}], first {BYTES:,} bytes, Python {platform.python_version()}",
        "text_sha256": hashlib.sha256(chapter.encode()).hexdigest(),
        "tokens": ids.shape[1],
        "perplexity": {wish: round(value, 3) for wish, value in found.items()},
        "rise": round(found["4bit"] / found["fp32"] - 1, 4),
        "footprint_mb": {wish: round(footprint(held[wish].model) / 1e6, 1) for wish in wishes},
        "decode_ratio": round(ratio(held["4bit"].model, held["fp32"].model, short), 3),
        "exact_ratio": None,
        "threads": torch.get_num_threads(),
    }
    if "avx512_bf16" in hardware.features:
        exact, fast = held["4bit"].model, repacked(load(local, model, choose_precision(model, hardware, "4bit")))
        rate(fast, short)  # the first forward repacks
        result["exact_ratio"] = round(ratio(exact, fast, short), 3)
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
