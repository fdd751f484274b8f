"""What in a text tells who a person is: e-mail addresses, phone numbers, payment cards, identity and account numbers.

By pattern, and by the check digits that such numbers carry (python-stdnum) and the world's numbering plans
(phonenumbers). Names and addresses are not found. Does not know tables or models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["email", "card", "id", "phone"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Surest first: what is one of these is none of the later."""

REGIONS = (None, "US", "CN", "GB", "DE")
"""Numbering plans by which a number without a country code is read (None: those with one)."""
DIGITS = 7
"""A text with fewer digits holds no phone number."""

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_CARD = re.compile(r"(?<!\d)[3-6](?:[ -]?\d){12,18}(?!\d)")
_IDS = re.compile(
    r"(?<!\w)(?:\d{17}[\dXx]|\d{3}-\d{2}-\d{4}|[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?)(?!\w)"
)


@dataclass(frozen=True)
class Found:
    """Where something personal stands."""

    kind: Kind
    start: int
    end: int


def personal(text: str) -> list[Found]:
    """All of it, in order, nothing twice."""
    found: list[Found] = []
    for each in _candidates(text):
        if all(each.end <= other.start or each.start >= other.end for other in found):
            found.append(each)
    return sorted(found, key=lambda each: each.start)


def _candidates(text: str) -> Iterator[Found]:
    for match in _EMAIL.finditer(text):
        yield Found("email", *match.span())
    if sum(map(str.isdigit, text)) < DIGITS:
        return
    for match in _CARD.finditer(text):
        if _card(match[0]):
            yield Found("card", *match.span())
    for match in _IDS.finditer(text):
        if _identity(match[0]):
            yield Found("id", *match.span())
    yield from _phones(text)


def _card(number: str) -> bool:
    """By ISO/IEC 7812's check digit."""
    from stdnum import luhn

    return luhn.is_valid(re.sub(r"\D", "", number))


def _identity(number: str) -> bool:
    """China's resident identity number, the social security number of the United States, IBAN."""
    from stdnum import iban
    from stdnum.cn import ric
    from stdnum.us import ssn

    return any(kind.is_valid(number) for kind in (ric, ssn, iban))


def _phones(text: str) -> Iterator[Found]:
    from phonenumbers import PhoneNumberMatcher

    for region in REGIONS:
        for match in PhoneNumberMatcher(text, region):
            yield Found("phone", match.start, match.end)
