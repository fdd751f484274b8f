"""Labels over time and by group: nothing is lost between the rows and the bars."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmapp.bulk.charts import MOST_BARS, MOST_GROUPS, by_group, over_time

START = date(2026, 1, 1)


@pytest.mark.parametrize(
    ("every", "count", "unit", "first", "bars"),
    [
        (1, 30, "day", "2026-01-01", 30),
        (7, 30, "week", "2025-12-29", 30),
        (30, 30, "month", "2026-01", 29),
        (200, 30, "year", "2026", 16),
    ],
)
def test_the_unit_follows_the_span(every: int, count: int, unit: str, first: str, bars: int) -> None:
    days = [str(START + timedelta(days=every * i)) for i in range(count)]
    found = over_time("date", days, ["positive"] * count)
    assert (found["unit"], found["bars"][0][0], len(found["bars"])) == (unit, first, bars)


def test_days_without_rows_have_their_place() -> None:
    found = over_time("date", ["2026-01-01", "2026-01-03"], ["a", "b"])
    assert found["bars"] == [("2026-01-01", {"a": 1}), ("2026-01-02", {}), ("2026-01-03", {"b": 1})]


def test_a_mistyped_year_makes_no_thousand_bars() -> None:
    found = over_time("date", ["2026-01-01", "2026-02-01", "1026-01-01"], ["a"] * 3)
    assert found["bars"] == [("1026", {"a": 1}), ("2026", {"a": 2})]


def test_a_column_without_dates_has_no_bars() -> None:
    assert over_time("city", ["Berlin", "Hamburg"], ["a", "b"]) == {"column": "city", "format": "", "bars": []}


@given(st.lists(st.tuples(st.dates(date(1800, 1, 1), date(2200, 1, 1)), st.sampled_from(["", "a", "b"])), min_size=1))
def test_every_judged_row_is_in_one_bar(rows: list[tuple[date, str]]) -> None:
    found = over_time("date", [str(day) for day, _ in rows], [label for _, label in rows])
    counted = sum((Counter(counts) for _, counts in found["bars"]), Counter())
    assert counted == Counter(label for _, label in rows if label)
    assert found["unit"] == "year" or len(found["bars"]) <= MOST_BARS


def test_the_commonest_groups_are_shown_and_the_others_counted() -> None:
    cells = [f"shop {i:02}" for i in range(20) for _ in range(20 - i)]
    found = by_group("shop", [*cells, "", " shop  00 "], ["a"] * len(cells) + ["", "b"])
    assert found["bars"][0] == ("shop 00", {"a": 20, "b": 1})
    assert [name for name, _ in found["bars"]] == [f"shop {i:02}" for i in range(MOST_GROUPS)]
    assert found["more"] == 20 - MOST_GROUPS
