"""The Fine-tune tab in a real browser: a table is looked over and mended, taught, corrected, taught again; a style."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .chatting import send
from .conftest import App
from .teaching import ANSWER, REWRITE, SORT, give_table, teach
from .test_sentiment_tab import choose
from .test_tabs import READY_MS, SAMPLE, TABS, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def faulty(path: Path) -> Path:
    """The sample with three faults: a misspelt label, a repeated row, an e-mail address; and one wrong label."""
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    rows[4][1] = rows[4][1].upper()
    rows.append(list(rows[10]))
    rows.append(["Please write to ada@example.org, the parcel came broken.", "complaint"])
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def test_a_table_is_mended_taught_corrected_and_taught_again(
    shared_app: App, new_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = new_page()
    open_tab(page, shared_app, "finetune")
    give_table(page, faulty(tmp_path / "mail.csv"))
    findings = page.locator("#finetune-findings .finding")
    expect(findings).to_have_count(3, timeout=READY_MS)
    found = page.locator("#finetune-found")
    expect(found).to_contain_text("The label `PRAISE` has only 1 different texts")
    expect(page.locator("#finetune-ready")).to_be_disabled()
    misspelt = findings.filter(has_text="looks like")
    misspelt.locator("summary").click()
    expect(misspelt.locator("tbody tr")).to_have_count(1)
    misspelt.locator(".fix").click()
    expect(found).to_contain_text("62 rows can be used")
    findings.filter(has_text="repeat a text").locator(".fix").click()
    expect(found).to_contain_text("61 rows can be used")
    page.locator("#finetune-undo").click()
    expect(found).to_contain_text("62 rows can be used")
    for name in ("repeat a text", "e-mail address"):
        findings.filter(has_text=name).locator(".fix").click()
        expect(findings.filter(has_text=name)).to_have_count(0)
    expect(found).to_contain_text("Labels: complaint, praise, question.")
    teach(page, "Mended mail")
    report = page.locator("#finetune-report")
    expect(report).to_contain_text("rows it never saw", timeout=READY_MS)
    expect(report.locator(".curves svg")).to_have_count(2)
    correct_a_label_and_teach_again(page)


def correct_a_label_and_teach_again(page: Page) -> None:
    report, rows = page.locator("#finetune-report"), page.locator("#lesson-shown tbody tr")
    number = report.locator("table.confusion [data-cell]").first
    count = int(number.inner_text())
    number.click()
    expect(rows).to_have_count(count)
    choose(page, "lesson-label", "question")
    page.locator("#lesson-correct").click()
    expect(page.locator("#lesson-said")).to_contain_text(re.compile(r"Row \d+ is question from now on"))
    page.get_by_role("button", name="Teach it again (1 corrected)").click()
    expect(report.locator(".progress")).to_be_visible(timeout=30_000)
    expect(report).to_contain_text("rows it never saw", timeout=READY_MS)
    expect(page.locator("#lesson-retrain")).to_be_hidden()
    page.locator("#finetune-runs input").click()
    expect(page.get_by_role("option", name=re.compile("Mended mail"))).to_have_count(2)
    page.keyboard.press("Escape")
    rename_and_compare(page)


def rename_and_compare(page: Page) -> None:
    page.get_by_role("button", name="Rename and compare").click()
    page.locator("#lesson-name textarea, #lesson-name input").fill("Second lesson")
    page.locator("#lesson-rename").click()
    expect(page.locator("#lesson-compare-said")).to_contain_text("It is called “Second lesson” from now on")
    expect(page.locator("#finetune-runs input")).to_have_value("Second lesson · done")
    choose(page, "lesson-other", "Mended mail")
    beside = page.locator("#lesson-beside")
    expect(beside.locator("thead th")).to_have_text(["", "Second lesson", "Mended mail"])
    expect(beside).to_contain_text("not tested on the same rows")
    expect(beside.locator("polyline")).to_have_count(4)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_style_is_taught_shown_side_by_side_and_used_in_the_chat(
    shared_app: App, new_page: Callable[..., Page]
) -> None:
    page = new_page()
    open_tab(page, shared_app, "finetune")
    give_table(page, SAMPLE.with_name("answer.csv"), ANSWER)
    expect(page.locator("#finetune-found")).to_contain_text("40 pairs can be used")
    expect(page.get_by_label("Column with the answers")).to_have_value("answer")
    teach(page, "Rosewood", "Do you sell honey?")
    report = page.locator("#finetune-report")
    expect(report.locator(".sayings dt")).to_have_text("Do you sell honey?", timeout=4 * READY_MS)
    expect(report).to_contain_text("On 10 rows it never saw, its answers were", timeout=4 * READY_MS)
    expect(report).to_contain_text("That is a real difference")
    expect(report.locator(".answered")).to_have_count(10)
    expect(report.locator(".curves svg")).to_have_count(2)
    expect(page.locator("#lesson-rows")).to_be_hidden()
    judge_blind(page)
    page.get_by_role("tab").nth(TABS.index("chat")).click()
    choose(page, "chat-model", "Rosewood")
    send(page, "Do you sell honey?")
    answer = page.locator("#conversation .bot.message").last
    expect(answer).to_contain_text("Your Rosewood team", timeout=READY_MS)


def judge_blind(page: Page) -> None:
    """Ten pairs; the verdict comes after the last, and adds up."""
    page.get_by_role("button", name="Judge blind").click()
    pair, said = page.locator("#blind-pair"), page.locator("#blind-said")
    for number in range(1, 11):
        expect(pair).to_contain_text(f"{number} of 10.")
        expect(said).to_be_empty()
        page.locator("#blind-equal" if number == 10 else "#blind-a").click()
    expect(said).to_contain_text("1 equal. That")
    counts = [int(count) for count in re.findall(r"(\d+) times", said.inner_text())]
    assert sum(counts) == 9
    page.locator("#blind-again").click()
    expect(pair).to_contain_text("1 of 10.")


def test_another_goal_reads_the_same_table_anew(shared_app: App, new_page: Callable[..., Page]) -> None:
    """Other columns, other words, another sample; and back."""
    page = new_page()
    open_tab(page, shared_app, "finetune")
    goal, found = page.locator("#finetune-goal"), page.locator("#finetune-found")
    give_table(page, SAMPLE.with_name("rewrite.csv"))
    expect(found).to_contain_text("has 40 different values")
    expect(page.locator("#finetune-ready")).to_be_disabled()
    to_goal = page.locator("#finetune-step-goal-button")
    to_goal.click()
    goal.get_by_text(REWRITE).click()
    expect(page.locator("#finetune-about")).to_contain_text("A text and what it should become")
    expect(page.locator("#finetune-sample-rewrite")).to_be_visible()
    expect(page.locator("#finetune-sample-sort")).to_be_hidden()
    page.locator("#finetune-next").click()
    expect(found).to_contain_text("40 pairs can be used")
    expect(page.locator("#finetune-ready")).to_be_enabled()
    expect(page.get_by_label("Column with the questions or texts")).to_have_value("note")
    expect(page.get_by_label("Column with the answers")).to_have_value("report")
    to_goal.click()
    goal.get_by_text(SORT).click()
    page.locator("#finetune-next").click()
    expect(page.get_by_label("Column with the labels")).to_be_visible()
    expect(page.locator("#finetune-prompts")).to_be_hidden()


def test_what_was_begun_is_there_after_a_reload(shared_app: App, new_page: Callable[..., Page], tmp_path: Path) -> None:
    """The step, the table with what was mended, and every answer; another visitor finds nothing."""
    page = new_page()
    open_tab(page, shared_app, "finetune")
    give_table(page, faulty(tmp_path / "mail.csv"))
    findings, found = page.locator("#finetune-findings .finding"), page.locator("#finetune-found")
    findings.filter(has_text="looks like").locator(".fix").click(timeout=READY_MS)
    expect(found).to_contain_text("62 rows can be used")
    page.locator("#finetune-ready").click()
    page.get_by_label("Name of what it learns").fill("Half done")
    page.locator("#finetune-effort").get_by_text("Thorough").click()
    page.get_by_text("Details", exact=True).click()
    page.locator("#finetune-rank input").fill("4")
    expect(page.locator("#finetune-rank")).to_contain_text("Usual here: 8.")
    page.wait_for_timeout(1000)
    open_tab(page, shared_app, "finetune")
    expect(page.get_by_label("Name of what it learns")).to_have_value("Half done")
    expect(page.get_by_label("Thorough")).to_be_checked()
    page.get_by_text("Details", exact=True).click()
    expect(page.locator("#finetune-rank input")).to_have_value("4")
    page.locator("#finetune-step-data-button").click()
    expect(found).to_contain_text("62 rows can be used")
    expect(findings).to_have_count(2)
    expect(page.locator("#finetune-undo")).to_have_text("Undo the last change (1)")
    other = new_page()
    open_tab(other, shared_app, "finetune")
    expect(other.locator("#finetune-goal")).to_be_visible()
    other.locator("#finetune-next").click()
    expect(other.locator("#finetune-ready")).to_be_disabled()
