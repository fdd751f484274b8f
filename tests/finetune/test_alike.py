"""Texts that are the same to a reader: they have one name, and a split keeps them on one side."""

from __future__ import annotations

from llmapp.finetune.alike import nearly_same
from llmapp.finetune.dataset import Rows, split

from .conftest import opinions

BILL = "Please send me the bill for the {} quarter of last year to my new address"


def rows_of(pairs: list[tuple[str, str]]) -> Rows:
    texts, labels = zip(*pairs, strict=True)
    return Rows(texts, labels, tuple(range(2, len(texts) + 2)), tuple(sorted(set(labels))), ())


def test_case_punctuation_and_a_changed_word_make_no_difference() -> None:
    names = nearly_same([BILL.format("third"), BILL.format("FIRST").upper() + "!", "Please send me the menu"])
    assert names[0] == names[1] != names[2]


def test_texts_without_spaces_are_compared_by_characters() -> None:
    names = nearly_same(
        ["这家店的服务态度非常好，下次还会再来光顾的", "这家店的服务态度非常好，下次还会再来光顾哦", "太差了"]
    )
    assert names[0] == names[1] != names[2]


def test_a_thousand_copies_are_one() -> None:
    assert len(set(nearly_same([BILL.format("third")] * 1000 + [BILL.format("fourth")] * 500))) == 1


def test_a_split_keeps_what_is_nearly_the_same_together() -> None:
    pairs = opinions(200) + [(BILL.format(f"{i}th"), "negative") for i in range(20)]
    parts = split(rows_of(pairs), 0)
    bills = set(range(200, 220))
    for side in (parts.train, parts.valid, parts.test):
        assert bills <= set(side) or not bills & set(side)


def test_a_label_of_one_family_is_still_learned_chosen_and_tested() -> None:
    pairs = [(text, "praise") for text, _ in opinions(60)] + [(BILL.format(f"{i}th"), "bill") for i in range(20)]
    rows = rows_of(pairs)
    parts = split(rows, 0)
    for side in (parts.train, parts.valid, parts.test):
        assert {rows.labels[i] for i in side} == {"praise", "bill"}
