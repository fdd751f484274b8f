"""What a summary's sentences rest on, as the page shows it: a sentence to press, below it those of the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..messages import say
from .notice import quiet


def receipts_html(receipts: Sequence[Mapping[str, Any]], language: str) -> str:
    """HTML for receipts as plain values (`dataclasses.asdict` of `tasks.receipts.Receipt`); nothing for none."""
    if not receipts:
        return ""
    doubtful = sum(not _supported(each) for each in receipts)
    counted = say("receipts.some_doubtful", language, doubtful=doubtful, total=len(receipts)) if doubtful else ""
    head = f"<h4>{escape(say('receipts.title', language))}</h4>" + quiet(counted or say("receipts.all_found", language))
    return head + "".join(_receipt(each, language) for each in receipts)


def _receipt(receipt: Mapping[str, Any], language: str) -> str:
    sources = "".join(_source(each, language) for each in receipt["sources"])
    marks = "".join(f'<span class="doubt">{escape(mark)}</span>' for mark in _marks(receipt, language))
    body = sources or quiet(say("receipts.none", language))
    sentence = escape(receipt["sentence"])
    return f'<details class="receipt"><summary dir="auto">{sentence}{marks}</summary>{body}</details>'


def _source(source: Mapping[str, Any], language: str) -> str:
    place = say("receipts.place", language, place=source["place"] + 1, of=source["of"])
    return f'<blockquote dir="auto">{escape(source["text"])}</blockquote>{quiet(place)}'


def _marks(receipt: Mapping[str, Any], language: str) -> list[str]:
    """What is doubtful about it, in words."""
    marks = [] if receipt["sources"] else [say("receipts.unsupported", language)]
    if receipt["missing"]:
        marks.append(say("receipts.missing", language, what=", ".join(receipt["missing"])))
    return marks


def _supported(receipt: Mapping[str, Any]) -> bool:
    return bool(receipt["sources"]) and not receipt["missing"]
