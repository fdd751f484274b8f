"""`python -m llmapp.finetune` as a script calls it: ids and JSON on the output, sentences on the error output."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..jobs.conftest import end_workers
from .conftest import opinions, write_table

BASE = "all-minilm-l6-v2"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(data_dir_with: Callable[..., Path]) -> Iterator[Path]:
    folder = data_dir_with(BASE)
    yield folder
    end_workers(folder / "jobs")


def called(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llmapp.finetune", *arguments, "--data-dir", str(data)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=240)


def test_it_never_imports_torch() -> None:
    code = "import llmapp.finetune.__main__, sys; sys.exit('torch' in sys.modules or 'gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_training_from_start_to_export(data: Path, tmp_path: Path) -> None:
    """Stopped, gone on with, reported, taken out; and each output is what a script expects."""
    table = write_table(tmp_path / "films.csv", opinions(120))
    begun = called(data, "start", "--data", str(table), "--text", "message", "--label", "label", "--offline")
    assert begun.returncode == 0, begun.stderr
    job, *rest = begun.stdout.splitlines()
    assert rest == []
    assert "learns `label` from `message`" in begun.stderr
    status = json.loads(called(data, "status", job).stdout)
    assert list(status) == ["id", "kind", "state", "phase", "step", "steps", "eta_s", "error", "pid"]
    assert (status["id"], status["kind"], status["error"]) == (job, "finetune", None)
    early = called(data, "report", job)
    assert (early.returncode, early.stdout) == (1, "")
    assert "has no report yet" in early.stderr
    stopped = json.loads(called(data, "stop", job).stdout)
    assert stopped["state"] in ("stopped", "done")
    if stopped["state"] == "stopped":
        assert json.loads(called(data, "resume", job).stdout)["state"] in ("queued", "running")
    watched = called(data, "watch", job)
    assert watched.returncode == 0, watched.stderr
    assert watched.stdout.splitlines()[-1].startswith(f"{job} done")
    report = json.loads(called(data, "report", job).stdout)
    assert report["test_rows"] >= 20
    assert report["before"]["kind"] in ("names", "shipped")
    assert report["before"]["accuracy"] >= 0.9
    assert "You may not need to teach it" in watched.stderr
    assert 0 <= report["after"]["accuracy"] <= 1
    assert 0 <= report["after"]["macro_f1"] <= 1
    assert report["adapter"] == job
    assert called(data, "list").stdout.splitlines() == [f"{watched.stdout.splitlines()[-1]}  films"]
    place = called(data, "export", job, "--to", str(tmp_path / "mine.zip")).stdout.strip()
    assert Path(place) == tmp_path / "mine.zip"
    zipfile.ZipFile(place).extractall(tmp_path / "mine")
    assert "owner" not in json.loads((tmp_path / "mine" / "card.json").read_text())
    runs_without_the_app(tmp_path / "mine", next((data / "models").glob(f"{BASE}*/**/config.json")).parent)


def runs_without_the_app(adapter: Path, base: Path) -> None:
    """The script in the zip answers as the test of its training did."""
    answers = {}
    for text in ("I love this wonderful film", "a terrible waste of time"):
        command = [sys.executable, str(adapter / "predict.py"), text, str(base)]
        run = subprocess.run(command, cwd=adapter, capture_output=True, text=True, encoding="utf-8", timeout=120)
        assert run.returncode == 0, run.stderr
        odds = ast.literal_eval(run.stdout.splitlines()[-1])
        answers[text] = max(odds, key=odds.__getitem__)
    assert list(answers.values()) == ["positive", "negative"]


def test_bases_are_told_with_what_they_cost(data: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "films.csv", opinions(120))
    told = called(data, "bases", "--data", str(table), "--effort", "quick", "--offline")
    assert told.returncode == 0, told.stderr
    found = {offer["id"]: offer for offer in json.loads(told.stdout)}
    assert list(found[BASE]) == ["id", "name", "badge", "gb", "least_gb", "minutes", "rough", "auto"]
    assert (found[BASE]["badge"], found[BASE]["rough"]) == ("fits", True)
    assert [name for name, offer in found.items() if offer["auto"]] == [BASE]
    assert found[BASE]["least_gb"] < found[BASE]["gb"] < found["bert-base-uncased"]["gb"]


def test_bad_input_is_a_sentence_and_two(data: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "films.csv", opinions(40))
    few = write_table(tmp_path / "few.csv", opinions(3))
    for arguments, sentence in (
        (("start", "--data", str(tmp_path / "none.csv")), "There is no file"),
        (("start", "--data", str(table), "--text", "body"), "`body`"),
        (("start", "--data", str(table), "--effort", "huge"), "`huge`"),
        (("start", "--data", str(table), "--base", "nobody"), "nobody"),
        (("start", "--data", str(few)), "`label` has 2 different values in 3 rows"),
        (("bases", "--data", str(few)), "`label` has 2 different values in 3 rows"),
        (("status", "019aa0000000-00000000"), "There is no job"),
        (("status", "../../etc"), "There is no job"),
    ):
        outcome = called(data, *arguments)
        assert (outcome.returncode, outcome.stdout) == (2, ""), arguments
        assert sentence in outcome.stderr, (arguments, outcome.stderr)
        assert "Traceback" not in outcome.stderr
    assert called(data, "list").stdout == ""
