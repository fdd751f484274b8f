"""Long work while people do other things: another device looks on by a private link, and chat still answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .chatting import ENCODER, MODEL, READY_MS, open_chat, send
from .conftest import App

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
ROWS = 20_000
FIRST_TOKEN_S = 5.0
SHARE_OF_IDLE = 1 / 3


def begin_table(page: Page, table: Path) -> None:
    page.locator("#tab-sentiment-button").click()
    page.get_by_role("tab", name="A whole table").click()
    page.locator("#judge_table-file input[type=file]").set_input_files(table)
    expect(page.locator("#judge_table-found")).to_contain_text(f"{ROWS:,} rows")
    page.locator("#judge_table-start").click()
    expect(page.locator("#judge_table-report")).to_contain_text("Judging row after row", timeout=READY_MS)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """So many rows that judging them takes minutes."""
    path = tmp_path / "opinions.csv"
    rows = (f"A wonderful evening with number {i} of my friends; the soup was cold all the same." for i in range(ROWS))
    path.write_text("text\n" + "\n".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def busy_app(start_app: Callable[..., App], data_dir_with: Callable[..., Path]) -> App:
    return start_app(data_dir_with(MODEL, ENCODER), "--owners", "browser", "--strangers-manage")


def share(page: Page) -> int:
    """How far the job is, in percent."""
    return int(page.locator("#judge_table-report [role=progressbar]").get_attribute("aria-valuenow") or 0)


def measured(page: Page) -> tuple[float, float]:
    """Seconds to the first token, and tokens a second, of a new answer."""
    page.locator("#new-chat").click()
    expect(page.locator("#conversation .message")).to_have_count(0)
    send(page, "Write a story about a lighthouse keeper, in two paragraphs.")
    facts = page.locator("#conversation small.facts")
    expect(facts).to_have_count(1, timeout=READY_MS)
    found = re.search(r"([\d.]+) tokens/s · first token ([\d.]+) s", facts.inner_text())
    assert found, facts.inner_text()
    return float(found[2]), float(found[1])


@pytest.mark.slow
def test_chat_answers_while_a_job_runs_and_the_job_goes_on_after(
    busy_app: App, new_page: Callable[..., Page], table: Path
) -> None:
    page = new_page()
    open_chat(page, busy_app)
    measured(page)
    _, idle = measured(page)
    begin_table(page, table)
    page.locator("#tab-chat-button").click()
    first_token, busy = measured(page)
    assert first_token < FIRST_TOKEN_S
    assert busy > SHARE_OF_IDLE * idle
    page.locator("#tab-sentiment-button").click()
    before = share(page)
    expect(page.locator("#judge_table-report [role=progressbar]")).not_to_have_attribute(
        "aria-valuenow", str(before), timeout=READY_MS
    )
    assert share(page) > before


def test_another_device_looks_on_by_a_private_link_until_it_is_withdrawn(
    busy_app: App, new_page: Callable[..., Page], table: Path
) -> None:
    mine, phone, stranger = new_page(), new_page(viewport={"width": 390, "height": 844}), new_page()
    open_chat(mine, busy_app)
    begin_table(mine, table)
    mine.locator("#judge_table-share").click()
    expect(mine.locator("#judge_table-link textarea, #judge_table-link input").first).to_have_value(
        re.compile(rf"^{re.escape(busy_app.url)}/\?job=.+&link=.{{40,}}$")
    )
    link = mine.locator("#judge_table-link textarea, #judge_table-link input").first.input_value()
    phone.goto(link, wait_until="domcontentloaded")
    expect(phone.locator("#shared-report")).to_contain_text("opinions.csv", timeout=READY_MS)
    expect(phone.locator("#shared-report")).to_contain_text("Judging row after row")
    stranger.goto(link[:-3] + "xyz", wait_until="domcontentloaded")
    expect(stranger.locator("#shared-said")).to_contain_text("This link opens nothing", timeout=READY_MS)
    phone.locator("#shared-stop").click()
    expect(phone.locator("#shared-report")).to_contain_text("Stopped at", timeout=READY_MS)
    expect(mine.locator("#judge_table-report")).to_contain_text("Stopped at", timeout=READY_MS)
    with phone.expect_download() as download:
        phone.locator("#shared-take-csv").click()
    assert len(Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()) == ROWS + 1
    mine.locator("#judge_table-unshare").click()
    expect(phone.locator("#shared-said")).to_contain_text("This link opens nothing", timeout=READY_MS)
    mine.locator("#judge_table-resume").click()
    expect(mine.locator("#judge_table-report")).to_contain_text("Judging row after row", timeout=READY_MS)


@pytest.mark.faults
def test_a_closed_page_changes_nothing_and_two_pages_show_one_job(
    busy_app: App, new_page: Callable[..., Page], table: Path
) -> None:
    page = new_page()
    open_chat(page, busy_app)
    begin_table(page, table)
    before, browser = share(page), page.context
    page.close()
    pages = [browser.new_page(), browser.new_page()]
    for again in pages:
        open_chat(again, busy_app)
        again.locator("#tab-sentiment-button").click()
        again.get_by_role("tab", name="A whole table").click()
        expect(again.locator("#judge_table-report")).to_contain_text("Judging row after row", timeout=READY_MS)
        assert share(again) >= before
    one, other = pages
    one.locator("#judge_table-stop-job").click()
    for each in pages:
        expect(each.locator("#judge_table-report")).to_contain_text("Stopped at", timeout=READY_MS)
    other.locator("#judge_table-resume").click()
    for each in pages:
        expect(each.locator("#judge_table-report")).to_contain_text("Judging row after row", timeout=READY_MS)
