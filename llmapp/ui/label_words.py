"""What a label is called on the page: those of feelings in the page's language, all others as they are."""

from __future__ import annotations

from ..messages import words


def label_word(label: str, language: str) -> str:
    """A label in words; in files and answers to scripts it stays as the model gives it."""
    return words(language).get(f"label.{label.lower()}", label)
