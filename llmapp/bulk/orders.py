"""What each kind of long work is asked for: made by the page, kept in the job's spec, read by the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TableOrder:
    """Judge `column` of a table by `labels`, or by the model's own where there are none.

    `truth` is a column with true labels to compare with, `date` and `group` are columns that labels are spread over;
    empty where there is none. With `multi_label` each label has a probability of its own, in a column of its own.
    `language` is that of sentences in the result.
    """

    column: str
    model: str
    labels: tuple[str, ...] = ()
    language: str = "en"
    multi_label: bool = False
    truth: str = ""
    date: str = ""
    group: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))


@dataclass(frozen=True)
class SummaryOrder:
    """Summarize a document; `options` are those of `SummaryOptions`, `why` a sentence on why it is done so.

    `taken`: sentences are taken from the text, without a `model` by words alone. `encoder` compares for receipts.
    """

    model: str
    options: Mapping[str, Any]
    language: str = "en"
    taken: bool = False
    encoder: str = ""
    why: str = ""
    name: str = ""


@dataclass(frozen=True)
class TranslationOrder:
    """Translate a document; `options` are "target", "source", "glossary", and of a table "columns".

    `onward` is the model that goes on from English, if it takes two.
    """

    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    language: str = "en"
    onward: str = ""
    name: str = ""
