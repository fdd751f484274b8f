"""A trained adapter to take along: a zip with its weights, what it is, and a script of a few lines that runs it.

Knows an adapter's folder and its card. Does not know how it was trained, jobs or the page.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..backend.hub_push import ABOUT
from ..catalog import CARD, Model
from .model_card import filled, inputs_told, model_card, shown_revision

TEXT = "{text}"
"""Stands for a person's text in what a model is asked."""
SCRIPT = "predict.py"


def pack(folder: Path, place: Path, name: str, base: Model) -> str:
    """Write the zip of an adapter that has its card into a folder; returns the file's name."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    del card["owner"]  # a token that opens what is theirs
    card["report"] = card["report"] | {"revision": shown_revision(card["report"].get("revision", ""))}
    stem = re.sub(r"[^\w() -]+", "_", name).strip(" _")
    file = f"{stem or 'adapter'}.zip"
    texts = {
        SCRIPT: script(card, base),
        ABOUT: model_card("adapter", card, base),
        CARD: json.dumps(card, ensure_ascii=False, indent=1),
    }
    with zipfile.ZipFile(place / file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            if path.name not in texts:
                archive.write(path, path.name)
        for path_name, text in texts.items():
            archive.writestr(path_name, text)
    return file


def script(card: Mapping[str, Any], base: Model) -> str:
    """Python that runs the adapter without this app."""
    report = card["report"]
    most = min(report["settings"]["max_tokens"], base.context)
    two = "\n".join(f"# {line}" for line in inputs_told(card).strip().splitlines())
    if card["labels"]:
        return filled("predict", labels=card["labels"], base=repr(base.hub_name), most=most, inputs=two)
    how = report["asked_as"]
    prompt = _prompt(how["turns"])
    return filled("write", base=repr(base.hub_name), most=most, end=how["end"], inputs=two, **prompt)


def _prompt(turns: Sequence[Mapping[str, str]] | str) -> dict[str, str]:
    """Python that puts the first argument where the text stands in what the model was asked."""
    if isinstance(turns, str):  # a base without a chat template
        before, _, after = turns.rpartition(TEXT)
        return {"prompt": f"prompt = {before!r} + sys.argv[1] + {after!r}", "special": "True"}
    *earlier, last = turns
    asked = f'{{"role": {last["role"]!r}, "content": sys.argv[1]}}'
    first = f"turns = [{', '.join([*map(repr, earlier), asked])}]"
    whole = "prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)"
    return {"prompt": f"{first}\n{whole}", "special": "False"}
