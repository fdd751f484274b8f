"""What people read beside the page: links lead somewhere, every tab has its page, what a page names there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_there_are(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("tab", ["chat", "summarize", "translate", "sentiment", "finetune", "models"])
def test_every_tab_has_a_page_that_the_readme_links(tab: str) -> None:
    assert f"(docs/{tab}.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_endpoints_that_are_named_there_are(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [name for name in re.findall(r"`make ([\w-]+)", text) if not re.search(rf"^{name}:", makefile, re.M)] == []
    modules = [name.replace(".", "/") for name in re.findall(r"python -m (benchmarks\.\w+)", text)]
    assert [name for name in modules if not (ROOT / f"{name}.py").exists()] == []
    api = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = re.findall(r"`(/[a-z_]+)`", text) if page.parent.name == "docs" else []
    assert [name for name in named if name not in api] == []
