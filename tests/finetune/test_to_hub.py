"""What a training made, pushed: what its repository is called, what lies in it, and the command line."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from llmapp.backend.progress import Progress
from llmapp.backend.sources import Sources
from llmapp.catalog import Catalog, Model
from llmapp.errors import BadInput
from llmapp.finetune.__main__ import main
from llmapp.finetune.to_hub import Wish, check_push_form, push_training, usual_name
from llmapp.settings import AppSettings

from ..hub_push_server import HubPushServer
from ..tiny import catalog_entry, tiny_causal
from .whole import done_job, result_of

WRITER = "smollm2-135m-instruct"


@pytest.fixture
def hub() -> Iterator[HubPushServer]:
    with HubPushServer() as server:
        yield server


def in_zip(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pushed(hub: HubPushServer, wish: Wish, made: tuple[Path, Any], model: Model, seen: list[Progress]) -> str:
    settings = AppSettings(data_dir=made[0], device="cpu", hub_endpoint=hub.url, hub_token="hf_ana")
    sources = Sources(settings.data_dir / "models", settings)
    return push_training(wish, *made, model, sources, settings, seen.append).repo


def test_the_adapter_arrives_as_in_its_zip_and_the_whole_model_too(hub: HubPushServer, tmp_path: Path) -> None:
    base = tiny_causal(tmp_path / "base")
    model = catalog_entry(base, "causal", "llama")
    made = result_of(tmp_path, base, model, 2, "")
    assert pushed(hub, Wish("My style", "adapter"), made, model, []) == "ana/My-style"
    assert hub.repos["ana/My-style"].files == in_zip(made[0] / "My style.zip")
    seen: list[Progress] = []
    assert pushed(hub, Wish("My style", "merged"), made, model, seen) == "ana/My-style-merged"
    assert hub.repos["ana/My-style-merged"].files == in_zip(made[0] / "My style-merged.zip")
    assert [phase for phase in ("converting", "uploading") if phase in {look.phase for look in seen}] == [
        "converting",
        "uploading",
    ]
    assert b"hf_ana" not in b"".join(path.read_bytes() for path in made[0].rglob("*") if path.is_file())


def test_a_training_that_was_renamed_has_its_new_name(hub: HubPushServer, tmp_path: Path) -> None:
    base = tiny_causal(tmp_path / "base")
    model = catalog_entry(base, "causal", "llama")
    made = result_of(tmp_path, base, model, 2, "")
    assert pushed(hub, Wish("Letters", "adapter", "ana/other"), made, model, []) == "ana/other"
    card = ModelCard(hub.repos["ana/other"].files["README.md"].decode())
    assert card.data.model_name == "Letters"
    assert "# Letters\n" in card.text


def test_a_whole_model_is_not_made_where_it_can_not_be_pushed(hub: HubPushServer, tmp_path: Path) -> None:
    base = tiny_causal(tmp_path / "base")
    model = catalog_entry(base, "causal", "llama")
    made = result_of(tmp_path, base, model, 2, "")
    with pytest.raises(BadInput, match="can not be the name"):
        pushed(hub, Wish("My style", "merged", "no good"), made, model, [])
    assert not list(made[0].glob("*merged*"))


@pytest.mark.parametrize(
    ("name", "repo"),
    [
        ("My style", "My-style"),
        ("a--b..c", "a-b-c"),
        (" Naïve café! ", "Naive-cafe"),
        ("短信", f"{WRITER}-taught"),
        ("...", f"{WRITER}-taught"),
        ("notes.git", "notes"),
        ("x" * 200, "x" * 80),
    ],
)
def test_the_usual_name_is_one_that_the_hub_takes(catalog: Catalog, name: str, repo: str) -> None:
    assert usual_name(name, "adapter", catalog.model(WRITER)) == repo
    assert usual_name(name, "merged", catalog.model(WRITER)) == f"{repo}-merged"


def test_other_forms_are_refused() -> None:
    with pytest.raises(BadInput, match="`gguf`"):
        check_push_form("gguf")


def test_the_command_line_pushes_and_says_where(
    hub: HubPushServer,
    catalog: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = tiny_causal(tmp_path / "base")
    made = result_of(tmp_path, base, catalog.model(WRITER), 2, "")
    data = tmp_path / "data"
    job = done_job(data / "jobs", "me", made)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    command = ["push", job, "--data-dir", str(data)]
    assert main(command) == 2
    assert "To push, the Hub wants an access token" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_ana")
    assert main([*command, "--offline"]) == 1
    assert "--offline or HF_HUB_OFFLINE closes the Hub" in capsys.readouterr().err
    assert main([*command, "--to", "letters"]) == 0
    assert capsys.readouterr().out == f"{hub.url}/ana/letters\n"
    assert getattr(hub.repos["ana/letters"], "private", None) is True
    assert main([*command, "--to", "shown", "--public"]) == 0
    assert getattr(hub.repos["ana/shown"], "private", None) is False
    facts = ModelCard(hub.repos["ana/shown"].files["README.md"].decode()).data
    assert facts.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert main([*command, "--as", "gguf"]) == 2
