"""The whole model from the page: buttons where there is something to take, words meanwhile, not for strangers."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from llmapp.backend.sources import Sources
from llmapp.catalog import Catalog
from llmapp.errors import Refused
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import read_settings
from llmapp.store import Store
from llmapp.ui import take_along
from llmapp.ui.api_jobs import job_export
from llmapp.ui.limits import Guard
from llmapp.ui.owners import owner_of

from ..finetune.whole import done_job, result_of
from ..tiny import catalog_entry, tiny_causal
from .test_limits import KEY, asked, somebody

JOB = "019aa0000000-00000000"


def app(tmp_path: Path, request: gr.Request, *arguments: str, environ: Mapping[str, str] | None = None) -> Any:
    """The parts that are asked, over a training that is done and belongs to whoever this request is from."""
    settings = read_settings(["--data-dir", str(tmp_path / "data"), *arguments], environ or {})
    base = tiny_causal(tmp_path / "base")
    model = catalog_entry(base, "causal", "llama")
    catalog = Catalog({model.id: model})
    supervisor = Supervisor(tmp_path / "data" / "jobs", settings, command=("false",))
    made = result_of(tmp_path, base, model, 2, "")
    assert done_job(tmp_path / "data" / "jobs", owner_of(settings, request), made) == JOB
    guard = Guard(settings, Store(tmp_path / "llmapp.db"), catalog, supervisor, KEY)
    sources = Sources(tmp_path / "data" / "models", settings)
    parts = {"settings": settings, "catalog": catalog, "supervisor": supervisor, "guard": guard, "sources": sources}
    return SimpleNamespace(**parts, manager_key=KEY)


def test_it_is_made_with_words_and_given(tmp_path: Path) -> None:
    request = asked()
    services = app(tmp_path, request)
    with gr.Blocks():
        whole = take_along.build()
    seen = take_along._seen(services, whole, JOB, request)
    assert [seen[button]["visible"] for button in whole.buttons.values()] == [True, True]
    gone = take_along._seen(services, whole, None, request)
    assert [gone[button]["visible"] for button in whole.buttons.values()] == [False, False]
    first, *_, last = take_along._taken(services, whole, "gguf", JOB, request)
    assert "Reading the model" in first[whole.said]
    assert "is ready" in last[whole.said]
    with zipfile.ZipFile(last[whole.download]) as archive:
        assert set(archive.namelist()) == {"My-style.gguf", "Modelfile", "README.md"}
    given = job_export(services, JOB, "gguf", request)
    assert given["orig_name"] == "My style-gguf.zip"
    assert job_export(services, JOB, request=request)["orig_name"] == "My style.zip"


def test_a_stranger_may_not_have_it_made(tmp_path: Path) -> None:
    request = asked(somebody(1))
    services = app(tmp_path, request, "--host", "0.0.0.0", "--owners", "browser")
    with pytest.raises(Refused):
        job_export(services, JOB, "merged", request)
    assert job_export(services, JOB, request=request)["orig_name"] == "My style.zip"
    assert not list((tmp_path / "data" / "jobs" / JOB / "result").glob("*merged*"))
