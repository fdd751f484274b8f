"""What a person does in the chat, in the words of the tests."""

from __future__ import annotations

from playwright.sync_api import Page

from ..running_app import App

MODEL, TRANSLATOR, ENCODER = "smollm2-135m-instruct", "gemma-3-270m", "all-minilm-l6-v2"
LONG = "Write a long story about a lighthouse keeper, in at least ten paragraphs."
READY_MS = 120_000


def open_chat(page: Page, app: App, path: str = "/") -> None:
    page.goto(app.url + path, wait_until="domcontentloaded")
    page.locator("#message textarea").wait_for()


def send(page: Page, text: str) -> None:
    box = page.locator("#message textarea")
    box.fill(text)
    box.press("Enter")


def answers(page: Page) -> list[str]:
    return page.locator("#conversation .bot.message").all_inner_texts()


def last_answer(page: Page) -> str:
    return answers(page)[-1] if answers(page) else ""


def wait_for_words(page: Page, count: int) -> None:
    page.wait_for_function(
        """([count]) => { const all = document.querySelectorAll("#conversation .bot.message");
        return all.length && all[all.length - 1].innerText.split(/\\s+/).length >= count }""",
        arg=[count],
        timeout=READY_MS,
    )


def wait_until_done(page: Page) -> None:
    page.locator("#message .submit-button").wait_for(timeout=READY_MS)
