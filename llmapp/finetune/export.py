"""A trained adapter to take along: a zip with its weights, what it is, and a script of a few lines that runs it.

Knows an adapter's folder and its card. Does not know how it was trained, jobs or the page.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from ..catalog import CARD, HubSource, Model

TEXT = "{text}"
"""Stands for a person's text in what a model is asked."""
SCRIPT, ABOUT = "predict.py", "README.md"
ROUNDED = (
    "It was taught, and those figures were found, on the base rounded to 4 bits. Here what it learned is merged into\n"
    "the base's own weights, before they were rounded: an answer may differ in a word."
)
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
    report = card["report"]
    most = min(report["settings"]["max_tokens"], base.context)
    if card["labels"]:
        return _filled("predict", labels=card["labels"], base=repr(repo), most=most)
    how = report["asked_as"]
    return _filled("write", base=repr(repo), most=most, end=how["end"], **_prompt(how["turns"]))


def _prompt(turns: Sequence[Mapping[str, str]] | str) -> dict[str, str]:
    """Python that puts the first argument where the text stands in what the model was asked."""
    if isinstance(turns, str):  # a base without a chat template
        before, _, after = turns.partition(TEXT)
        return {"prompt": f"prompt = {before!r} + sys.argv[1] + {after!r}", "special": "True"}
    first = f"turns = {list(turns)!r}".replace(repr(TEXT), "sys.argv[1]")
    whole = "prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)"
    return {"prompt": f"{first}\n{whole}", "special": "False"}


def about(card: Mapping[str, Any], base: Model) -> str:
    """What it is, how good it is, and what it was made of."""
    if not card["labels"]:
        return _filled("about_writing", **_known(card, base), **_likeness(card))
    before, after = card["report"]["before"], card["report"]["after"]
    return _filled(
        "about",
        **_known(card, base),
        labels=", ".join(card["labels"]),
        after=f"{after['accuracy']:.1%}",
        macro_f1=f"{after['macro_f1']:.1%}",
        before=f"{before['accuracy']:.1%}",
    )


def about_whole(form: str, card: Mapping[str, Any], base: Model) -> str:
    """The same of a model that learned to write, with its base merged in ("merged", "gguf"), and how it is used."""
    in_4bit = card["report"]["precision"] == "4-bit"
    return _filled(
        f"about_{form}", **_known(card, base), **_likeness(card), rounded=f"\n{ROUNDED}\n" if in_4bit else ""
    )


def _known(card: Mapping[str, Any], base: Model) -> dict[str, Any]:
    return {name: card["report"][name] for name in ("test_rows", "train_rows", "steps", "sha256")} | {
        "name": card["name"],
        "base": base.name,
        "licence": base.licence,
        "licence_url": base.licence_url,
    }


def _likeness(card: Mapping[str, Any]) -> dict[str, str]:
    sides = {name: card["report"][name] for name in ("before", "after")}
    exact = {f"exact_{name}": f"{side['exact']:.1%}" for name, side in sides.items()}
    return exact | {name: f"{side['chrf']:.1f}" for name, side in sides.items()}


def _filled(template: str, **values: object) -> str:
    return Template((TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")).substitute(values)
