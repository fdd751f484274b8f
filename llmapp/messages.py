"""Every sentence a person reads, as a code with values; the words are in `ui/text/*.yaml`.

Knows the two word files and how to fill them. Does not know who says what, or gradio.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

LANGUAGES = ("en", "zh")
TEXT_DIR = Path(__file__).parent / "ui" / "text"


class DuplicateKey(yaml.YAMLError):
    """A word file has the same key twice; YAML would silently keep the last."""


class _StrictLoader(yaml.CSafeLoader):
    """SafeLoader that refuses duplicate keys. Written in C: the other takes a quarter of the app's own start."""


def _mapping_without_duplicates(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise DuplicateKey(f"{key!r} stands twice{key_node.start_mark}")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)


def read_yaml(path: Path) -> Any:
    """Parse one YAML file; raises `DuplicateKey` where a mapping holds a key twice."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


@cache
def words(language: str) -> Mapping[str, str]:
    """All templates of one language, keyed by dotted code: `{"error.no_room": "..."}`."""
    return _flatten(read_yaml(TEXT_DIR / f"{language}.yaml"))


def placeholders(template: str) -> set[str]:
    """Names between braces in a template: `"{a} of {b:.1f}"` -> `{"a", "b"}`."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def say(code: str, language: str = "en", /, **values: object) -> str:
    """The sentence for `code`, filled. Messages among the values speak the same language.

    Raises KeyError for an unknown code: a bug, caught by the test that lists all codes.
    """
    filled = {k: v.text(language) if isinstance(v, Message) else v for k, v in values.items()}
    return words(language)[code].format(**filled)


@dataclass(frozen=True)
class Message:
    """A code with values: what errors, reasons, findings and events are made of."""

    code: str
    values: Mapping[str, object] = field(default_factory=dict)

    def text(self, language: str = "en") -> str:
        """The sentence in one of `LANGUAGES`."""
        return say(self.code, language, **self.values)

    def __str__(self) -> str:
        return self.text()


def message(code: str, /, **values: object) -> Message:
    """Shorthand: `message("reason.cpu", ram_gb=7.5)`."""
    return Message(code, values)
