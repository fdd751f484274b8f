"""How soon the page is there and can be used, and what the app weighs before a model is loaded.

`python -m benchmarks.bench_start` prints one JSON object, medians of five starts:
  gradio_import_s   seconds of `import gradio` alone, in a fresh process, just before a start
  page_s            from starting the app to its first HTTP 200
  page_extra_s      the difference of the two
  tabs_s            from that 200 until a click on a tab in Chromium shows it; torch and the model load meanwhile
  empty_mb          memory (PSS, children included) of the idle app with no model on disk, after the page was opened
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, sync_playwright

from .bench_chat import MODEL, end_app, free_port, memory_mb, start_app
from .house import machine, packaged

STARTS = 5
IDLE_S = 8.0


def import_s() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import gradio"], check=True)
    return time.perf_counter() - begin


@contextmanager
def chromium() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if not executable:
        raise SystemExit("needs Chromium: apt-get install -y --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Start(NamedTuple):
    """Seconds: gradio's import, then the app's page, then from the page to a tab that opens when clicked."""

    gradio: float
    page: float
    tabs: float


def one_start(browser: Browser, local: Path) -> Start:
    """One start, after gradio's import by itself: machines change their speed from one minute to the next."""
    with tempfile.TemporaryDirectory() as folder:
        data, port, gradio_s = Path(folder), free_port(), import_s()
        shutil.copytree(local, data / "models" / local.name)
        process, page_s = start_app(data, port)
        try:
            return Start(gradio_s, page_s, _tabs_s(browser, port))
        finally:
            end_app(process)


def _tabs_s(browser: Browser, port: int) -> float:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    begin = time.perf_counter()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{port}", wait_until="commit")
    page.get_by_role("tab", name="Summarize").click()
    page.locator("#tab-summarize textarea").first.wait_for(state="visible")
    took = time.perf_counter() - begin
    context.close()
    return took


def empty_mb(browser: Browser) -> float:
    """Memory of the app that no model is on disk for, and no network to get one."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        process, _ = start_app(Path(folder), port, "--offline")
        try:
            _tabs_s(browser, port)
            time.sleep(IDLE_S)
            return memory_mb(process.pid)
        finally:
            end_app(process)


def main() -> None:
    local = packaged(MODEL).folder
    with chromium() as browser:
        one_start(browser, local)  # files that were never read are slow to come
        starts = [one_start(browser, local) for _ in range(STARTS)]
        empty = empty_mb(browser)
    report = {
        "gradio_import_s": round(statistics.median(start.gradio for start in starts), 2),
        "page_s": round(statistics.median(start.page for start in starts), 2),
        "page_extra_s": round(statistics.median(start.page - start.gradio for start in starts), 2),
        "tabs_s": round(statistics.median(start.tabs for start in starts), 2),
        "empty_mb": round(empty),
        "machine": machine(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
