"""Every word a person reads: both languages, the same keys and placeholders, none missing, none twice."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from llmapp.messages import (
    LANGUAGES,
    TEXT_DIR,
    DuplicateKey,
    Message,
    message,
    placeholders,
    read_yaml,
    say,
    words,
)

PACKAGE = Path(__file__).parent.parent / "llmapp"
# Calls whose first text is a code: `w("...")`, `tell(request, "...")`, `message("...")`, `say("...")`.
SPEAKERS = {"w": 0, "say": 0, "message": 0, "tell": 1, "Message": 0}


def test_both_languages_have_the_same_keys() -> None:
    first, *rest = (set(words(language)) for language in LANGUAGES)
    for other in rest:
        assert first ^ other == set()


@pytest.mark.parametrize("key", sorted(words("en")))
def test_both_languages_have_the_same_placeholders(key: str) -> None:
    assert len({frozenset(placeholders(words(language)[key])) for language in LANGUAGES}) == 1


def test_a_key_that_stands_twice_is_found(tmp_path: Path) -> None:
    file = tmp_path / "en.yaml"
    file.write_text("error:\n  a: one\n  a: two\n")
    with pytest.raises(DuplicateKey, match="'a' stands twice"):
        read_yaml(file)


def test_word_files_have_no_key_twice() -> None:
    for language in LANGUAGES:
        assert read_yaml(TEXT_DIR / f"{language}.yaml")


def codes_in_source() -> set[str]:
    """Literal codes that the source says, errors with their section."""
    errors = set(re.findall(r"class (\w+)\(\w+\)", (PACKAGE / "errors.py").read_text()))
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            place = SPEAKERS.get(name, 0 if name in errors else None)
            if place is None or len(node.args) <= place:
                continue
            code = node.args[place]
            if isinstance(code, ast.Constant) and isinstance(code.value, str):
                found.add(f"error.{code.value}" if name in errors else code.value)
    return found


def test_every_code_the_source_says_has_words() -> None:
    assert codes_in_source() - set(words("en")) == set()


def test_every_error_and_reason_is_said_somewhere() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    unused = [k for k in words("en") if k.startswith(("error.", "reason.")) and k.split(".", 1)[1] not in source]
    assert unused == []


def test_a_message_inside_a_message_speaks_the_same_language() -> None:
    inner = message("settings.port")
    outer = Message("error.setting_choice", {"name": "x", "value": inner, "choices": "y"})
    assert inner.text("zh") in outer.text("zh")
    assert say("settings.port", "en") in str(outer)
