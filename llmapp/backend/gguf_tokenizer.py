"""Writes tokenizer.json and its companions from a GGUF file's metadata, without building a tokenizer first.

Two kinds: byte-level pairs ("gpt2" in the file) and Gemma's SentencePiece pairs ("llama"). Text is cut before
merging as each model was trained; llama.cpp names that way in `tokenizer.ggml.pre`. Does not know weights.
`gguf_vocabulary` goes the other way, by the same table of cuts.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SourceError
from .gguf_file import GgufFile

CONTROL, USER_DEFINED = 3, 4
SPACE = "▁"
ROLES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
MERGES_AT_ONCE = 10_000

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
# Qwen's own cut: PRETOKENIZE_REGEX of its tokenizer class in transformers.
QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_CUT = {"type": "Split", "pattern": {"Regex": QWEN_WORDS}, "behavior": "Isolated", "invert": False}


@dataclass(frozen=True)
class Cut:
    """What happens to text before its bytes are merged."""

    pre_tokenizer: dict[str, Any]
    normalizer: dict[str, Any] | None = None


def _one_after_the_other(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


CUTS = {
    "gpt-2": Cut(BYTES),
    # SmolLM reads numbers digit by digit (llama.cpp's "smollm": \p{N} alone, then GPT-2's words).
    "smollm": Cut(_one_after_the_other({"type": "Digits", "individual_digits": True}, BYTES)),
    "qwen2": Cut(_one_after_the_other(QWEN_CUT, {**BYTES, "use_regex": False}), {"type": "NFC"}),
}
GEMMA_SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
PAIRS = {
    "type": "BPE",
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "fuse_unk": False,
    "byte_fallback": False,
    "ignore_merges": False,
}


def write_tokenizer(file: GgufFile, folder: Path, longest: int) -> None:
    """tokenizer.json, tokenizer_config.json and, where the file has one, chat_template.jinja.

    `longest` is the context in tokens. Raises SourceError for a tokenizer that is not known here.
    """
    kind, architecture = file.setting("tokenizer.ggml.model"), file.setting("general.architecture")
    if kind == "llama" and architecture == "gemma3":
        frame, tokens = _gemma_frame(file)
        merges = _implied_merges(tokens)
    elif kind == "gpt2" and file.metadata.get("tokenizer.ggml.pre") in CUTS:
        frame, tokens = _bytes_frame(file), file.setting("tokenizer.ggml.tokens")
        merges = iter(file.setting("tokenizer.ggml.merges"))
    else:
        word = f"{kind}/{file.metadata.get('tokenizer.ggml.pre', 'default')}"
        raise SourceError("gguf_tokenizer", file=file.path.name, tokenizer=word)
    frame = {"version": "1.0", "truncation": None, "padding": None, **frame}
    frame |= {"added_tokens": _added(file, tokens), "post_processor": _ends(file, tokens)}
    _write_frame(folder / "tokenizer.json", frame, tokens, merges)
    settings = json.dumps(_settings(file, tokens, longest), ensure_ascii=False, indent=2)
    (folder / "tokenizer_config.json").write_text(settings, encoding="utf-8")
    if template := file.metadata.get("tokenizer.chat_template"):
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def _bytes_frame(file: GgufFile) -> dict[str, Any]:
    cut = CUTS[file.setting("tokenizer.ggml.pre")]
    return {
        "normalizer": cut.normalizer,
        "pre_tokenizer": cut.pre_tokenizer,
        "decoder": {**BYTES, "add_prefix_space": True},
        "model": PAIRS,
    }


def _gemma_frame(file: GgufFile) -> tuple[dict[str, Any], list[str]]:
    """A GGUF writes Gemma's tokens of several spaces as real ones; merges only ever see `▁`."""
    said = file.setting("tokenizer.ggml.tokens")
    tokens = [SPACE * len(token) if " " in token and not token.strip() else token for token in said]
    space, split = {"String": " "}, "MergedWithPrevious"
    steps = [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "}]
    return {
        "normalizer": GEMMA_SPACES,
        "pre_tokenizer": {"type": "Split", "pattern": space, "behavior": split, "invert": False},
        "decoder": {"type": "Sequence", "decoders": [*steps, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": PAIRS | {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True},
    }, tokens


def _implied_merges(tokens: list[str]) -> Iterator[str]:
    """Gemma's vocabulary stands in the order of its merges: each way to join two tokens into a later one."""
    known = set(tokens)
    for token in tokens:
        for cut in range(len(token) - 1, 0, -1):
            left, right = token[:cut], token[cut:]
            if left in known and right in known and " " not in token:
                yield f"{left} {right}"


def _added(file: GgufFile, tokens: list[str]) -> list[dict[str, Any]]:
    """Tokens that are matched whole in the text: control tokens, and those the author wanted whole.

    Gemma's runs of spaces are left to the merges, which join them first: here they would match written `▁▁`.
    """
    kinds = file.metadata.get("tokenizer.ggml.token_type", [])
    return [
        {"id": number, "content": token, **PLAIN, "special": kind == CONTROL}
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=False))
        if kind in (CONTROL, USER_DEFINED) and token.strip(SPACE)
    ]


def _roles(file: GgufFile, tokens: list[str]) -> dict[str, int]:
    said = {role: file.metadata.get(f"tokenizer.ggml.{key}_token_id") for role, key in ROLES.items()}
    return {role: number for role, number in said.items() if number is not None and number < len(tokens)}


def _ends(file: GgufFile, tokens: list[str]) -> dict[str, Any]:
    """The template that puts the first and last token around a text, where the model wants them."""
    begin = _wanted(file, tokens, "bos", file.setting("tokenizer.ggml.model") == "llama")
    end = _wanted(file, tokens, "eos", False)

    def around(letter: str, number: int) -> list[dict[str, Any]]:
        first, last = ({"SpecialToken": {"id": token, "type_id": number}} for token in (begin, end))
        text = {"Sequence": {"id": letter, "type_id": number}}
        return [*([first] if begin else []), text, *([last] if end else [])]

    named = [token for token in (begin, end) if token]
    used = {token: {"id": token, "ids": [tokens.index(token)], "tokens": [token]} for token in named}
    single, other = around("A", 0), around("B", 1)
    return {"type": "TemplateProcessing", "single": single, "pair": single + other, "special_tokens": used}


def _wanted(file: GgufFile, tokens: list[str], role: str, default: bool) -> str:
    number = _roles(file, tokens).get(f"{role}_token")
    said = file.metadata.get(f"tokenizer.ggml.add_{role}_token", default)
    return tokens[number] if said and number is not None else ""


def _settings(file: GgufFile, tokens: list[str], longest: int) -> dict[str, Any]:
    """tokenizer_config.json.

    Where it has an `added_tokens_decoder`, transformers does not parse all of tokenizer.json in Python as
    well: that took seconds for a quarter of a million tokens.
    """
    roles = _roles(file, tokens)
    return {
        "tokenizer_class": "TokenizersBackend",
        **{role: tokens[number] for role, number in roles.items()},
        "added_tokens_decoder": {str(token.pop("id")): token for token in _added(file, tokens)},
        "model_max_length": longest,
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
    }


def _write_frame(path: Path, frame: dict[str, Any], tokens: list[str], merges: Iterator[str]) -> None:
    """The JSON in pieces, so that half a million merges are never held at once."""
    model = {**frame.pop("model"), "vocab": {token: number for number, token in enumerate(tokens)}}
    with path.open("w", encoding="utf-8") as file:
        file.write(_json(frame)[:-1] + ',"model":' + _json(model)[:-1] + ',"merges":[')
        comma = ""
        while block := list(itertools.islice(merges, MERGES_AT_ONCE)):
            file.write(comma + _json(block)[1:-1])
            comma = ","
        file.write("]}}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
