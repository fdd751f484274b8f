"""The Sentiment tab in a real Chromium, on the packaged encoder: a table with true labels, a mood, a kept example."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import App
from .test_tabs import READY_MS, TABS, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
ENCODER = "all-minilm-l6-v2"
ROWS = 90
LETTER = (
    "A wonderful film, we loved every minute. The ending was awful and dull, a waste of time. The music was superb."
)


def opinions(folder: Path) -> Path:
    """Every third evening was awful; every tenth label is one that the model does not have; one label is wrong."""
    rows = []
    for i in range(ROWS):
        awful = i % 3 == 0
        said = "meh" if i % 10 == 9 else "neg" if awful or i == 1 else "pos"
        text = f"{'An awful and dull' if awful else 'A wonderful'} evening, number {i}."
        rows.append(f'"{text}",{said},{i % 28 + 1:02}.{i % 3 + 1:02}.2026,{("Berlin", "Hamburg")[i % 2]}')
    path = folder / "opinions.csv"
    path.write_text("review,verdict,visited on,town\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def choose(page: Page, element: str, option: str) -> None:
    page.locator(f"#{element} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def test_a_table_with_true_labels_a_mood_and_a_kept_example(
    start_app: Callable[..., App], data_dir_with: Callable[..., Path], new_page: Callable[..., Page], tmp_path: Path
) -> None:
    app, page = start_app(data_dir_with(ENCODER), "--offline"), new_page()
    open_tab(page, app, "sentiment")
    page.get_by_role("tab", name="A whole table").click()
    page.locator("#judge_table-file input[type=file]").set_input_files(opinions(tmp_path))
    expect(page.locator("#judge_table-found")).to_contain_text("`verdict` holds labels to compare with: pos (")
    page.locator("#judge_table-start").click()
    report = page.locator("#judge_table-report")
    expect(report).to_contain_text("Compared with `verdict`: of 81 rows", timeout=READY_MS)
    expect(report).to_contain_text("9 rows are not in these figures: the model has no such label (meh)")
    expect(report.locator(".columns .column")).to_have_count(13)
    expect(report).to_contain_text("dates read as DD.MM.YYYY")
    expect(report).to_contain_text("By `town`")
    report.locator("tr", has=page.get_by_role("rowheader", name="negative")).get_by_role("button").nth(-1).press(
        "Enter"
    )
    rows = page.locator("#truth-rows")
    expect(rows).to_contain_text("True label negative, answer positive: rows 1 to 1 of 1")
    expect(rows.locator("tbody tr")).to_have_text([re.compile(r"^3A wonderful evening, number 1\.negpositive0\.\d\d$")])
    report.locator("[data-cell]").first.click()
    expect(rows).to_contain_text("rows 1 to 20 of")
    page.locator("#truth-later").click()
    expect(rows).to_contain_text("rows 21 to 27 of 27")
    open_tab(page, app, "sentiment")
    page.get_by_role("tab", name="A whole table").click()
    choose(page, "truth-label", "positive")
    expect(report).to_contain_text("Compared with `verdict`: of 90 rows")
    expect(report).not_to_contain_text("are not in these figures")
    expect(rows.locator("tbody tr")).to_have_count(0)
    keep_an_example(page)


def keep_an_example(page: Page) -> None:
    page.get_by_role("tab", name="One text").click()
    page.locator("#sentiment-text textarea").fill(LETTER)
    page.locator("#sentiment-run").click()
    blocks = page.locator("#sentiment-strip .mood > span")
    expect(blocks).to_have_count(3, timeout=READY_MS)
    blocks.nth(1).click()
    expect(blocks.nth(1).locator("span")).to_be_visible()
    expect(blocks.nth(1)).to_contain_text("negative 0.")
    expect(blocks.nth(0).locator("span")).to_be_hidden()
    page.locator("#right-label input").fill("mixed")
    page.locator("#right-label input").press("Enter")
    page.locator("#sentiment-keep").click()
    expect(page.locator("#sentiment-kept-said")).to_contain_text("Kept as mixed: “A wonderful film")
    page.get_by_role("tab").nth(TABS.index("finetune")).click()
    page.locator("#finetune-next").click()
    page.get_by_role("button", name="My kept examples (1)").click()
    expect(page.locator("#finetune-found")).to_contain_text("mixed")
