"""The real app in a process of its own, and a stranger's or an owner's way to talk to it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_S = 90.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class App:
    """One running app: its address, its data, and ways to end it. `program` is what Python is started with."""

    data_dir: Path
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    program: tuple[str, ...] = ("app.py",)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.data_dir / "app.log").read_text(encoding="utf-8")

    @property
    def key(self) -> str:
        """The manager's key, as the app prints it in the owner's link."""
        found = re.search(r"\?key=([\w-]+)", self.log)
        assert found, self.log
        return found[1]

    def start(self) -> None:
        place = ("--no-browser", "--data-dir", str(self.data_dir), "--port", str(self.port))
        command = [sys.executable, *self.program, *place]
        environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": str(self.data_dir / "uploads"),
            **self.environment,
        }
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "app.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.arguments], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            assert self.process
            assert self.process.poll() is None, self.log
            try:
                with urllib.request.urlopen(self.url, timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise TimeoutError(self.log)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)
        self.process = None
