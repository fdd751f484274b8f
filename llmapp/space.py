"""README's front matter, generated from space.yaml: `python -m llmapp.space` writes it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
FENCE = "---\n"


def front_matter(root: Path = ROOT) -> str:
    """What a Space reads at the top of README.md: space.yaml without its comments, between fences."""
    lines = (root / "space.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    return FENCE + "".join(line for line in lines if not line.startswith("#")) + FENCE


def with_front_matter(readme: str, matter: str) -> str:
    """The README with its front matter replaced, or put on top where there was none."""
    body = readme.split(FENCE, 2)[2] if readme.startswith(FENCE) else readme
    return matter + body


if __name__ == "__main__":
    page = ROOT / "README.md"
    page.write_text(with_front_matter(page.read_text(encoding="utf-8"), front_matter()), encoding="utf-8")
