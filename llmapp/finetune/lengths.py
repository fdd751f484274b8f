"""How many tokens texts are for a model, before it is loaded: by its own tokenizer, or by a rule of thumb.

Knows tokenizer files and letters. Does not know rows, training or the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .alike import SPACELESS

TOKENIZER = "tokenizer.json"
SPECIAL = 2
"""Tokens that an encoder puts around a text."""
LETTERS = 4
"""Characters of a token, in languages that set spaces; of others each is about one."""

Lengths = Callable[[Sequence[str]], list[int]]


def lengths_by(folder: Path | None) -> Lengths:
    """By the tokenizer in a model's folder; by letters where there is none."""
    file = folder / TOKENIZER if folder else None
    return _by_tokenizer(file) if file and file.is_file() else _by_letters


def _by_tokenizer(file: Path) -> Lengths:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda texts: [len(encoded.ids) for encoded in tokenizer.encode_batch(list(texts))]


def _by_letters(texts: Sequence[str]) -> list[int]:
    def tokens(text: str) -> int:
        alone = len(SPACELESS.findall(text))
        return SPECIAL + alone + -(-(len(text) - alone) // LETTERS)

    return [tokens(text) for text in texts]
