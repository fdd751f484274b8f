"""What a Hugging Face Space and an install in a year rely on: metadata and pins that agree."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from llmapp.catalog import Catalog, HubSource
from llmapp.space import front_matter, with_front_matter

ROOT = Path(__file__).parent.parent
SPACE = yaml.safe_load((ROOT / "space.yaml").read_text())


def pins(name: str) -> dict[str, str]:
    """`{"gradio": "6.31.0"}` of a requirements file; every line must be an exact pin."""
    found = {}
    for line in (ROOT / name).read_text().splitlines():
        if line and not line.startswith(("#", "-r")):
            match = re.match(r"([\w.-]+)==([\w.!+]+)( ;.*)?$", line)
            assert match, f"{name}: {line!r} is not an exact pin"
            found[match[1].lower().replace("_", "-")] = match[2]
    return found


def test_readme_front_matter_is_generated_from_space_yaml() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_front_matter(readme, front_matter()) == readme
    assert yaml.safe_load(readme.split("---\n", 2)[1]) == SPACE


def test_space_runs_the_pinned_gradio_and_the_app() -> None:
    assert SPACE["sdk"] == "gradio"
    assert SPACE["sdk_version"] == pins("requirements.txt")["gradio"]
    assert (ROOT / SPACE["app_file"]).is_file()
    assert SPACE["license"] == "apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_space_names_the_models_it_downloads() -> None:
    packaged = [m for m in Catalog.read(ROOT / "models").models() if m.packaged]
    repos = {s.repo for m in packaged for s in m.sources if isinstance(s, HubSource)}
    assert set(SPACE["models"]) == repos


def test_direct_pins_are_exact_and_agree_with_the_constraints() -> None:
    constraints = pins("constraints.txt")
    for name in ("requirements.txt", "requirements-dev.txt"):
        for package, version in pins(name).items():
            assert constraints[package] == version, package


def test_security_floors() -> None:
    direct = pins("requirements.txt")

    def numbers(package: str) -> tuple[int, ...]:
        return tuple(map(int, direct[package].split(".")))

    assert numbers("gradio") >= (6, 20)
    assert numbers("transformers") >= (5, 3)
