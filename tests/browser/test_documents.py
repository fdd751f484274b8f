"""A whole document in a text tab: given, left, come back to, taken out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .chatting import MODEL, READY_MS, TRANSLATOR, open_chat
from .conftest import App

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
REPORT = "The lighthouse was built in 1887. It is white. Its lamp is seen for 20 miles.\r\n\r\n" * 100


@pytest.fixture
def app(start_app: Callable[..., App], data_dir_with: Callable[..., Path]) -> App:
    return start_app(data_dir_with(MODEL, TRANSLATOR))


def open_documents(page: Page, app: App, tab: str) -> None:
    open_chat(page, app)
    page.locator(f"#tab-{tab}-button").click()
    page.locator(f"#{tab}-tabs").get_by_role("tab", name="A whole document").click()


def saved(page: Page, kind: str) -> tuple[str, str]:
    """Name and text of the file that the page gives."""
    with page.expect_download() as download:
        page.locator(f"#{kind}-take-text").click()
    return download.value.suggested_filename, Path(download.value.path()).read_text(encoding="utf-8")


def test_a_document_is_summarized_while_the_page_is_closed(
    app: App, new_page: Callable[..., Page], tmp_path: Path
) -> None:
    document = tmp_path / "the report.txt"
    document.write_bytes(REPORT.encode("utf-16"))
    page = new_page()
    open_documents(page, app, "summarize")
    expect(page.locator("#summarize_file-report")).to_contain_text("No document yet")
    page.locator("#summarize_file-file input[type=file]").set_input_files(document)
    expect(page.locator("#summarize_file-found")).to_contain_text("1,600 words")
    expect(page.locator("#summarize_file-found")).to_contain_text("UTF-16")
    page.locator("label:visible", has_text="Written by a model").click()
    page.locator("#summarize_file-start").click()
    expect(page.locator("#summarize_file-report")).to_contain_text("You may close this page", timeout=READY_MS)
    page.close()
    page = new_page()
    open_documents(page, app, "summarize")
    report = page.locator("#summarize_file-report")
    expect(report).to_contain_text("The summary is done", timeout=READY_MS)
    expect(report).to_contain_text("1,600 of 1,600 words were read")
    expect(report).to_contain_text("fp32, from 4-bit")
    expect(report).to_contain_text("What it rests on")
    report.get_by_text("What was kept of each part").click()
    expect(report.locator("details li").first).to_contain_text("lighthouse")
    name, text = saved(page, "summarize_file")
    assert name == "the report summary.txt"
    assert text.startswith(report.locator(".result").inner_text())


def test_a_document_is_translated_and_its_lines_stay(app: App, new_page: Callable[..., Page], tmp_path: Path) -> None:
    document = tmp_path / "letter.md"
    document.write_text("# Good morning\n\n- The train is late.\n- Thank you!\n", encoding="utf-8")
    page = new_page()
    open_documents(page, app, "translate")
    page.locator("#translate_file-file input[type=file]").set_input_files(document)
    page.locator("#translate_file-target input").click()
    page.get_by_role("option", name="German").click()
    page.locator("#translate_file-start").click()
    report = page.locator("#translate_file-report")
    expect(report).to_contain_text("The translation is done", timeout=READY_MS)
    expect(report).to_contain_text("English to German")
    expect(report).to_contain_text("rough guess")
    name, text = saved(page, "translate_file")
    assert name == "letter (de).md"
    lines = text.split("\n")
    assert (len(lines), lines[1], lines[4]) == (5, "", "")
    assert lines[0] == "# Guten Morgen"


def test_a_file_that_is_no_document_is_said_in_its_place(
    app: App, new_page: Callable[..., Page], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_bytes(b"")
    page = new_page()
    open_documents(page, app, "summarize")
    page.locator("#summarize_file-file input[type=file]").set_input_files(empty)
    expect(page.locator("#summarize_file-found .notice.bad")).to_contain_text("empty.txt")
    expect(page.locator("#summarize_file-start")).to_be_disabled()
