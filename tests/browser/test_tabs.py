"""Six tabs that work: each does its work once in a real Chromium, on the packaged models."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from llmapp.tasks.tables import read_sheet, write_xlsx

from .conftest import App
from .teaching import give_table, teach

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
TABS = ("chat", "summarize", "translate", "sentiment", "finetune", "models")
READY_MS = 180_000
SAMPLE = Path(__file__).parents[2] / "llmapp" / "ui" / "samples" / "sort.csv"
ARTICLE = (
    "The town library will close for six weeks from Monday for repairs to its roof, which has leaked since the storm "
    "in March. Books can be returned at the town hall, and the reading group will meet in the school. The council "
    "has set aside 80,000 euros for the work. Readers will not pay fines for books that fall due in that time."
)


def open_tab(page: Page, app: App, name: str) -> None:
    page.goto(app.url, wait_until="domcontentloaded")
    page.locator("#message textarea").wait_for()
    page.get_by_role("tab").nth(TABS.index(name)).click()


def test_summarize(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    open_tab(page, shared_app, "summarize")
    page.locator("#summarize-text textarea").fill(ARTICLE)
    page.locator("#summarize-text textarea").press("Control+Enter")
    expect(page.locator("#summary textarea")).not_to_have_value("", timeout=READY_MS)
    expect(page.locator("#summarize-run")).to_be_enabled(timeout=READY_MS)
    assert "library" in page.locator("#summary textarea").input_value().lower()


def test_a_summary_shows_what_it_rests_on_and_compares(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    open_tab(page, shared_app, "summarize")
    tab = page.locator("#tab-summarize")
    page.locator("#summarize-text textarea").fill(f"{ARTICLE} The <b>end</b> of the article is near.")
    tab.get_by_text("Number of words", exact=True).first.click()
    tab.get_by_text("Taken from the text").first.click()
    tab.locator("input[type=number]").first.fill("500")
    page.locator("#summarize-run").click()
    receipts = page.locator("#summarize-receipts details")
    expect(receipts.last).to_contain_text("The <b>end</b> of the article", timeout=READY_MS)
    receipts.first.locator("summary").click()
    expect(receipts.first.locator("blockquote")).to_be_visible()
    expect(receipts.first).to_contain_text("Sentence 1 of")
    summary = page.locator("#summary textarea").input_value()
    tab.get_by_text("Compare with a summary you trust").click()
    page.locator("#summarize-compare-run").click()
    expect(page.locator("#summarize-compared")).to_contain_text("There are not two texts")
    page.locator("#summarize-trusted textarea").fill(summary)
    page.locator("#summarize-compare-run").click()
    expect(page.locator("#summarize-compared")).to_contain_text("(ROUGE-2): 1.00")
    correct_and_keep(page, "#summary", "summarize", "It is about a house.")


def correct_and_keep(page: Page, result: str, task: str, right: str) -> None:
    """A person changes a result and keeps it, though its text is not in the box any more."""
    page.locator(f"#{task}-text textarea").fill("Something else.")
    page.locator(f"{result} textarea").fill(right)
    page.locator(f"#{task}-keep").click()
    said = page.locator(f"#{task}-kept-said")
    expect(said).to_contain_text(f"Kept “{right}” as the answer to “")
    expect(said).not_to_contain_text("Something else.")


def test_translate_keeps_lines(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    open_tab(page, shared_app, "translate")
    page.locator("#translate-text textarea").fill("The house is small.\n\nWhere is the station?")
    page.locator("#target input").click()
    page.get_by_role("option", name="French", exact=True).click()
    page.locator("#translate-run").click()
    expect(page.locator("#translation textarea")).not_to_have_value("", timeout=READY_MS)
    expect(page.locator("#translate-run")).to_be_enabled(timeout=READY_MS)
    lines = page.locator("#translation textarea").input_value().split("\n")
    assert len(lines) == 3
    assert lines[1] == ""
    assert "maison" in lines[0].lower()
    correct_and_keep(page, "#translation", "translate", "La maison est petite.")
    page.locator("#swap").click()
    expect(page.locator("#translate-keep")).to_be_hidden()


def test_a_linked_text_and_its_pairs(shared_app: App, new_page: Callable[..., Page]) -> None:
    """An address fills the tab; Ctrl+Enter; a sentence lights its pair; a German paragraph is said to be one."""
    house, train = "The house near the church is <b>small</b>.", "Der Zug fährt heute leider später."
    text = f"{house}\n\n{train}"
    page = new_page()
    page.goto(f"{shared_app.url}?target=fr&q={quote(text)}", wait_until="domcontentloaded")
    box = page.locator("#translate-text textarea")
    expect(box).to_have_value(text)
    expect(page.locator("#translate-count")).to_contain_text(f"{len(text)} characters")
    box.press("Control+Enter")
    pairs = page.locator("#translate-pairs .line")
    expect(pairs).to_have_count(2, timeout=READY_MS)
    expect(page.locator("#translate-run")).to_be_enabled(timeout=READY_MS)
    pairs.nth(0).locator("span").first.hover()
    expect(page.locator("#translate-pairs .lit")).to_have_count(2)
    expect(pairs.nth(0).locator(".lit").first).to_have_text(house)
    expect(pairs.nth(1).locator("span").first).to_have_text(train)
    expect(page.locator("#translate-status")).to_contain_text("Paragraphs in German, translated from it: 1.")
    expect(page.locator("#translate-found")).to_contain_text("English")
    page.locator("#swap").click()
    expect(box).not_to_have_value(text)
    expect(pairs).to_have_count(0)


def test_sentiment(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    open_tab(page, shared_app, "sentiment")
    texts = ("A wonderful film, I loved every minute of it.", "A dull and awful film, I hated every minute of it.")
    for text, label in [*zip(texts, ("positive", "negative"), strict=True)] * 5:
        page.locator("#sentiment-text textarea").fill(text)
        page.locator("#sentiment-run").click()
        expect(page.locator("#sentiment-bars h2")).to_have_text(label, timeout=READY_MS)
        expect(page.locator("#sentiment-run")).to_be_enabled()


def test_the_words_that_carried_a_judgement_are_shown(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    open_tab(page, shared_app, "sentiment")
    expect(page.locator("#sentiment-why")).to_be_hidden()
    page.locator("#sentiment-text textarea").fill("The hall was <b>cold</b>, but the concert was wonderful.")
    page.locator("#sentiment-run").click()
    page.locator("#sentiment-why").click(timeout=READY_MS)
    words = page.locator("#sentiment-words")
    expect(words.locator("mark.for", has_text="wonderful.")).to_be_visible(timeout=READY_MS)
    expect(words.locator("p.why")).to_have_text("The hall was <b>cold</b>, but the concert was wonderful.")
    expect(words).to_contain_text(re.compile(r"Without .*“wonderful\.”.*: positive 0\.\d\d → 0\.\d\d"))
    page.locator("#sentiment-run").click()
    expect(words.locator("mark")).to_have_count(0, timeout=READY_MS)


def test_finetune_from_a_table_to_an_answer(shared_app: App, new_page: Callable[..., Page]) -> None:
    """The sample is taught, tested on rows kept back, and the Sentiment tab answers with it, without a reload."""
    page = new_page()
    open_tab(page, shared_app, "finetune")
    give_table(page, SAMPLE)
    expect(page.locator("#finetune-found")).to_contain_text("60 rows can be used. Labels: complaint, praise, question")
    teach(page, "Shop mail")
    expect(page.locator("#finetune-report .progress")).to_be_visible(timeout=READY_MS)
    page.reload(wait_until="domcontentloaded")
    page.get_by_role("tab").nth(TABS.index("finetune")).click()
    expect(page.locator("#finetune-report")).to_contain_text("rows it never saw", timeout=READY_MS)
    expect(page.locator("#finetune-report table.confusion tbody tr")).to_have_count(3)
    page.get_by_role("tab").nth(TABS.index("sentiment")).click()
    page.locator("#tab-sentiment").get_by_text("More settings").click()
    page.locator("#sentiment-model input").click()
    page.get_by_role("option", name="Shop mail").click()
    page.locator("#sentiment-text textarea").fill("Thank you, the soup was lovely!")
    page.locator("#sentiment-run").click()
    expect(page.locator("#sentiment-bars")).to_contain_text("complaint", timeout=READY_MS)
    assert page.locator("#sentiment-bars h2").inner_text().strip() == "praise"
    expect(page.locator("#tab-sentiment")).to_contain_text("Shop mail")


def test_models_shows_what_is_on_disk_and_loaded(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    open_tab(page, shared_app, "models")
    expect(page.locator("#models-table")).to_contain_text("SmolLM2")
    expect(page.locator("#models-table .state.loaded, #models-table .state.on_disk")).not_to_have_count(0)


def test_a_whole_table_is_judged_and_taken_out(shared_app: App, new_page: Callable[..., Page], tmp_path: Path) -> None:
    """Pick a workbook, its column is found; the page is closed and opened again; the judged table is saved."""
    file = tmp_path / "opinions.xlsx"
    texts = [f"{'A wonderful' if i % 2 else 'An awful'} evening, number {i}." for i in range(400)]
    write_xlsx(file, ["id", "opinion"], [(float(i), text) for i, text in enumerate(texts)])
    page = new_page()
    open_tab(page, shared_app, "sentiment")
    page.get_by_role("tab", name="A whole table").click()
    page.locator("#judge_table-file input[type=file]").set_input_files(file)
    expect(page.locator("#judge_table-found")).to_contain_text("400 rows. The texts are in `opinion`")
    page.locator("#judge_table-start").click()
    expect(page.locator("#judge_table-report")).to_contain_text("You may close this page")
    mine = page.context
    page.close()
    page = mine.new_page()
    open_tab(page, shared_app, "sentiment")
    page.get_by_role("tab", name="A whole table").click()
    expect(page.locator("#judge_table-report")).to_contain_text("400 of 400 rows were judged", timeout=READY_MS)
    with page.expect_download() as download:
        page.locator("#judge_table-take-xlsx").click()
    assert download.value.suggested_filename == "opinions judged.xlsx"
    judged = read_sheet(Path(download.value.path()))
    assert judged.columns == ("id", "opinion", "label", "score", "error")
    assert judged.column("opinion") == tuple(texts)
    assert set(judged.column("label")) == {"positive", "negative"}
    page.locator("#judge_table-delete").click()
    expect(page.locator("#judge_table-report")).to_contain_text("No table yet")


@pytest.mark.parametrize("tab", ["summarize", "translate", "sentiment"])
def test_without_a_text_the_next_step_is_said(shared_app: App, new_page: Callable[..., Page], tab: str) -> None:
    page = new_page()
    open_tab(page, shared_app, tab)
    page.locator(f"#{tab}-run").click()
    expect(page.locator(f"#{tab}-status")).to_contain_text("Paste one or open a file first")
    expect(page.locator(f"#{tab}-run")).to_be_enabled()
    expect(page.get_by_text("Error", exact=True)).to_have_count(0)


@pytest.mark.parametrize("tab", TABS)
def test_no_tab_shows_an_error(shared_app: App, new_page: Callable[..., Page], tab: str) -> None:
    page = new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    open_tab(page, shared_app, tab)
    page.wait_for_timeout(1500)
    assert page.locator(".toast-body.error").count() == 0
    assert "__i18n__" not in page.locator("body").inner_text()
    assert problems == []
