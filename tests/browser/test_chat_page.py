"""The chat as a person meets it: a real Chromium, the real app, the packaged model."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from .chatting import LONG, READY_MS, last_answer, open_chat, send, wait_for_words, wait_until_done
from .conftest import App

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_send_streams_an_answer_with_its_facts(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    open_chat(page, shared_app)
    send(page, "What is the capital of France?")
    expect(page.locator("#conversation")).to_contain_text("Paris", timeout=READY_MS)
    wait_until_done(page)
    expect(page.locator("#conversation small.facts")).to_contain_text("fp32, from 4-bit (Q4_1) weights")
    expect(page.locator("#conversation small.facts")).to_contain_text("tokens/s")
    expect(page.locator("#meter")).to_contain_text(re.compile(r"\d+ of 8,192 tokens"))
    assert problems == []


@pytest.mark.slow
def test_stop_twenty_times_in_a_row(shared_app: App, new_page: Callable[..., Page]) -> None:
    """Each in a conversation of its own: after answers that were cut short, the model writes short ones by itself."""
    page = new_page()
    open_chat(page, shared_app)
    send(page, LONG)  # the model is loaded now
    wait_for_words(page, 2)
    page.locator("#message .stop-button").click()
    wait_until_done(page)
    for _ in range(20):
        page.get_by_text("New conversation").click()
        expect(page.locator("#conversation .message")).to_have_count(0)
        send(page, LONG)
        wait_for_words(page, 2)
        page.locator("#message .stop-button").click()
        wait_until_done(page)
        stopped = last_answer(page)
        assert "unfinished" in stopped
        page.wait_for_timeout(300)
        assert last_answer(page) == stopped
    send(page, "And now in one word?")
    expect(page.locator("#conversation .bot.message")).to_have_count(2)
    wait_until_done(page)


def test_who_waits_sees_their_place_and_can_leave_the_line(app: App, new_page: Callable[..., Page]) -> None:
    """Two more pages ask while the first is answered: places, Stop before it began, the next in line is answered."""
    first, second, third = new_page(), new_page(), new_page(locale="zh-CN")
    open_chat(first, app)
    send(first, LONG)
    wait_for_words(first, 5)
    for page in (second, third):
        open_chat(page, app)
        expect(page.locator("#conversation")).to_contain_text("lighthouse", timeout=READY_MS)
    second.get_by_text("New conversation").click()
    expect(second.locator("#conversation .message")).to_have_count(0)
    send(second, "What is the capital of Spain?")
    expect(second.locator("#chat-status")).to_contain_text("1 before you", timeout=READY_MS)
    third.get_by_text("新对话").click()
    expect(third.locator("#conversation .message")).to_have_count(0)
    send(third, "What is the capital of Italy?")
    expect(third.locator("#chat-status")).to_contain_text("前面还有 2 个", timeout=READY_MS)
    second.locator("#message .stop-button").click()
    expect(third.locator("#chat-status")).to_contain_text("前面还有 1 个", timeout=READY_MS)
    expect(second.locator("#message .submit-button")).to_be_visible()
    expect(second.locator("#message textarea")).to_have_value("What is the capital of Spain?")
    first.locator("#message .stop-button").click()
    expect(third.locator("#conversation")).to_contain_text("Rome", timeout=READY_MS)
    wait_until_done(third)
    second.locator("#message textarea").press("Enter")
    expect(second.locator("#conversation")).to_contain_text("Madrid", timeout=READY_MS)
    wait_until_done(second)


def test_a_message_overtakes_the_new_conversation_it_is_for(shared_app: App, new_page: Callable[..., Page]) -> None:
    """On a slow line the server hears of the message first: it is answered, and the answer stays."""
    page = new_page()
    open_chat(page, shared_app)
    send(page, "What is the capital of Italy?")
    expect(page.locator("#conversation")).to_contain_text("Rome", timeout=READY_MS)
    wait_until_done(page)
    held: list[Route] = []
    slow = threading.Event()
    slow.set()
    page.route("**/run/predict*", lambda route: held.append(route) if slow.is_set() else route.continue_())
    page.locator("#new-chat").click()
    expect(page.locator("#conversation .message")).to_have_count(0)
    send(page, LONG)
    wait_for_words(page, 8)
    assert held
    slow.clear()
    for route in held:
        route.continue_()
    wait_for_words(page, 40)
    page.locator("#message .stop-button").click()
    wait_until_done(page)
    expect(page.locator("#conversations label")).to_have_count(2)


def test_reload_keeps_the_conversation_also_in_the_middle_of_an_answer(
    shared_app: App, new_page: Callable[..., Page]
) -> None:
    page = new_page()
    open_chat(page, shared_app)
    send(page, LONG)
    wait_for_words(page, 12)
    page.reload(wait_until="domcontentloaded")
    expect(page.locator("#conversation")).to_contain_text("lighthouse", timeout=READY_MS)
    expect(page.locator("#conversation small.facts")).to_contain_text("unfinished", timeout=READY_MS)
    page.locator("#continue").click()
    before = len(last_answer(page).split())
    wait_for_words(page, before + 5)
    page.locator("#message .stop-button").click()
    wait_until_done(page)


@pytest.mark.parametrize(
    "how", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL], ids=["ended", "killed"]
)
def test_restart_keeps_the_conversation(app: App, new_page: Callable[..., Page], how: signal.Signals) -> None:
    page = new_page()
    open_chat(page, app)
    send(page, LONG)
    wait_for_words(page, 12)
    page.wait_for_timeout(1500)
    app.end(how)
    app.start()
    page = new_page()
    open_chat(page, app)
    expect(page.locator("#conversation")).to_contain_text("lighthouse", timeout=READY_MS)
    expect(page.locator("#conversation small.facts")).to_contain_text("unfinished", timeout=READY_MS)
    assert len(last_answer(page).split()) > 8


def test_two_browsers_do_not_see_each_other(shared_app: App, new_page: Callable[..., Page]) -> None:
    one, two = new_page(), new_page()
    open_chat(one, shared_app)
    send(one, "My secret word is marzipan.")
    expect(one.locator("#conversations label")).to_have_count(1, timeout=READY_MS)
    wait_until_done(one)
    identity = one.evaluate("new URL(location.href).searchParams.get('chat')")
    open_chat(two, shared_app)
    expect(two.locator("#conversations label")).to_have_count(0)
    open_chat(two, shared_app, f"/?chat={identity}")
    two.wait_for_timeout(1500)
    assert "marzipan" not in two.content()
    open_chat(one, shared_app)
    expect(one.locator("#conversation")).to_contain_text("marzipan")


def test_the_page_speaks_chinese_and_can_be_switched(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page(locale="zh-CN")
    open_chat(page, shared_app)
    expect(page.get_by_role("tab", name="聊天")).to_be_visible()
    expect(page.locator("#new-chat")).to_have_text("新对话")
    page.locator("#language input").click()
    page.get_by_role("option", name="English").click()
    expect(page.get_by_role("tab", name="Chat")).to_be_visible(timeout=15_000)
    expect(page.locator("#new-chat")).to_have_text("New conversation")


def test_a_phone_390_px_wide(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page(viewport={"width": 390, "height": 844}, has_touch=True)
    open_chat(page, shared_app)
    send(page, "What is the capital of France?")
    expect(page.locator("#conversation")).to_contain_text("Paris", timeout=READY_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_a_model_or_person_writes_never_runs(
    shared_app: App, new_page: Callable[..., Page], tmp_path: Path
) -> None:
    hostile = (
        '<img src=x onerror="window.hacked=1"><script>window.hacked=2</script>'
        '<svg onload="window.hacked=3"></svg><a href="javascript:window.hacked=4">press</a>'
        "[press](javascript:window.hacked=5) <iframe src='javascript:parent.hacked=6'></iframe>"
        "<details open ontoggle='window.hacked=7'>x</details> $$\\href{javascript:window.hacked=8}{x}$$"
    )
    entries = [{"role": "user", "content": hostile}, {"role": "assistant", "content": hostile}]
    file = tmp_path / "hostile.json"
    file.write_text(json.dumps({"messages": entries}))
    page = new_page()
    open_chat(page, shared_app)
    page.locator("#manage button").first.click()
    with page.expect_file_chooser() as chooser:
        page.locator("#import").click()
    chooser.value.set_files(file)
    expect(page.locator("#conversation .bot.message")).to_have_count(1)
    for link in page.locator("#conversation a").all():
        assert not (link.get_attribute("href") or "").lower().startswith("javascript:")
    assert page.locator("#conversation script, #conversation iframe, #conversation img[onerror]").count() == 0
    page.wait_for_timeout(500)
    assert page.evaluate("window.hacked") is None


def test_a_stale_tab_can_not_overwrite(shared_app: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    open_chat(page, shared_app)
    send(page, "What is the capital of France?")
    wait_for_words(page, 3)
    wait_until_done(page)
    stale = page.context.new_page()
    open_chat(stale, shared_app, page.evaluate("location.search") or "/")
    expect(stale.locator("#conversation")).to_contain_text("Paris")
    send(page, "And of Italy?")
    expect(page.locator("#conversation .bot.message")).to_have_count(2, timeout=READY_MS)
    wait_until_done(page)
    send(stale, "This must not erase Italy.")
    expect(stale.locator("#conversation")).to_contain_text("And of Italy?")
    expect(stale.locator("#message textarea")).to_have_value("This must not erase Italy.")
