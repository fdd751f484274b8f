"""The walls of the house: who may know whom, and who may name what. Walks every import, late ones included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "llmapp"
FILES = sorted(PACKAGE.rglob("*.py"))

# What each part may import of the others (and of itself). A part that is missing here fails the test.
BASE = {"messages", "errors", "settings"}
STORED = BASE | {"store", "schema", "presence", "transcripts", "conversations", "examples", "glossaries"}
MAY_KNOW = {
    "__init__": set(),
    "messages": set(),
    "errors": {"messages"},
    "settings": {"messages", "errors"},
    "space": set(),
    "store": STORED,
    "schema": STORED,
    "presence": set(),
    "transcripts": BASE,
    "conversations": STORED,
    "examples": STORED,
    "glossaries": STORED,
    "catalog": STORED,
    "backend": STORED | {"catalog"},
    "tasks": STORED | {"catalog", "backend"},
    "bulk": STORED | {"catalog", "backend", "tasks"},
    "finetune": STORED | {"catalog", "backend", "tasks"},
    "finetune.__main__": STORED | {"catalog", "backend", "tasks", "finetune", "jobs"},
    "jobs": STORED,
    "worker": STORED | {"catalog", "backend", "tasks", "bulk", "finetune", "jobs"},
    "ui": STORED | {"catalog", "backend", "tasks", "bulk", "finetune", "jobs"},
}


def imported(path: Path) -> Iterator[str]:
    """Absolute names of all that a file imports, at any depth, `import_module("...")` included."""
    package = list(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def part_of(path: Path) -> str:
    """The command line stands above what it commands."""
    parts = path.relative_to(PACKAGE).parts
    return ".".join(parts).removesuffix(".py") if parts[-1] == "__main__.py" else parts[0].removesuffix(".py")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_imports_run_one_way(path: Path) -> None:
    part = part_of(path)
    for name in imported(path):
        steps = name.split(".")
        if steps[0] == "llmapp" and len(steps) > 1:
            assert steps[1] in MAY_KNOW[part] | {part, "__version__"}, f"{named(path)} may not import {name}"


def users_of(*libraries: str) -> set[str]:
    return {named(p) for p in FILES for name in imported(p) if name.split(".")[0] in libraries}


def test_only_ui_imports_gradio() -> None:
    assert {path for path in users_of("gradio", "gradio_client") if not path.startswith("llmapp/ui/")} == set()


def test_ui_and_tasks_never_import_torch_or_transformers() -> None:
    outside = ("llmapp/ui/", "llmapp/tasks/", "llmapp/jobs/")
    assert {p for p in users_of("torch", "transformers", "peft") if p.startswith(outside)} == set()


def test_tasks_see_the_engine_protocol_only() -> None:
    seen = {
        name.split(".")[2]
        for path in FILES
        if part_of(path) == "tasks"
        for name in imported(path)
        if name.startswith("llmapp.backend.")
    }
    assert seen == {"engine"}


def test_only_the_loader_names_bitsandbytes_and_from_pretrained() -> None:
    assert users_of("bitsandbytes") <= {"llmapp/backend/loader.py"}
    callers = {named(p) for p in FILES if ".from_pretrained(" in p.read_text(encoding="utf-8")}
    assert callers == {"llmapp/backend/loader.py"}


def test_only_settings_read_the_environment() -> None:
    readers = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                readers.add(named(path))
    assert readers == {"llmapp/settings.py"}


def test_trust_remote_code_is_never_on() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                assert isinstance(node.value, ast.Constant), named(path)
                assert node.value.value is False, named(path)


def test_no_module_level_state_changes() -> None:
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.Global)], named(path)
