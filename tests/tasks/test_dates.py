"""Dates as people write them in tables: one format a column, told apart by its other cells, numbers left alone."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmapp.tasks.dates import FORMATS, is_date, read_days, shown

MARCH = date(2026, 3, 4)


@pytest.mark.parametrize(
    ("cells", "form", "first"),
    [
        (["2026-03-04", "2026-03-31"], "YYYY-MM-DD", MARCH),
        (["2026-03-04T23:59:59.123+08:00", "2026-03-05 07:00"], "YYYY-MM-DD", MARCH),
        (["2026/3/4", "2026/12/31"], "YYYY/MM/DD", MARCH),
        (["2026年3月4日", "2026年12月31日"], "YYYY年MM月DD日", MARCH),
        (["04.03.2026", "31.03.2026"], "DD.MM.YYYY", MARCH),
        (["04/03/2026", "31/03/2026"], "DD/MM/YYYY", MARCH),
        (["03/04/2026", "03/31/2026 4:30 PM"], "MM/DD/YYYY", MARCH),
        (["4 Mar 2026", "31 Dec 2025"], "DD Jan YYYY", MARCH),
        (["March 4, 2026", "December 31, 2025"], "January DD, YYYY", MARCH),
        (["Wed Mar 04 22:19:45 PDT 2026"], "Mon Jan DD YYYY", MARCH),
        (["Wed, 04 Mar 2026 22:19:45 +0000"], "Mon, DD Jan YYYY", MARCH),
        (["2026-03", "2026-04"], "YYYY-MM", date(2026, 3, 1)),
    ],
)
def test_formats(cells: list[str], form: str, first: date) -> None:
    found = read_days(cells)
    assert found
    assert (found.days[0], found.format, found.unread) == (first, form, 0)


def test_what_can_be_read_two_ways_says_so() -> None:
    both = read_days(["03/04/2026", "05/06/2026"])
    assert both
    assert (both.format, both.also, both.days[0]) == ("DD/MM/YYYY", "MM/DD/YYYY", date(2026, 4, 3))
    one = read_days(["03/04/2026", "05/16/2026"])
    assert one
    assert (one.format, one.also, one.days[0]) == ("MM/DD/YYYY", "", date(2026, 3, 4))
    same = read_days(["05/05/2026", "06/06/2026"])
    assert same
    assert same.also == ""


def test_the_cell_that_decides_may_stand_far_below() -> None:
    cells = [f"{i % 12 + 1:02}/{i % 12 + 1:02}/{2000 + i // 12}" for i in range(400)] + ["12/31/2026"]
    found = read_days(cells)
    assert found
    assert found.format == "MM/DD/YYYY"


def test_blank_and_broken_cells_stay_in_their_places() -> None:
    found = read_days(["2026-03-04", "", "soon", *["2026-03-05"] * 8])
    assert found
    assert found.days[:3] == (MARCH, None, None)
    assert found.unread == 1


@pytest.mark.parametrize(
    "cells", [["1", "2", "3"], ["4.5", "3.0"], ["good", "bad"], ["", ""], [], ["2024", "2025"], ["20240101"]]
)
def test_other_columns_are_no_dates(cells: list[str]) -> None:
    assert read_days(cells) is None
    assert not is_date(cells, "text")


@pytest.mark.parametrize(
    ("cells", "name", "first"),
    [
        (["1772582400", "1772668800"], "timestamp", MARCH),
        (["1772582400000"], "created_at", MARCH),
        (["20260304"], "date", MARCH),
        (["2026", "2025"], "Year", date(2026, 1, 1)),
        (["2026", "2025"], "年份", date(2026, 1, 1)),
    ],
)
def test_bare_numbers_are_dates_where_the_column_says_so(cells: list[str], name: str, first: date) -> None:
    found = read_days(cells, name)
    assert found
    assert found.days[0] == first


@given(st.lists(st.dates(date(1900, 1, 1), date(2100, 1, 1)), min_size=1, max_size=30), st.sampled_from(FORMATS[:9]))
def test_a_column_is_read_as_it_was_written_or_the_other_way_is_named(days: list[date], form: str) -> None:
    found = read_days([day.strftime(form) for day in days])
    assert found
    assert found.unread == 0
    assert shown(form) in (found.format, found.also) or found.days == tuple(days)
