"""A model learns to write: the loss looks at answers alone, a job makes an adapter that answers, stops and goes on."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

from llmapp.backend.device import detect
from llmapp.backend.engine import Request, Sampling, Turn
from llmapp.backend.pool import Pool
from llmapp.backend.sources import Sources
from llmapp.backend.tokens import Tokens
from llmapp.catalog import Catalog
from llmapp.finetune.objective import Writing, answer_losses
from llmapp.finetune.pairs import Pairs, asked, encoded
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import AppSettings
from llmapp.tasks.chat import fit

from ..jobs.conftest import end_workers, log_of, until
from ..tiny import CAUSAL, catalog_entry, tiny_causal
from .conftest import FILL, write_table
from .test_run import until_checkpoint
from .worker import COMMAND

ANSWERS = {"film": "I love the story.", "dog": "He hates it, a waste of time.", "fox": "What is the capital?"}
SPEC = {
    "base": "writer",
    "text": "message",
    "label": "label",
    "effort": "balanced",
    "name": "My style",
    "goal": "answer",
    "settings": {"learning_rate": 1e-2, "rank": 16, "batch": 16},
}


def talks(count: int) -> list[tuple[str, str]]:
    """Different questions; a word in each tells the answer."""
    dice, found = random.Random(0), {}
    others = [word for word in FILL if word not in ANSWERS]
    while len(found) < count:
        telling = dice.choice(tuple(ANSWERS))
        words = [dice.choice(others) for _ in range(dice.randint(3, 9))]
        words.insert(dice.randrange(len(words)), telling)
        found[" ".join(words)] = ANSWERS[telling]
    return list(found.items())


@pytest.fixture(scope="session")
def writer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_causal(tmp_path_factory.mktemp("writer") / "tiny")


@pytest.fixture
def writers(writer_folder: Path, tmp_path: Path) -> Path:
    """A data folder whose catalog holds the tiny chat model."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "writer.yaml").write_text(
        f"""
{{id: writer, name: writer, kind: causal, family: llama, tasks: [chat, finetune], parameters: 150000, context: 512,
languages: [en], licence: Apache-2.0, licence_url: "https://www.apache.org/licenses/LICENSE-2.0", chat: true,
memory_mb: {{fp32: 1}}, note: {{en: tiny, zh: tiny}}, sources: [{{folder: {{path: {writer_folder}, weights: fp32}}}}]}}
"""
    )
    return tmp_path


@pytest.fixture
def supervisor(writers: Path) -> Iterator[Supervisor]:
    yield Supervisor(writers / "jobs", AppSettings(data_dir=writers, device="cpu"), COMMAND)
    end_workers(writers / "jobs")


def start(supervisor: Supervisor, table: Path, **changes: object) -> str:
    return supervisor.start("finetune", "ada", {**SPEC, **changes}, {"rows.csv": table})


@pytest.mark.parametrize("family", CAUSAL)
def test_the_loss_is_that_of_the_answers_alone_whatever_stands_beside_them(tmp_path: Path, family: str) -> None:
    folder = tiny_causal(tmp_path / family, family)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokens = Tokens(transformers.AutoTokenizer.from_pretrained(folder), catalog_entry(folder, "causal", family))
    inputs, answers = zip(*[("fox", "dog"), ("the lazy dog is " * 5, "a"), ("film", "the story of " * 9)], strict=True)
    rows = list(encoded(tokens, Pairs(inputs, answers, (2, 3, 4), ()), range(3), 300).values())
    with torch.no_grad():
        alone = []
        for row in rows:
            ids = torch.tensor([row.ids])
            odds = model(input_ids=ids).logits[0].log_softmax(-1)
            alone.append(-sum(odds[at - 1, row.ids[at]].item() for at in range(row.start, len(row.ids))))
        together = Writing(rows, rows, lambda _: []).loss(model, range(3)).item()
    assert answer_losses(model, rows).tolist() == pytest.approx(alone, rel=1e-4)
    assert together == pytest.approx(sum(alone) / sum(row.answer_tokens for row in rows), rel=1e-4)


def test_a_table_becomes_an_adapter_that_answers(supervisor: Supervisor, writers: Path, tmp_path: Path) -> None:
    rows = talks(200)
    long = [(f"number {i} " + "the lazy dog " * 400, "Too long to be learned.") for i in range(20)]
    job = start(supervisor, write_table(tmp_path / "talks.csv", [*rows, *long]), prompts=["the film is great"])
    assert until(supervisor, job).state == "done", log_of(supervisor, job)
    report = supervisor.report(job, "ada")
    assert report["goal"] == "answer"
    assert 15 <= report["test_rows"] < 22  # those that are too long are not asked
    assert 10 <= report["left_out"] <= 20
    assert report["before"]["exact"] == 0
    assert report["after"]["exact"] >= 0.9
    assert report["after"]["chrf"] > 90 > report["before"]["chrf"]
    assert 10 * report["after"]["perplexity"] < report["before"]["perplexity"]
    assert report["p"] < 0.01
    assert len(report["answers"]) == min(20, report["test_rows"])
    events = supervisor.events(job, "ada")
    phases = [e["phase"] for e in events if e["kind"] == "phase"]
    assert phases == ["preflight", "loading", "baseline", "loading", "rehearsing", "training", "saving", "evaluating"]
    said = [e["rows"][0] for e in events if e["kind"] == "shown"]
    assert {row["text"] for row in said} == {"the film is great"}
    assert said[-1]["answer"] == ANSWERS["film"]
    catalog = Catalog.read(writers / "catalog", writers / "adapters")
    (adapter,) = catalog.adapters("ada", "chat")
    assert (adapter.id, adapter.name, adapter.base, adapter.labels) == (job, "My style", "writer", ())
    hardware = detect("cpu")
    pool = Pool(catalog, Sources(writers / "models", AppSettings(data_dir=writers, device="cpu")), hardware, "auto")
    with pool.lease(job, "ada") as engine:
        request = Request(asked(engine.info.model, "this dog is of the capital"), Sampling(temperature=0.0))
        assert engine.generate_batch([request]) == [ANSWERS["dog"]]
    pool.close()
    tested = json.loads((supervisor.result_path(job, "ada") / "tested.json").read_text())
    assert all(dict(rows)[row["text"]] == row["label"] for row in tested)
    the_zip_answers_without_the_app(supervisor.result_path(job, "ada") / report["files"]["adapter"], writers, tested[0])


def test_two_inputs_and_a_system_prompt_are_learned_tested_and_said_in_the_chat(
    supervisor: Supervisor, writers: Path, tmp_path: Path
) -> None:
    rows = [("the capital", *text.split(" ", 1), answer) for text, answer in talks(120)]
    with (tmp_path / "talks.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("system", "title", "body", "reply"), *rows])
    job = start(supervisor, tmp_path / "talks.csv", text="title", second="body", system="system", label="reply")
    assert until(supervisor, job).state == "done", log_of(supervisor, job)
    report = supervisor.report(job, "ada")
    assert report["after"]["exact"] >= 0.8
    assert (report["inputs"], report["system"]) == (["title", "body"], "the capital")
    assert report["asked_as"]["turns"][0] == {"role": "system", "content": "the capital"}
    result = supervisor.result_path(job, "ada")
    tested = json.loads((result / "tested.json").read_text())
    assert all("\n\n" in row["text"] for row in tested)
    the_zip_answers_without_the_app(result / report["files"]["adapter"], writers, tested[0])
    said = (result / "taken" / "README.md").read_text()
    assert 'what belongs in "title",\na blank line, then what belongs in "body".' in said
    catalog = Catalog.read(writers / "catalog", writers / "adapters")
    pool = Pool(
        catalog, Sources(writers / "models", AppSettings(data_dir=writers, device="cpu")), detect("cpu"), "auto"
    )
    with pool.lease(job, "ada") as engine:
        question = (Turn("user", tested[0]["text"]),)
        assert fit(engine, question, "", 8).turns == (Turn("system", "the capital"), *question)
        assert fit(engine, question, "Be kind.", 8).turns[0] == Turn("system", "Be kind.")
    pool.close()


def the_zip_answers_without_the_app(file: Path, data: Path, row: dict[str, str]) -> None:
    folder = file.parent / "taken"
    zipfile.ZipFile(file).extractall(folder)
    assert "ada" not in (folder / "card.json").read_text()
    base = str(next((data / "catalog").glob("*.yaml")).read_text()).partition("path: ")[2].partition(",")[0]
    command = [sys.executable, str(folder / "predict.py"), row["text"], base]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.stdout.strip().splitlines()[-1:] == [row["answer"]], ran.stderr


@pytest.mark.faults
@pytest.mark.slow
def test_killed_and_gone_on_it_ends_with_the_same_weights(
    supervisor: Supervisor, writers: Path, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "talks.csv", talks(200))
    job, whole = start(supervisor, table, effort="quick"), start(supervisor, table, effort="quick")
    until_checkpoint(supervisor, job)
    pid = supervisor.status(job, "ada").pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert until(supervisor, job).state == "interrupted"
    seen = len(supervisor.events(job, "ada"))
    supervisor.resume(job, "ada")
    assert until(supervisor, job, "done", "failed").state == "done", log_of(supervisor, job)
    phases = [e["phase"] for e in supervisor.events(job, "ada")[seen:] if e["kind"] == "phase"]
    assert "baseline" not in phases  # what the untouched model said is kept
    assert until(supervisor, whole).state == "done"
    mine, other = (load_file(writers / "adapters" / each / "adapter_model.safetensors") for each in (job, whole))
    assert mine.keys() == other.keys()
    assert all(mine[name].equal(other[name]) for name in mine)


def test_answers_that_follow_from_nothing_are_called_that(supervisor: Supervisor, tmp_path: Path) -> None:
    rows = [(text, " ".join(random.Random(text).choices(FILL, k=4))) for text, _ in talks(40)]
    job = start(supervisor, write_table(tmp_path / "noise.csv", rows), settings={"learning_rate": 1e-6}, effort="quick")
    assert until(supervisor, job).state == "done", log_of(supervisor, job)
    report = supervisor.report(job, "ada")
    assert report["after"]["exact"] == 0
    assert report["p"] > 0.05


def test_rows_too_long_for_it_fail_in_words(supervisor: Supervisor, tmp_path: Path) -> None:
    job = start(supervisor, write_table(tmp_path / "talks.csv", talks(50)), settings={"max_tokens": 8})
    status = until(supervisor, job)
    assert status.problem
    assert status.problem.code == "error.training_too_long"


def test_a_base_that_can_not_write_is_refused(supervisor: Supervisor, tmp_path: Path) -> None:
    job = start(supervisor, write_table(tmp_path / "talks.csv", talks(40)), goal="sort")
    status = until(supervisor, job)
    assert status.problem
    assert status.phase == ""
