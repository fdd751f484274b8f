"""Dates in a column of a table: one format for all of it, found by what its cells allow, and said.

A column is written in one format; so 03/04 is read as all its other rows are. Knows calendars, no models and no page.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice

FORMATS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y"),
    *("%a %b %d %Y", "%a, %d %b %Y", "%Y-%m", "%Y/%m", "%Y年%m月"),
)
"""As `datetime.strptime` has them; of two that read as many cells the first is taken."""

BARE = ("%Y%m%d", "%Y", "unix")
"""What may be any number: taken only where the column's name says that it is a date."""

DATE_NAMES = (
    *("date", "time", "day", "month", "year", "created", "posted", "published", "timestamp", "when"),
    *("日期", "时间", "年份", "月份"),
)
LEAST_READ = 0.8
"""Share of the cells that must be dates for a column to be one."""
LOOKED_AT = 300
"""Different cells that a format is looked for with; the best ones are then tried on all."""

_MAY_BE = re.compile(r"(?=\D{0,20}\d).{4,40}\Z")
"""What is no date is seen at once: a table may have many columns."""

YEARS = range(1000, 9999)

_CLOCK = re.compile(
    r"[T ]\s*\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?(\s*[AaPp]\.?[Mm]\.?)?(\s*(Z|[A-Z]{3,4}|[+-]\d{2}:?\d{2}))?"
)
_SHOWN = {
    "%Y": "YYYY",
    "%y": "YY",
    "%m": "MM",
    "%d": "DD",
    "%b": "Jan",
    "%B": "January",
    "%a": "Mon",
    "unix": "Unix time",
}


@dataclass(frozen=True)
class Days:
    """A column as days, None where a cell is blank or no date. `also`: a format that reads it just as well, or ""."""

    days: tuple[date | None, ...]
    format: str
    also: str
    unread: int


def read_days(cells: Sequence[str], name: str = "") -> Days | None:
    """The dates of a column called `name`; None where less than `LEAST_READ` of its cells are dates in one format."""
    plain = [_CLOCK.sub("", cell.strip()) for cell in cells]
    formats = _likely(plain, name)
    if not formats:
        return None
    read = [(sum(day is not None for day in days), days, each) for each in formats if (days := _read(plain, each))]
    most, days, chosen = max(read, key=lambda entry: entry[0])
    equal = (each for count, found, each in read if count == most and found != days)
    filled = sum(bool(cell) for cell in plain)
    return Days(days, shown(chosen), shown(next(equal, "")), filled - most)


def is_date(cells: Sequence[str], name: str) -> bool:
    """True where the column looks like dates."""
    return bool(_likely([_CLOCK.sub("", cell.strip()) for cell in cells[: 4 * LOOKED_AT]], name))


def shown(form: str) -> str:
    """A format as people write it: DD.MM.YYYY."""
    return re.sub(r"%[a-zA-Z]|unix", lambda found: _SHOWN[found[0]], form)


def _likely(cells: Sequence[str], name: str) -> list[str]:
    """Formats that read enough of the cells, as far as the first different ones tell."""
    different = dict(islice(Counter(filter(None, cells)).items(), LOOKED_AT))
    least = LEAST_READ * sum(different.values())
    named = any(usual in name.casefold() for usual in DATE_NAMES)
    formats = (*FORMATS, *(BARE if named else ()))
    return [
        each
        for each in formats
        if different and sum(count for cell, count in different.items() if _day(cell, each)) >= least
    ]


def _read(cells: Sequence[str], form: str) -> tuple[date | None, ...]:
    found = {cell: _day(cell, form) for cell in set(cells)}
    return tuple(found[cell] for cell in cells)


def _day(cell: str, form: str) -> date | None:
    if not _MAY_BE.match(cell):
        return None
    try:
        if form == "unix":
            digits = re.fullmatch(r"(\d{10})(\d{3})?(\.\d+)?", cell)
            return datetime.fromtimestamp(int(digits[1]), UTC).date() if digits else None
        day = datetime.strptime(cell, form).replace(tzinfo=UTC).date()
        return day if day.year in YEARS else None
    except (ValueError, OverflowError):
        return None
