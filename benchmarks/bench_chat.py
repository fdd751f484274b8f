"""The running app beside bare `model.generate`: same weights, dtype, threads, prompt and token count, turn about.

`make bench-chat` prints one JSON object:
  decode_ratio          tokens/s through the server, read by gradio_client here, over bare generate's; median of pairs
  first_token_extra_ms  how much later the first token arrives through the server; median of pairs
  peak_mb               most memory (PSS) of the app and its children, start, download check and loading included
  page_s                seconds from starting the app to its first HTTP 200
Rates are of decoding alone: (N - 1) tokens over the time from the first token to the last. A pair is `TURNS` answers of
each, turn about: other tenants of a machine slow it for seconds at a time, and so either side as likely as the other.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from gradio_client import Client

from .house import ROOT, machine, packaged

MODEL = "smollm2-135m-instruct"
PROMPT = "Write a long story about a lighthouse keeper."
TOKENS = 64
PAIRS, TURNS = 5, 3
LOOK_EVERY_S = 0.02
# What a child that runs bare generate does: one JSON line in (token count), one out (seconds, tokens).
BARE = """
import json, sys, time, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, threads, prompt = sys.argv[1], int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(threads)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
turns = [{"role": "system", "content": ""}, {"role": "user", "content": prompt}]  # as the catalog says for this model
inputs = tokenizer.apply_chat_template(turns, add_generation_prompt=True,
                                       return_tensors="pt", return_dict=True)
print("ready", flush=True)
for line in sys.stdin:
    count = json.loads(line)
    begin = time.perf_counter()
    with torch.inference_mode():
        out = model.generate(**inputs, do_sample=False, max_new_tokens=count)
    print(json.dumps([time.perf_counter() - begin, out.shape[1] - inputs["input_ids"].shape[1]]), flush=True)
"""


@dataclass(frozen=True)
class Run:
    """One answer, or the mean of several: seconds to the first token, seconds from there to the last, tokens."""

    first_s: float
    rest_s: float
    tokens: int

    @property
    def rate(self) -> float:
        return (self.tokens - 1) / self.rest_s


def mean(runs: Sequence[Run]) -> Run:
    first, rest = (statistics.fmean(times) for times in zip(*((run.first_s, run.rest_s) for run in runs), strict=True))
    return Run(first, rest, TOKENS)


class Bare:
    """`model.generate(do_sample=False)` in a process of its own."""

    def __init__(self, folder: Path, threads: int) -> None:
        command = [sys.executable, "-c", BARE, str(folder), str(threads), PROMPT]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._line()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()

    def _generate(self, count: int) -> tuple[float, int]:
        assert self._process.stdin
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        seconds, tokens = json.loads(self._line())
        return seconds, tokens

    def run(self) -> Run:
        first, _ = self._generate(1)
        whole, tokens = self._generate(TOKENS)
        return Run(first, whole - first, tokens)

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)


def memory_mb(pid: int) -> float:
    """What a process and its children hold (PSS: pages they share are counted once)."""
    root = psutil.Process(pid)
    return sum(process.memory_full_info().pss for process in [root, *root.children(recursive=True)]) / 1e6


class Peak:
    """The most memory a process and its children held, looked at 20 times a second, or as often as said later.

    A look takes 16 ms of a core, and the kernel's lock on the memory of the app.
    """

    def __init__(self, pid: int) -> None:
        self.mb = 0.0
        self.every_s = 0.05
        self._pid = pid
        self._end = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._end.wait(self.every_s):
            with suppress(psutil.Error):
                self.mb = max(self.mb, memory_mb(self._pid))

    def stop(self) -> None:
        self._end.set()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_app(data: Path, port: int, *arguments: str) -> tuple[subprocess.Popen[bytes], float]:
    """The app's process, and the seconds to its first HTTP 200."""
    command = [sys.executable, "app.py", "--no-browser", "--data-dir", str(data), "--port", str(port), *arguments]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # on people's machines Python keeps what it compiled
    begin = time.perf_counter()
    with (data / "app.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=1):
                return process, time.perf_counter() - begin
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise RuntimeError((data / "app.log").read_text())


def end_app(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(30)


def through_server(client: Client) -> Run:
    """One streamed answer, read by gradio_client, which is asked 50 times a second what has come.

    To iterate over its Job would ask 1,000 times a second, on the cores that write.
    """
    sampling = {"temperature": 0, "max_new_tokens": TOKENS}
    begin = time.perf_counter()
    job = client.submit(PROMPT, [], MODEL, "", sampling, api_name="/chat")
    first = last = 0.0
    seen = 0
    while not job.done() or seen < len(job.outputs()):
        texts = job.outputs()
        if len(texts) > seen:
            seen, last = len(texts), time.perf_counter()
            first = first or (last if texts[-1] else 0.0)
        time.sleep(LOOK_EVERY_S)
    return Run(first - begin, last - first, TOKENS)


def pair(client: Client, bare: Bare) -> tuple[Run, Run]:
    turns = [(through_server(client), bare.run()) for _ in range(TURNS)]
    ours, theirs = zip(*turns, strict=True)
    return mean(ours), mean(theirs)


def main() -> None:
    local = packaged(MODEL)
    threads = psutil.cpu_count(logical=False) or 1
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        # A copy for each: the kernel maps some files by pages of 2 MB, and two readers of one would share its memory.
        for copy in (data / "models" / local.folder.name, data / "bare"):
            shutil.copytree(local.folder, copy)
        port = free_port()
        process, page_s = start_app(data, port)
        peak = Peak(process.pid)
        bare = Bare(data / "bare", threads)
        try:
            # No certificates on plain HTTP: httpx reads them anew for each request, 50 ms a time, before it asks.
            client = Client(f"http://127.0.0.1:{port}", verbose=False, ssl_verify=False)
            through_server(client)
            bare.run()
            peak.every_s = 1.0  # all is loaded, and what is timed is not to be slowed by being watched
            pairs = [pair(client, bare) for _ in range(PAIRS)]
        finally:
            bare.end()
            peak.stop()
            end_app(process)
    print(json.dumps(report(pairs, peak.mb, page_s, threads)))


def report(pairs: list[tuple[Run, Run]], peak_mb: float, page_s: float, threads: int) -> dict[str, object]:
    """Medians of the pairs, and the facts of the machine."""
    return {
        "decode_ratio": round(statistics.median(ours.rate / bare.rate for ours, bare in pairs), 3),
        "first_token_extra_ms": round(1000 * statistics.median(ours.first_s - bare.first_s for ours, bare in pairs), 1),
        "peak_mb": round(peak_mb),
        "page_s": round(page_s, 2),
        "server_tokens_per_s": round(statistics.median(ours.rate for ours, _ in pairs), 2),
        "bare_tokens_per_s": round(statistics.median(bare.rate for _, bare in pairs), 2),
        "ratios": [round(ours.rate / bare.rate, 3) for ours, bare in pairs],
        "model": MODEL,
        "precision": "fp32, from 4-bit (Q4_1) weights",
        "tokens": TOKENS * TURNS,
        "threads": threads,
        "machine": machine(),
    }


if __name__ == "__main__":
    main()
