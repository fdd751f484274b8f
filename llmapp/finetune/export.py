"""A trained adapter to take along: a zip with its weights, what it is, and a script of a few lines that runs it.

Knows an adapter's folder and its card. Does not know how it was trained, jobs or the page.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from ..catalog import CARD, HubSource, Model

SCRIPT, ABOUT = "predict.py", "README.md"
TEMPLATES = Path(__file__).parent / "templates"


def pack(folder: Path, place: Path, name: str, base: Model) -> str:
    """Write the zip of an adapter that has its card into a folder; returns the file's name."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    del card["owner"]  # a token that opens what is theirs
    stem = re.sub(r"[^\w() -]+", "_", name).strip(" _")
    file = f"{stem or 'adapter'}.zip"
    texts = {SCRIPT: script(card, base), ABOUT: about(card, base), CARD: json.dumps(card, ensure_ascii=False, indent=1)}
    with zipfile.ZipFile(place / file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            if path.name not in texts:
                archive.write(path, path.name)
        for path_name, text in texts.items():
            archive.writestr(path_name, text)
    return file


def script(card: Mapping[str, Any], base: Model) -> str:
    """Python that runs the adapter without this app."""
    repo = next((source.repo for source in base.sources if isinstance(source, HubSource)), base.id)
    most = min(card["report"]["settings"]["max_tokens"], base.context)
    return _filled("predict", labels=card["labels"], base=repr(repo), most=most)


def about(card: Mapping[str, Any], base: Model) -> str:
    """What it is, how good it is, and what it was made of."""
    report = card["report"]
    return _filled(
        "about",
        **{name: report[name] for name in ("test_rows", "train_rows", "steps", "sha256")},
        name=card["name"],
        base=base.name,
        licence=base.licence,
        licence_url=base.licence_url,
        labels=", ".join(card["labels"]),
        after=f"{report['after']['accuracy']:.1%}",
        macro_f1=f"{report['after']['macro_f1']:.1%}",
        before=f"{report['before']['accuracy']:.1%}",
    )


def _filled(template: str, **values: object) -> str:
    return Template((TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")).substitute(values)
