"""The page under its own security policy: all of it works, and nothing in it can call another site."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from ..running_app import App

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
TABS = ("chat", "summarize", "translate", "sentiment", "finetune", "models")


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> App:
    app = App(tmp_path_factory.mktemp("public"), ("--host", "0.0.0.0", "--owners", "browser", "--offline"))
    app.start()
    yield app
    app.end()


def watched(page: Page) -> list[str]:
    """What the browser complains about on this page."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("response", lambda answer: problems.append(answer.url) if answer.status >= 400 else None)
    return problems


def test_the_whole_page_works_under_its_policy(public: App, new_page: Callable[..., Page], tmp_path: Path) -> None:
    page = new_page()
    problems = watched(page)
    outside: list[str] = []
    page.on("request", lambda r: None if r.url.startswith((public.url, "data:", "blob:")) else outside.append(r.url))
    page.goto(public.url, wait_until="domcontentloaded")
    page.locator("#message textarea").wait_for()
    for tab in TABS:
        page.get_by_role("tab").nth(TABS.index(tab)).click()
        page.locator(f"#tab-{tab}").wait_for()
        page.wait_for_timeout(400)
    page.get_by_role("tab").nth(1).click()
    file = tmp_path / "note.txt"
    file.write_text("Some words to read.")
    with page.expect_file_chooser() as chooser:
        page.locator("#summarize-file").click()
    chooser.value.set_files(file)
    page.wait_for_function("document.querySelector('#summarize-text textarea').value.includes('Some words')")
    assert problems == []
    assert outside == []


def test_a_picture_from_elsewhere_is_not_fetched(public: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(public.url, wait_until="domcontentloaded")
    page.locator("#message textarea").wait_for()
    blocked = page.evaluate(
        """() => new Promise(done => {
          document.addEventListener("securitypolicyviolation", e => done(e.blockedURI));
          document.body.insertAdjacentHTML("beforeend", "<img src='https://example.org/?q=secret'>");
          setTimeout(() => done(""), 3000) })"""
    )
    assert blocked.startswith("https://example.org/")
    through = page.evaluate("fetch('/gradio_api/file=https://example.org/').then(answer => answer.status)")
    assert through == 403


def test_the_owners_link_opens_the_page_without_the_key(public: App, new_page: Callable[..., Page]) -> None:
    page = new_page()
    problems = watched(page)
    page.goto(f"{public.url}/?key={public.key}", wait_until="domcontentloaded")
    page.locator("#message textarea").wait_for()
    assert public.key not in page.url
    assert public.key not in page.evaluate("document.cookie")
    page.get_by_role("tab").nth(5).click()
    page.locator("#models-unload").click()
    page.locator("#models-said", has_text="unloaded").wait_for()
    assert problems == []
