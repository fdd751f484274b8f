"""The tokenizer of a model's folder as metadata of a GGUF file: what `gguf_tokenizer` reads, written.

Reads tokenizer.json and tokenizer_config.json. Refuses a tokenizer that cuts text in a way that llama.cpp has no known
name for: with another cut the model would read other tokens. Does not know weights or chat templates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BadInput
from .gguf_tokenizer import CONTROL, CUTS, GEMMA_SPACES, ROLES, SPACE, USER_DEFINED

NORMAL, UNKNOWN, UNUSED, BYTE = 1, 2, 5, 6


def vocabulary(model: str, folder: Path, size: int) -> dict[str, Any]:
    """`tokenizer.ggml.*` for `size` rows of the embedding. Raises BadInput for a tokenizer that is not written here."""
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    added = {token["id"]: token for token in data["added_tokens"]}
    numbers = {**data["model"]["vocab"], **{token["content"]: number for number, token in added.items()}}
    tokens = [f"[PAD{number}]" for number in range(max(size, len(numbers)))]
    kinds = [UNUSED] * len(tokens)
    gemma = bool(data["model"].get("byte_fallback"))
    for token, number in numbers.items():
        run = gemma and len(token) > 1 and not token.strip(SPACE)
        tokens[number] = token.replace(SPACE, " ") if run else token
        kinds[number] = USER_DEFINED if run else _kind(token, added.get(number), gemma)
    form = _sentencepiece(model, data, numbers) if gemma else _bytes(model, data)
    named = {role: numbers.get(_content(settings.get(role))) for role in ROLES}
    ids = {f"{ROLES[role]}_token_id": number for role, number in named.items() if number is not None}
    first, last = _around(data["post_processor"])
    about = {**form, "tokens": tokens, "token_type": kinds, **ids, "add_bos_token": first, "add_eos_token": last}
    return {f"tokenizer.ggml.{key}": value for key, value in about.items()}


def _kind(token: str, added: Mapping[str, Any] | None, gemma: bool) -> int:
    if gemma and token == "<unk>":  # noqa: S105
        return UNKNOWN
    if added:
        return CONTROL if added["special"] else USER_DEFINED
    return BYTE if gemma and len(token) == 6 and token.startswith("<0x") else NORMAL


def _bytes(model: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Byte-level pairs: how text is cut, by llama.cpp's name, and the merges."""
    cuts = {_said(cut.pre_tokenizer, cut.normalizer): name for name, cut in CUTS.items()}
    name = cuts.get(_said(data["pre_tokenizer"], data["normalizer"]))
    pairs = data["model"]
    if name is None or pairs["type"] != "BPE" or pairs.get("ignore_merges"):
        raise BadInput("take_along_tokenizer", model=model)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in pairs["merges"]]
    return {"model": "gpt2", "pre": name, "merges": merges}


def _sentencepiece(model: str, data: Mapping[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    """Gemma's pairs: no merges are written, tokens are joined in the order of the vocabulary."""
    merges = (merge.split(" ") if isinstance(merge, str) else merge for merge in data["model"]["merges"])
    joined = [numbers["".join(merge)] for merge in merges]
    if _plain(data["normalizer"]) != _plain(GEMMA_SPACES) or joined != sorted(joined):
        raise BadInput("take_along_tokenizer", model=model)
    scores = [-float(number) for number in range(len(numbers))]
    return {"model": "llama", "pre": "default", "scores": scores, "add_space_prefix": False}


def _said(pre_tokenizer: Any, normalizer: Any) -> str:
    return json.dumps([_plain(pre_tokenizer), _plain(normalizer)], sort_keys=True)


def _plain(step: Any) -> Any:
    """A step without what changes no token: where offsets begin."""
    if isinstance(step, list):
        return [_plain(each) for each in step]
    if not isinstance(step, dict):
        return step
    return {key: _plain(value) for key, value in step.items() if key != "trim_offsets"}


def _content(token: Any) -> Any:
    return token["content"] if isinstance(token, dict) else token


def _around(post: Mapping[str, Any] | None) -> tuple[bool, bool]:
    """Whether a token is put before a text, and behind it."""
    steps = (post or {}).get("processors", [post] if post else [])
    singles = (step["single"] for step in steps if step["type"] == "TemplateProcessing")
    single: list[Any] = next(singles, [{"Sequence": {}}])
    return "SpecialToken" in single[0], "SpecialToken" in single[-1]
