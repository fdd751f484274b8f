"""Numbers and names in words: what answered, how fast, how big. One place, so that every tab says the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ..messages import say, words

SECTIONS = {
    **dict.fromkeys(("length", "form", "method"), "summarize"),
    **dict.fromkeys(("source", "target", "language"), "language"),
}
"""Settings whose values have words, and where."""


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
    """One line under a result: model, adapter, precision, revision, speed, settings. Empty where there are no facts."""
    if "model_name" not in meta:
        return ""
    parts = [str(meta["model_name"])]
    if meta.get("adapter_name"):
        parts.append(say("facts.adapter", language, adapter=meta["adapter_name"]))
    parts.append(precision(str(meta["precision"]), str(meta["weights"]), language))
    if meta.get("revision"):
        parts.append(say("facts.revision", language, revision=revision(str(meta["revision"]))))
    if meta.get("tokens_per_s"):
        parts.append(say("facts.speed", language, speed=meta["tokens_per_s"]))
    if meta.get("first_token_s") is not None:
        parts.append(say("facts.first_token", language, seconds=meta["first_token_s"]))
    if shown := settings_line(meta.get("settings", {}), language):
        parts.append(shown)
    return " · ".join(parts)


def revision(whole: str) -> str:
    """A commit as far as people read it, the version of a package, or the name of a folder."""
    if re.fullmatch("[0-9a-f]{40}", whole):
        return whole[:7]
    return whole.rpartition("==")[2] if "==" in whole else PurePath(whole).name


def settings_line(settings: Mapping[str, Any], language: str) -> str:
    """`length: Short · form: Bullets`: what was set and is not empty, by the names of arguments. No glossary."""
    known = words(language)
    parts = []
    for name, value in settings.items():
        if value in (None, "", [], ()) or name == "glossary":
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        shown = known.get(f"{SECTIONS[name]}.{shown}", shown) if name in SECTIONS else shown
        label = known.get(f"setting.{name}") or known.get(f"training.{name}", name)
        parts.append(f"{label}: {shown}")
    return " · ".join(parts)
