"""The report card of what learned to write: likeness before and after, and the answers side by side.

Draws a report as HTML. Does not know how anything is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ..messages import say
from .facts import facts_line
from .notice import notice, quiet

LUCK = 0.05
"""Below this p a difference is called real."""
CUT = 400
"""Characters of a text or an answer."""


def writer_card(report: Mapping[str, Any], language: str) -> str:
    """HTML for the figures, whether they could be luck, and answers to rows it never saw."""
    before, after, rows = report["before"], report["after"], report["test_rows"]
    gained = after["chrf"] > before["chrf"]
    verdict = say("lesson.verdict_likeness", language, rows=rows, before=before["chrf"], after=after["chrf"])
    code = "luck" if report["p"] >= LUCK else "real" if gained else "got_worse"
    said = notice(f"{verdict} {say(f'lesson.{code}', language, p=report['p'])}", "good" if code == "real" else "")
    if report["unchanged"]:
        said += notice(say("lesson.unchanged", language), "bad")
    elif not gained or code == "luck":
        said += notice(say("lesson.no_gain_writer", language, train=report["train_rows"]))
    counts = {"before": round(before["exact"] * rows), "after": round(after["exact"] * rows), "rows": rows}
    exact = say("lesson.exact", language, **counts)
    luck = "lesson.exact_luck" if report["p_exact"] >= LUCK else "lesson.exact_real"
    sure = say(luck, language, p=report["p_exact"]) if counts["before"] != counts["after"] else ""
    unsure = say("lesson.unsure", language, before=before["perplexity"], after=after["perplexity"])
    worse = say("lesson.worse_answers", language, rows=report["worse"]) if report["worse"] else ""
    return (
        said
        + f"<p>{escape(exact)} {escape(sure)}</p>"
        + quiet(unsure, worse)
        + _answers(report["answers"], language)
        + notice(say("finetune.use_writer", language))
        + two_inputs(report, language)
        + quiet(cost(report, language))
        + quiet(facts_line({**report, "model_name": report["base"], "weights": ""}, language))
    )


def two_inputs(report: Mapping[str, Any], language: str) -> str:
    """How a text is to be given where it was taught with two inputs; nothing where it was not."""
    if not report.get("inputs"):
        return ""
    text, second = report["inputs"]
    return quiet(say("lesson.two_inputs", language, text=text, second=second))


def cost(report: Mapping[str, Any], language: str) -> str:
    """What learning took beside what was reckoned, and what was lowered for it.

    Nothing where a training of an earlier version did not reckon.
    """
    told = report.get("estimate")
    if not told:
        return ""
    took = {"minutes": report["minutes"], "gb": report["peak_mb"] / 1000}
    said = [say("lesson.cost", language, **took, minutes_told=told["minutes"], gb_told=told["peak_mb"] / 1000)]
    return " ".join([*said, *_lowered(told, language)])


def _lowered(told: Mapping[str, Any], language: str) -> Iterator[str]:
    """What was lowered before it began, as `Outcome.cost` has it; an earlier version lowered nothing."""
    if told.get("parts", 1) > 1:
        yield say("lesson.lowered_parts", language, parts=told["parts"], gb=told["free_mb"] / 1000)
    if told.get("recomputing"):
        yield say("lesson.lowered_twice", language)
    if told.get("max_tokens"):
        yield say("lesson.lowered_tokens", language, tokens=told["max_tokens"], rows=told["rows_shortened"])


def _answers(rows: Sequence[Mapping[str, Any]], language: str) -> str:
    title = escape(say("lesson.side_by_side", language, rows=len(rows)))
    shown = "".join(_answer(row, language) for row in rows)
    return f"<details open><summary>{title}</summary>{shown}</details>"


def _answer(row: Mapping[str, Any], language: str) -> str:
    """What was asked, what stands in the table, and what was said before and now, with how like the table's it is."""
    sides = (
        (say("lesson.head_wanted", language), row["label"]),
        (f"{say('lesson.head_before', language)} · {row['likeness_before']:.0f} %", row["before"]),
        (f"{say('lesson.head_now', language)} · {row['likeness']:.0f} %", row["answer"]),
    )
    said = "".join(f"<dt>{escape(name)}</dt><dd dir='auto'>{escape(text[:CUT])}</dd>" for name, text in sides)
    return f"<div class='answered'><p dir='auto'>{escape(row['text'][:CUT])}</p><dl>{said}</dl></div>"
