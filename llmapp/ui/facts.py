"""Numbers and names in words: what answered, how fast, how big. One place, so that every tab says the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..messages import say


def size(megabytes: float) -> str:
    """`538 MB`, `1.2 GB` (10^6 and 10^9 bytes)."""
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"


def precision(kind: str, weights: str, language: str) -> str:
    """`fp32, from 4-bit (Q4_1) weights`: how weights are held, and what they were on disk."""
    if weights in ("", kind, {"fp32": "F32", "bf16": "BF16", "fp16": "F16"}.get(kind)):
        return kind
    code = "facts.from_quantized" if weights.upper().startswith(("Q", "IQ")) else "facts.from_weights"
    bits = "".join(filter(str.isdigit, weights.split("_", maxsplit=1)[0]))
    return say(code, language, kind=kind, weights=weights, bits=bits)


def facts_line(meta: Mapping[str, Any], language: str) -> str:
    """One line under a result: model, adapter, precision, speed. Empty for a result that has no facts."""
    if "model_name" not in meta:
        return ""
    parts = [str(meta["model_name"])]
    if meta.get("adapter_name"):
        parts.append(say("facts.adapter", language, adapter=meta["adapter_name"]))
    parts.append(precision(str(meta["precision"]), str(meta["weights"]), language))
    if meta.get("tokens_per_s"):
        parts.append(say("facts.speed", language, speed=meta["tokens_per_s"]))
    if meta.get("first_token_s") is not None:
        parts.append(say("facts.first_token", language, seconds=meta["first_token_s"]))
    return " · ".join(parts)
