"""What is wrong with a table: each kind of fault is found with its rows, is mended by its fix, and stays mended."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from llmapp.finetune.dataset import Table
from llmapp.finetune.doctor import Finding, Row, examine, misspelt
from llmapp.finetune.edits import Edits, edited, together
from llmapp.finetune.lengths import lengths_by

from .conftest import opinions

GOOD = [Row(i + 2, text, label) for i, (text, label) in enumerate(opinions(40))]


def more(*rows: tuple[str, str]) -> list[Row]:
    """The good rows, and these below them."""
    return GOOD + [Row(len(GOOD) + 2 + i, text, label) for i, (text, label) in enumerate(rows)]


def table_of(rows: Sequence[Row]) -> Table:
    return Table(("text", "label"), tuple((r.text, r.label) for r in rows), tuple(r.number for r in rows))


def mended(rows: Sequence[Row], *fixes: Edits) -> list[Row]:
    table = edited(table_of(rows), "text", "label", together(fixes))
    return [Row(n, *cells) for n, cells in zip(table.numbers, table.rows, strict=True)]


def only(rows: Sequence[Row], code: str) -> Finding:
    (finding,) = [each for each in examine(rows) if each.code == code]
    return finding


def test_nothing_is_found_in_a_good_table() -> None:
    assert examine(GOOD, lengths_by(None), 256) == []


FAULTS = {
    "misspelt": more(("what a lovely evening", "Positive "), ("what a dreadful evening", "negatve")),
    "rare": more(("when do you open on sundays", "question")),
    "torn": more((GOOD[0].text.upper() + "!", "negative" if GOOD[0].label == "positive" else "positive")),
    "repeated": more((GOOD[0].text + "!", GOOD[0].label)),
    "nearly": more(
        ("please send me the bill for the third quarter of last year to my new address", "negative"),
        ("please send me the bill for the second quarter of last year to my new address", "negative"),
    ),
    "foreign": more(("Ich war mit der Bedienung überhaupt nicht zufrieden und komme nie wieder.", "negative")),
    "personal_email": more(("write to ada.lovelace@example.org please", "positive")),
    "personal_card": more(("my card 4111 1111 1111 1111 was charged twice", "negative")),
    "personal_phone": more(("call me at +44 20 7946 0958 about it", "negative"), ("电话 13800138000 找我", "negative")),
    "personal_id": more(("我的身份证是 11010519491231002X 请查一下", "negative")),
}


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_is_found_and_its_fix_mends_it(code: str) -> None:
    rows = FAULTS[code]
    found = [each for each in examine(rows) if each.code == code]
    assert found
    assert all(number > GOOD[-1].number or code == "torn" for each in found for number in each.rows)
    after = mended(rows, *(each.fix for each in found))
    assert [each for each in examine(after) if each.code == code] == []
    assert mended(rows) == list(rows)


def test_a_blank_row_is_told_and_left_alone() -> None:
    finding = only(more(("", "positive"), ("what a day", "")), "blank")
    assert finding.rows == (42, 43)
    assert not finding.fix


def test_personal_data_gives_way_to_a_word_and_the_rest_of_the_text_stays() -> None:
    rows = more(("from ada@example.org, call 020 7946 0958: card 4111111111111111.", "negative"))
    fixes = [each.fix for each in examine(rows) if each.code.startswith("personal_")]
    assert len(fixes) == 3
    for code in ("personal_email", "personal_phone", "personal_card"):
        rows = mended(rows, only(rows, code).fix)
    assert rows[-1].text == "from [email], call [phone]: card [card]."


@pytest.mark.parametrize("text", ["I paid 1,299.00 on 2026-03-14", "order 4111111111111112", "version 2.13.0 of 2025"])
def test_numbers_that_are_nobody_s_are_left_alone(text: str) -> None:
    assert [each.code for each in examine(more((text, "negative"))) if each.code.startswith("personal_")] == []


def test_a_common_label_is_thinned_out_evenly() -> None:
    rows = [Row(i, f"{text} {i}", "common") for i, (text, _) in enumerate(opinions(100))]
    rows += [Row(100 + i, text, "rare") for i, (text, _) in enumerate(opinions(10, seed=1))]
    finding = only(rows, "skewed")
    assert len(finding.rows) == 60
    kept = [row.number for row in mended(rows, finding.fix) if row.label == "common"]
    assert len(kept) == 40
    assert max(b - a for a, b in pairwise(kept)) <= 3


def test_labels_that_differ_are_no_misspellings() -> None:
    assert misspelt({"positive": 100, "negative": 4, "1": 90, "10": 3, "spam": 50, "ham": 2}) == {}
    assert misspelt({"spam": 50, "Spam": 3, "SPAM ": 2}) == {"Spam": "spam", "SPAM ": "spam"}


def test_long_texts_are_told_by_tokens() -> None:
    rows = more(("word " * 400, "negative"))
    (finding,) = [each for each in examine(rows, lengths_by(None), 256) if each.code == "long"]
    assert finding.rows == (42,)
    assert 0 < float(finding.values["cut"]) < 1


def test_what_was_found_is_said_in_both_languages() -> None:
    for rows in FAULTS.values():
        for finding in examine(rows):
            for language in ("en", "zh"):
                assert finding.said.text(language)
                assert not finding.fix or finding.offered.text(language)
