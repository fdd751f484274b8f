"""What a person does with answers and conversations: change, repeat, attach, switch the model, find, keep, delete."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from .. import tiny
from .chatting import LONG, MODEL, READY_MS, answers, last_answer, open_chat, send, wait_for_words, wait_until_done
from .conftest import App

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
FRANCE, ITALY = "What is the capital of France?", "What is the capital of Italy?"


def ask(page: Page, question: str, answer: str) -> None:
    """Send a question and wait for the end of its answer, below which stand its facts."""
    before = page.locator("#conversation small.facts").count()
    send(page, question)
    expect(page.locator("#conversation small.facts")).to_have_count(before + 1, timeout=READY_MS)
    expect(page.locator("#conversation .bot.message").last).to_contain_text(answer)
    wait_until_done(page)


def answered_anew(page: Page, deed: Callable[[], None]) -> None:
    """Do what makes the only answer anew, and wait for its end; it may well say the same, with the same facts."""
    page.locator("#conversation small.facts").evaluate("facts => facts.dataset.old = true")
    deed()
    page.wait_for_function(
        """() => { const all = document.querySelectorAll("#conversation small.facts");
        return all.length === 1 && !all[0].dataset.old }""",
        timeout=READY_MS,
    )
    wait_until_done(page)


def kept(page: Page) -> Locator:
    return page.locator("#conversations label")


def saved(page: Page, button: str) -> Path:
    with page.expect_download() as download:
        page.locator(button).click()
    return Path(download.value.path()).rename(download.value.path().parent / download.value.suggested_filename)


def bring_in(page: Page, file: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator("#import").click()
    chooser.value.set_files(file)


def correct_and_keep(page: Page, right: str) -> None:
    page.get_by_role("button", name="Correct the last answer and keep it").click()
    box = page.locator("#chat-right-answer textarea")
    expect(box).to_have_value(re.compile("Paris"))
    box.fill(right)
    page.locator("#chat-keep").click()
    expect(page.locator("#chat-kept-said")).to_contain_text(f"Kept “{right}” as the answer to “{FRANCE}”.")
    expect(page.get_by_role("button", name="My kept examples (1)")).to_be_visible()


def test_a_message_sent_while_the_model_loads_is_answered(app: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(app.url, wait_until="domcontentloaded")
    ask(page, FRANCE, "Paris")


def test_an_answer_is_made_again_and_an_earlier_message_changed(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    open_chat(page, shared_app)
    ask(page, FRANCE, "Paris")
    answered_anew(page, page.get_by_role("button", name="Retry").click)
    expect(page.locator("#conversation .bot.message")).to_contain_text("Paris")
    correct_and_keep(page, "Paris.")
    ask(page, "Thank you!", "")
    page.get_by_role("button", name="Edit").first.click()
    page.locator("#conversation textarea").fill(ITALY)
    page.get_by_role("button", name="Submit").first.click()
    expect(page.locator("#conversation .bot.message")).to_have_count(1, timeout=READY_MS)
    expect(page.locator("#conversation")).to_contain_text("Rome", timeout=READY_MS)
    wait_until_done(page)
    expect(page.locator("#conversation")).not_to_contain_text("Paris")
    expect(page.locator("#conversation .user.message")).to_have_count(1)


def test_a_message_can_be_copied(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page(locale="zh-CN", permissions=["clipboard-read", "clipboard-write"])
    open_chat(page, shared_app)
    ask(page, FRANCE, "Paris")
    expect(page.locator("#conversation .top-panel button").filter(visible=True)).to_have_count(1)  # and no bin
    page.get_by_role("button", name="Copy message").last.click()
    assert "Paris" in page.evaluate("navigator.clipboard.readText()")


def test_a_file_is_talked_about(shared_app: App, new_page: Callable[..., Page], tmp_path: Path) -> None:
    file = tmp_path / "opening hours.md"
    file.write_text("# The shop\n\nThe shop opens at nine o'clock and closes at seventeen o'clock.\n", encoding="utf-8")
    page = new_page()
    open_chat(page, shared_app)
    page.locator("#message input[type=file]").set_input_files(file)
    expect(page.locator("#attached")).to_have_text("opening hours.md")
    send(page, "When does the shop open?")
    expect(page.locator("#conversation .user.message")).to_contain_text("opening hours.md", timeout=READY_MS)
    expect(page.locator("#conversation .bot.message")).to_contain_text("nine", timeout=READY_MS)


def test_another_adapter_answers_in_the_same_conversation(
    start_app: Callable[..., App], data_dir_with: Callable[..., Path], new_page: Callable[..., Page]
) -> None:
    data = data_dir_with(MODEL)
    tiny.tiny_adapter(data / "adapters" / "my-shop", data / "models" / MODEL, owner="me", name="My shop")
    app = start_app(data)
    page = new_page()
    open_chat(page, app)
    ask(page, FRANCE, "Paris")
    expect(page.locator("#conversation small.facts")).not_to_contain_text("with")
    page.locator("#chat-model input").click()
    page.get_by_role("option", name="My shop").click()
    send(page, ITALY)
    facts = page.locator("#conversation small.facts")
    expect(facts).to_have_count(2, timeout=READY_MS)
    expect(facts.last).to_contain_text("with My shop")
    page.reload(wait_until="domcontentloaded")
    expect(facts.last).to_contain_text("with My shop", timeout=READY_MS)


def test_conversations_are_found_renamed_saved_deleted_and_brought_in(
    shared_app: App, new_page: Callable[..., Page]
) -> None:
    page = new_page()
    open_chat(page, shared_app)
    ask(page, FRANCE, "Paris")
    page.locator("#new-chat").click()
    expect(page.locator("#conversation .message")).to_have_count(0)
    ask(page, ITALY, "Rome")
    expect(kept(page)).to_have_count(2)
    page.locator("#search textarea, #search input").first.fill("Paris")
    expect(kept(page)).to_have_count(1)
    kept(page).first.click()
    expect(page.locator("#conversation")).to_contain_text("Paris")
    page.locator("#search textarea, #search input").first.fill("")
    expect(kept(page)).to_have_count(2)
    page.locator("#manage button").first.click()
    title = page.locator("#title textarea, #title input").first
    expect(title).to_have_value(FRANCE)
    title.fill("A trip to France")
    page.locator("#rename").click()
    expect(page.locator("#conversations")).to_contain_text("A trip to France")
    markdown = saved(page, "#export-markdown")
    assert "Paris" in markdown.read_text(encoding="utf-8")
    assert "Rome" not in markdown.read_text(encoding="utf-8")
    everything = saved(page, "#export-json")
    page.locator("#delete").click()
    expect(kept(page)).to_have_count(1)
    expect(page.locator("#conversations")).not_to_contain_text("A trip to France")
    bring_in(page, markdown)
    expect(page.locator("#conversation")).to_contain_text("Paris")
    expect(kept(page)).to_have_count(2)
    bring_in(page, everything)
    expect(kept(page)).to_have_count(4)


def test_what_can_not_be_done_is_said_in_its_place(
    shared_app: App, new_page: Callable[..., Page], tmp_path: Path
) -> None:
    """A sentence below the conversation, which stays to be seen; never the word Error over it."""
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    page = new_page()
    open_chat(page, shared_app)
    said = page.locator("#chat-status .notice.bad")
    page.locator("#manage button").first.click()
    for button in ("#rename", "#export-markdown"):
        page.locator(button).click()
        expect(said).to_contain_text("No conversation is open")
    bring_in(page, broken)
    expect(said).to_contain_text("broken.json")
    ask(page, FRANCE, "Paris")
    expect(said).to_have_count(0)
    page.locator("#rename").click()
    expect(said).to_contain_text("A title needs at least one letter")
    expect(page.locator("#conversation")).to_contain_text("Paris")
    expect(page.get_by_text("Error", exact=True)).to_have_count(0)


def test_everything_of_a_person_goes_with_one_button(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    open_chat(page, shared_app)
    ask(page, FRANCE, "Paris")
    page.locator("#manage button").first.click()
    page.locator("#delete-all").click()
    expect(page.locator("#chat-status .notice.bad")).to_contain_text("Nothing was deleted")
    expect(page.locator("#conversation")).to_contain_text("Paris")
    expect(kept(page)).to_have_count(1)
    page.locator("#sure textarea, #sure input").first.fill("delete")
    page.locator("#delete-all").click()
    expect(kept(page)).to_have_count(0)
    expect(page.locator("#conversation .message")).to_have_count(0)
    expect(page.locator("#chat-status")).to_contain_text("1 conversations")
    page.reload(wait_until="domcontentloaded")
    expect(page.locator("#message textarea")).to_be_visible()
    expect(kept(page)).to_have_count(0)


def test_a_stopped_answer_is_continued_where_it_ended(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    open_chat(page, shared_app)
    send(page, LONG)
    wait_for_words(page, 12)
    page.locator("#message .stop-button").click()
    wait_until_done(page)
    stopped = last_answer(page).split("\n")[0][:60]
    words = len(last_answer(page).split())
    page.locator("#continue").click()
    wait_for_words(page, words + 8)
    page.locator("#message .stop-button").click()
    wait_until_done(page)
    assert len(answers(page)) == 1
    assert last_answer(page).startswith(stopped)
