"""A book of 300 pages summarized from end to end, while what can go wrong does: run it by hand, it takes a while.

`python -m benchmarks.book [--method written]` prints one JSON object; without a method, Auto chooses. The book is
Python's own language reference, as this Python carries it, at 1,550 characters a page. A third of the way the app is
killed (its worker lives on), at two thirds the worker is too; both are started again, and the book is read to its end.
  pages, words, parts   what was read, and in how many readings of the model
  seconds               from the file to the summary, the two restarts included
  words_read            must be `words`
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import psutil
from gradio_client import Client, handle_file

from .bench_chat import MODEL, end_app, free_port, start_app
from .house import machine, packaged

PAGE = 1550
PAGES = 300
LOOK_S = 2.0


class House:
    """The app on a data folder, that can be killed and started again."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.start()

    def start(self) -> None:
        port = free_port()
        self.process, _ = start_app(self.data, port)
        self.client = Client(f"http://127.0.0.1:{port}", verbose=False)

    def ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        return self.client.predict(*arguments, api_name=f"/{name}", **named)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


def book(path: Path) -> None:
    text = "\n\n".join(topics[name] for name in sorted(topics))
    path.write_text(text[: PAGE * PAGES], encoding="utf-8")


def wait(house: House, job: str, share: float) -> dict[str, Any]:
    """The job's status once so much of it is done, or once it has ended."""
    while True:
        status: dict[str, Any] = house.ask("job", job)
        step, steps = status["step"] or 0, status["steps"] or 0
        print(status["state"], status["phase"], step, steps, file=sys.stderr)
        if status["state"] in ("done", "failed", "stopped", "interrupted") or (steps and step / steps >= share):
            return status
        time.sleep(LOOK_S)


def kill_worker(job: str) -> None:
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "llmapp.worker" in words and words[-1].endswith(job):
            process.kill()
            return
    raise RuntimeError(f"no worker of {job}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", default="auto")
    method = parser.parse_args().method
    with tempfile.TemporaryDirectory() as folder:
        local, data = packaged(MODEL), Path(folder) / "data"
        shutil.copytree(local.folder, data / "models" / local.folder.name)
        file = Path(folder) / "the language reference.txt"
        book(file)
        house = House(data)
        began = time.perf_counter()
        job = house.ask("summarize_file", handle_file(str(file)), "long", method=method)
        wait(house, job, 1 / 3)
        house.kill()
        house.start()
        status = wait(house, job, 2 / 3)
        kill_worker(job)
        house.kill()
        house.start()
        house.ask("job_resume", job)
        status = wait(house, job, 2)
        seconds = time.perf_counter() - began
        report = house.ask("job_report", job)
        end_app(house.process)
    found = {
        "state": status["state"],
        "pages": PAGES,
        "words": report["words_total"],
        "words_read": report["words_read"],
        "parts": len(report["outline"]),
        "seconds": round(seconds),
        "summary": report["summary"],
        "made": report["made"],
        "machine": machine(),
    }
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
