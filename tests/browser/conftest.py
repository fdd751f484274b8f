"""A real app in a process of its own, and a real Chromium in front of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from ..conftest import put_models
from ..running_app import App
from .chatting import ENCODER, MODEL, TRANSLATOR

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
]


# A model, the app and several pages share the machine: what comes late is not wrong, what never comes is.
expect.set_options(timeout=20_000)


@pytest.fixture
def start_app() -> Iterator[Callable[..., App]]:
    """`start_app(data_dir, "--owners", "browser")` -> a running App; ended after the test, its log without a bug."""
    apps: list[App] = []

    def started(data_dir: Path, *arguments: str) -> App:
        app = App(data_dir, arguments)
        apps.append(app)
        app.start()
        return app

    yield started
    for app in apps:
        app.end()
        assert "Traceback" not in app.log, app.log


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless. While it lives, Playwright's event loop runs in this thread: no other test may."""
    executable = shutil.which("chromium")
    assert executable, "run: apt-get update && apt-get install -y --no-install-recommends chromium fonts-noto-cjk"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """`new_page(locale="zh-CN")` -> a page of a browser of its own (cookies and storage not shared)."""
    contexts: list[BrowserContext] = []

    def opened(**options: object) -> Page:
        context = chromium.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def app(start_app: Callable[..., App], data_dir_with: Callable[..., Path]) -> App:
    """The app with the packaged chat model on its disk, ended after the test."""
    return start_app(data_dir_with(MODEL))


@pytest.fixture(scope="package")
def running(packaged: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data = put_models(packaged, tmp_path_factory.mktemp("shared") / "data", MODEL, TRANSLATOR, ENCODER)
    app = App(data, ("--owners", "browser"))
    app.start()
    yield app
    app.end()


@pytest.fixture
def shared_app(running: App) -> Iterator[App]:
    """One app for many tests, all packaged models on its disk; each new page there is another person's."""
    said = len(running.log)
    yield running
    assert "Traceback" not in running.log[said:], running.log[said:]
