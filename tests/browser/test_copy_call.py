"""A result copied as an API call, by a person with a browser: what lies on the clipboard is what answers."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ..tiny_app import app_of_tiny_models

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
TEXT = "It's a lazy dog & <b>a fox</b>: ${x} {{y}} &lt;\n\n狐狸跳过懒狗。"
WORDS = [
    ("en-US", "Copy as an API call", "Copied"),
    pytest.param("zh-CN", "复制为 API 调用", "已复制", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("locale", "title", "copied"), WORDS)
def test_a_translation_is_copied_and_run(
    new_page: Callable[..., Page], tmp_path: Path, locale: str, title: str, copied: str
) -> None:
    app = app_of_tiny_models(tmp_path)
    app.start()
    try:
        page = new_page(locale=locale, permissions=["clipboard-read", "clipboard-write"])
        page.goto(app.url, wait_until="domcontentloaded")
        page.locator("#message textarea").wait_for()
        page.get_by_role("tab").nth(2).click()
        page.locator("#translate-text textarea").fill(TEXT)
        page.locator("#translate-run").click()
        call = page.locator("details.call:visible")
        expect(call.locator("summary")).to_have_text(title, timeout=180_000)
        call.locator("summary").click()
        button = call.locator("button").last
        button.click()
        expect(button).to_have_text(copied)
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        lines = page.evaluate("navigator.clipboard.readText()")
        done = subprocess.run(["bash"], input=lines, check=True, capture_output=True, text=True, timeout=240)
        answer = json.loads(re.findall(r"^data: (.*)$", done.stdout, re.MULTILINE)[-1])[0]
        assert answer == page.locator("#translation textarea").input_value()
    finally:
        app.end()
