"""What made a result, in words: model, adapter, precision, revision and settings, below results and in reports."""

from __future__ import annotations

from typing import Any

import pytest

from llmapp.ui.facts import facts_line, revision, settings_line
from llmapp.ui.finetune import KIND as FINETUNE
from llmapp.ui.sentiment_table import KIND as TABLE
from llmapp.ui.summarize import KIND as SUMMARY
from llmapp.ui.translate_file import KIND as TRANSLATION

MADE: dict[str, Any] = {
    "model": "m",
    "model_name": "Model <M>",
    "revision": "9b0cfec892e2bc2afd938c98eabe4e4a7b1e0ca1",
    "adapter": "a",
    "adapter_name": "Mine",
    "precision": "fp32",
    "weights": "Q4_K_M",
}


def test_the_line_names_all_that_made_it() -> None:
    line = facts_line({**MADE, "settings": {"length": "short", "focus": "", "language": "zh"}}, "en")
    assert line == (
        "Model <M> · with Mine · fp32, from 4-bit (Q4_K_M) weights · revision 9b0cfec"
        " · length: Short · language: Chinese"
    )
    assert "长度: 短" in facts_line({**MADE, "settings": {"length": "short"}}, "zh")
    assert facts_line({}, "en") == ""


@pytest.mark.parametrize(
    ("whole", "shown"),
    [("9b0cfec892e2bc2afd938c98eabe4e4a7b1e0ca1", "9b0cfec"), ("some-weights-part1==1.0.0", "1.0.0"),
     ("/home/me/models/mine", "mine"), ("refs/pr/1", "1")],
)  # fmt: skip
def test_revisions(whole: str, shown: str) -> None:
    assert revision(whole) == shown


def test_settings_keep_zero_and_leave_out_what_is_empty() -> None:
    given = {"temperature": 0.0, "top_k": 50, "seed": None, "labels": ["a", "b"], "words": 120, "source": "de"}
    given["glossary"] = [["file", "Datei", "de"]]  # as long as a person likes
    assert settings_line(given, "en") == "temperature: 0.0 · top-k: 50 · labels: a, b · words: 120 · from: German"


WRITTEN = {"notes": [], "made": {**MADE, "settings": {"length": "long", "target": "de", "column": "opinion"}}}
TRAINED = {
    "after": {
        "accuracy": 0.9,
        "macro_f1": 0.9,
        "labels": {"a": {"precision": 1.0, "recall": 0.9, "f1": 0.9, "rows": 5}},
    },
    "before": {"accuracy": 0.5, "kind": "commonest", "answer": "a"},
    "train_rows": 80,
    "test_rows": 10,
    "p": 0.01,
    "labels": ["a", "b"],
    "confusion": [[5, 0], [1, 4]],
    "settings": {"rank": 8, "learning_rate": 0.001},
    "base": "Model <M>",
    "revision": MADE["revision"],
    "precision": "fp32",
}
SUMMARIZED = {**WRITTEN, "summary": "S", "words_read": 1, "words_total": 1, "outline": []}
TRANSLATED = {
    **WRITTEN,
    "source": "en",
    "target": "de",
    "sentences": 1,
    "total": 1,
    "warnings": [],
    "beginning": "B",
    "whole": True,
}
JUDGED = {
    **WRITTEN,
    "judged": 1,
    "rows": 1,
    "failed": 0,
    "cut_cells": 0,
    "labels": {"a": 1},
    "certain": [],
    "doubtful": [],
}
REPORTS = [
    (SUMMARY, SUMMARIZED, "length: Long"),
    (TRANSLATION, TRANSLATED, "to: German"),
    (TABLE, JUDGED, "column: opinion"),
    (FINETUNE, TRAINED, "LoRA rank: 8 · Learning rate: 0.001"),
]


@pytest.mark.parametrize(("kind", "report", "settings"), REPORTS)
def test_every_report_says_it(kind: Any, report: dict[str, Any], settings: str) -> None:
    card = kind.draw(report, "en")
    assert all(part in card for part in ("Model &lt;M&gt;", "fp32", "revision 9b0cfec", settings))
