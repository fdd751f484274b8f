"""What there is to see of a judged table: shares, charts, true labels, the most certain and most doubtful rows.

Draws the report of a job. Does not know how it came about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..messages import say
from .charts import columns, rows, shares
from .facts import facts_line
from .label_words import label_word
from .notice import notice, quiet
from .truth_view import agreement


def card(report: Mapping[str, Any], language: str) -> str:
    """The whole report as HTML."""
    report = _in_words(report, language)
    said = notice(say("judge_table.done", language, judged=report["judged"], rows=report["rows"]), "good")
    if report["failed"]:
        said += notice(say("judge_table.failed", language, failed=report["failed"]))
    if report["cut_cells"]:
        said += notice(say("judge_table.cut", language, cells=report["cut_cells"]))
    labels = list(report["labels"])
    parts = [
        _shares(report, language),
        _over_time(report["date"], labels, language) if "date" in report else "",
        _by_group(report["group"], labels, language) if "group" in report else "",
        agreement(report["truth"], language) if "truth" in report else "",
        *(_examples(report[which], say(f"judge_table.{which}", language)) for which in ("certain", "doubtful")),
        quiet(facts_line(report["made"], language)),
    ]
    return said + "".join(parts)


def _in_words(report: Mapping[str, Any], language: str) -> Mapping[str, Any]:
    """With labels as the page calls them; what is said of true labels finds its own words."""

    def counted(counts: Mapping[str, int]) -> dict[str, int]:
        return {label_word(label, language): count for label, count in counts.items()}

    counts = {name: counted(report[name]) for name in ("labels", "fits") if name in report}
    bars = {
        name: {**report[name], "bars": [(title, counted(each)) for title, each in report[name]["bars"]]}
        for name in ("date", "group")
        if name in report
    }
    rows = {
        name: [{**row, "label": label_word(row["label"], language)} for row in report[name]]
        for name in ("certain", "doubtful")
    }
    return {**report, **counts, **bars, **rows}


def _shares(report: Mapping[str, Any], language: str) -> str:
    """How many rows have each label, or, where several may fit, how many rows each label fits."""
    several = "fits" in report
    title = quiet(say("judge_table.fits", language)) if several else ""
    return title + shares(report["fits"] if several else report["labels"], report["judged"])


def _over_time(found: Mapping[str, Any], labels: Sequence[str], language: str) -> str:
    column = found["column"]
    if not found["bars"]:
        return notice(say("charts.no_dates", language, column=column))
    unit = say(f"charts.unit_{found['unit']}", language)
    title = say("charts.over_time", language, column=column, unit=unit)
    facts = [say("charts.format", language, format=found["format"])]
    if found["also"]:
        facts.append(say("charts.also", language, format=found["also"]))
    if found["unread"]:
        facts.append(say("charts.unread", language, cells=found["unread"]))
    heads = (say("charts.numbers", language), column)
    return f"<h4>{escape(title)}</h4>{columns(found['bars'], labels, heads)}{quiet(*facts)}"


def _by_group(found: Mapping[str, Any], labels: Sequence[str], language: str) -> str:
    column = found["column"]
    title = say("charts.by_group", language, column=column)
    bars = [(name or say("charts.blank", language), counts) for name, counts in found["bars"]]
    more = quiet(say("charts.more", language, shown=len(bars), more=found["more"])) if found["more"] else ""
    return f"<h4>{escape(title)}</h4>{rows(bars, labels, (say('charts.numbers', language), column))}{more}"


def _examples(found: Sequence[Mapping[str, Any]], title: str) -> str:
    cells = "".join(
        f"<tr><td class='quiet'>{row['row']}</td><td dir='auto'>{escape(row['text'])}</td>"
        f"<td>{escape(row['label'])}</td><td>{row['score']:.2f}</td></tr>"
        for row in found
    )
    body = f"<div class='scroll'><table class='matrix'><tbody>{cells}</tbody></table></div>"
    return f"<details><summary>{escape(title)}</summary>{body}</details>"
