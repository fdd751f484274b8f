"""The model card of what was taught: the README of each zip and of a repository on the Hub, with its front matter.

It tells what made it and how good it is, and nothing of the rows but their hash. Knows cards of adapters and catalog
entries. Does not know files, jobs or the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from string import Template
from typing import Any, Literal

from ..backend.hub_push import MARK
from ..catalog import HubSource, Model
from ..messages import say

CardForm = Literal["adapter", "merged", "gguf"]
TEMPLATES = Path(__file__).parent / "templates"
ROUNDED = (
    "It was taught, and those figures were found, on the base rounded to 4 bits. Here what it learned is merged into\n"
    "the base's own weights, before they were rounded: an answer may differ in a word."
)


@dataclass(frozen=True)
class Measure:
    """A score: what a card and the Hub call it, and how it is written."""

    name: str
    on_hub: str
    form: str


MEASURES: Mapping[str, Measure] = {
    "accuracy": Measure("right", "accuracy", ".1%"),
    "macro_f1": Measure("macro-F1", "f1", ".1%"),
    "chrf": Measure("likeness to the answers of the table (chrF, 0 to 100)", "chrf", ".1f"),
    "exact": Measure("word for word the same", "exact_match", ".1%"),
    "perplexity": Measure("perplexity of the answers of the table", "perplexity", ".2f"),
}


def model_card(form: CardForm, card: Mapping[str, Any], base: Model) -> str:
    """Markdown with the Hub's front matter, for an adapter's card."""
    report = card["report"]
    name = " ".join(str(card["name"]).split())
    template = "about_" + form if form != "adapter" else "about" if card["labels"] else "about_writing"
    rounded = form != "adapter" and report["precision"] == "4-bit"
    text = filled(
        template,
        base=base.name,
        repo=base.hub_name,
        licence=base.licence,
        labels=", ".join(card["labels"]),
        train_rows=report["train_rows"],
        good=_good(report) + (f"\n\n{ROUNDED}" if rounded else ""),
        made=_made(report, base),
        inputs=inputs_told(card),
    )
    return f"---\n{_front(form, card, name, base)}\n---\n# {name}\n\n{text}"


def filled(template: str, **values: object) -> str:
    """A file of `templates/` with its names replaced; names that it does not have may be given."""
    return Template((TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")).substitute(values)


def inputs_told(card: Mapping[str, Any]) -> str:
    """How a text is made where it was taught with two inputs; empty where it was not."""
    names = card["report"].get("inputs") or ()
    said = "\nA text is two inputs in one: what belongs in {0},\na blank line, then what belongs in {1}.\n"
    return said.format(*(json.dumps(name, ensure_ascii=False) for name in names)) if names else ""


def shown_revision(revision: str) -> str:
    """A commit, or a package with its version; of a folder on somebody's disk its name alone."""
    return PurePath(revision).name if PurePath(revision).is_absolute() else revision


def _front(form: CardForm, card: Mapping[str, Any], name: str, base: Model) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    sorts, after = bool(card["labels"]), card["report"]["after"]
    task = "text-classification" if sorts else "text-generation"
    found = {measure.on_hub: after[key] for key, measure in MEASURES.items() if key in after}
    data = ModelCardData(
        base_model=base.hub_name if any(isinstance(source, HubSource) for source in base.sources) else None,
        library_name={"adapter": "peft", "merged": "transformers", "gguf": None}[form],
        language=card["report"].get("language", "").partition("-")[0] or None,
        pipeline_tag=task,
        tags=[MARK, "lora", *(["gguf"] if form == "gguf" else [])],
        metrics=list(found),
        model_name=name,
        eval_results=[
            EvalResult(task, "private", "rows that training never saw", metric, round(value, 4))
            for metric, value in found.items()
        ],
        base_model_relation="adapter" if form == "adapter" else "finetune",
        **_licence(base),
    )
    return data.to_yaml()


def _licence(base: Model) -> dict[str, Any]:
    """As the Hub names it: the identifiers it knows are SPDX's in small letters; others have a name and a link."""
    if re.fullmatch(r"[A-Za-z0-9.+-]+", base.licence):
        return {"license": base.licence.lower()}
    named = {"license_name": "-".join(base.licence.lower().split()), "license_link": base.licence_url}
    return {"license": "other", **named} if base.licence else {}


def _good(report: Mapping[str, Any]) -> str:
    """Scores before and after, and whether that could be luck."""
    before, after = report["before"], report["after"]
    rows = [
        (measure.name, *(format(side[key], measure.form) for side in (before, after)))
        for key, measure in MEASURES.items()
        if key in before and key in after
    ]
    told = [
        f"On {report['test_rows']} rows that its training never saw:",
        "",
        *_table(("", "untaught", "taught"), rows),
    ]
    if "kind" in before:
        told += ["", say(f"lesson.before_{before['kind']}", answer=before["answer"])]
    if "p" in report:
        told += ["", f"How likely so large a difference is by luck: p = {report['p']:.2g}."]
    return "\n".join(told)


def _made(report: Mapping[str, Any], base: Model) -> str:
    """What made it, as far as its version of the app kept that."""
    settings = report["settings"]
    rows = {"to learn from": "train_rows", "to choose with": "valid_rows", "to test on": "test_rows"}
    counts = ", ".join(f"{report[key]} {use}" for use, key in rows.items() if key in report)
    drawn = f"; drawn by a hash with seed {settings['seed']}" if "seed" in settings else ""
    steps = f"{report['steps']}" + (f", the best was {report['best_step']}" if "best_step" in report else "")
    facts = {
        "base": " ".join(filter(None, (base.hub_name, shown_revision(report.get("revision", ""))))),
        "licence of the base": f"[{base.licence}]({base.licence_url})",
        "rows": counts + drawn,
        "sha256 of the rows": f"`{report['sha256']}`",
        "steps": steps,
        "goal, effort": ", ".join(report[key] for key in ("goal", "effort") if key in report),
        "settings": ", ".join(f"{key} {value}" for key, value in settings.items()),
        "precision": report.get("precision", ""),
        "minutes": report.get("minutes", ""),
        "versions": ", ".join(f"{key} {value}" for key, value in report.get("versions", {}).items()),
    }
    return "\n".join(_table(("", ""), [(name, str(value)) for name, value in facts.items() if value != ""]))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
