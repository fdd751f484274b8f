"""How often a paragraph is judged to be in another language than it is: `python -m benchmarks.bench_languages`.

On the GNOME help in five languages, each paragraph by itself, as a mixed text is read. Prints one JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from llmapp.tasks.directions import has_letters
from llmapp.tasks.language import detect, normalise

from .parallel import LANGUAGES, gnome_help


def main() -> None:
    """Print the counts of each language."""
    pairs = {tag: gnome_help(tag) for tag in LANGUAGES}
    english = list(dict.fromkeys(text for found in pairs.values() for text, _ in found))
    texts = {"en": english, **{tag: [text for _, text in found] for tag, found in pairs.items()}}
    print(json.dumps({tag: counted(normalise(tag), found) for tag, found in texts.items()}, indent=2))


def counted(language: str, texts: Sequence[str]) -> dict[str, Any]:
    """Paragraphs, those judged surely right, and those judged surely to be in another language."""
    found = [detect(text) for text in texts if has_letters(text)]
    sure = [each.language for each in found if each.certain]
    return {"paragraphs": len(found), "surely_right": sure.count(language), "wrong": len(sure) - sure.count(language)}


if __name__ == "__main__":
    main()
