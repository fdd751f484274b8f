"""A push from the page and from scripts: who may, with whose token, what is said meanwhile, and what is not kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from llmapp.errors import BadInput, Refused
from llmapp.ui import push
from llmapp.ui.api_jobs import job_push
from llmapp.ui.events import bind
from llmapp.ui.finetune import KIND
from llmapp.ui.finetune_form import build_page

from ..hub_push_server import HubPushServer
from .test_limits import KEY, asked, somebody
from .test_take_along import JOB, app

PUBLIC = ("--host", "0.0.0.0", "--owners", "browser")
TYPED = "hf_typed_by_ana"


@pytest.fixture
def hub() -> Iterator[HubPushServer]:
    with HubPushServer(users={"hf_of_the_app": "app", TYPED: "ana"}) as server:
        yield server


def services(tmp_path: Path, request: gr.Request, hub: HubPushServer, *arguments: str, token: str = "") -> Any:
    return app(tmp_path, request, *arguments, environ={"HF_ENDPOINT": hub.url, "HF_TOKEN": token})


def laid_out() -> push.Away:
    with gr.Blocks():
        return push.build()


def sent(hub: HubPushServer) -> str:
    return " ".join(str(seen.headers) for seen in hub.seen)


def test_it_is_told_and_the_token_leaves_the_page(tmp_path: Path, hub: HubPushServer) -> None:
    request, away = asked(), laid_out()
    parts = services(tmp_path, request, hub)
    seen = push._seen(parts, away, JOB, request)
    assert (seen[away.box]["visible"], seen[away.token]["visible"], seen[away.form]["visible"]) == (True, True, True)
    assert (seen[away.repo]["placeholder"], seen[away.public]) == ("My-style", False)
    moments = list(push._pushed(parts, away, JOB, "", "adapter", False, TYPED, request))
    assert "Asking the Hub" in moments[0][away.said]
    assert f"It is at {hub.url}/ana/My-style now, for you alone." in moments[-1][away.said]
    assert moments[-1][away.token] == ""
    assert TYPED not in str(moments)
    kept = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and TYPED.encode() in path.read_bytes()]
    assert kept == []


def test_nothing_is_shown_where_there_is_nothing_to_push(tmp_path: Path, hub: HubPushServer) -> None:
    request, away = asked(), laid_out()
    seen = push._seen(services(tmp_path, request, hub), away, None, request)
    assert seen[away.box]["visible"] is False


def test_a_token_is_asked_for_where_none_is_known(tmp_path: Path, hub: HubPushServer) -> None:
    request, away = asked(), laid_out()
    parts = services(tmp_path, request, hub, token="hf_of_the_app")
    assert push._seen(parts, away, JOB, request)[away.token]["visible"] is False
    assert job_push(parts, JOB, request=request)["repo"] == "app/My-style"
    assert job_push(parts, JOB, "mine", token=TYPED, request=request)["repo"] == "ana/mine"


def test_a_refusal_is_a_sentence_and_asks_for_a_token(tmp_path: Path, hub: HubPushServer) -> None:
    request, away = asked(), laid_out()
    parts = services(tmp_path, request, hub, token="hf_no_more")
    settled = {away.token: gr.update(visible=True)}
    pushed = bind(push._pushed, parts, away, said=away.said, settled=settled)
    *_, last = pushed(JOB, "", "adapter", False, "", request)
    assert "The Hub refused the access token." in last[away.said]
    assert last[away.token]["visible"] is True


def test_a_script_gets_where_it_is(tmp_path: Path, hub: HubPushServer) -> None:
    request = asked()
    parts = services(tmp_path, request, hub, token="hf_of_the_app")
    first = job_push(parts, JOB, request=request)
    assert first == {
        "repo": "app/My-style",
        "url": f"{hub.url}/app/My-style",
        "private": True,
        "commit": hub.repos["app/My-style"].commit,
    }
    assert job_push(parts, JOB, "shown", "merged", True, request=request)["private"] is False
    assert "model.safetensors" in hub.repos["app/shown"].files
    with pytest.raises(BadInput, match="`gguf`"):
        job_push(parts, JOB, file="gguf", request=request)


def test_a_stranger_pushes_nothing(tmp_path: Path, hub: HubPushServer) -> None:
    request = asked(somebody(1))
    parts = services(tmp_path, request, hub, *PUBLIC, token="hf_of_the_app")
    for token in ("", TYPED):
        with pytest.raises(Refused, match="are for the owner of this app"):
            job_push(parts, JOB, token=token, request=request)
    assert hub.seen == []


def test_the_apps_token_is_the_managers_also_where_strangers_manage(tmp_path: Path, hub: HubPushServer) -> None:
    request, away = asked(somebody(1)), laid_out()
    parts = services(tmp_path, request, hub, *PUBLIC, "--strangers-manage", token="hf_of_the_app")
    assert push._seen(parts, away, JOB, request)[away.token]["visible"] is True
    with pytest.raises(BadInput, match="access token with the right to write"):
        job_push(parts, JOB, request=request)
    assert hub.seen == []
    assert job_push(parts, JOB, token=TYPED, request=request)["repo"] == "ana/My-style"
    assert "hf_of_the_app" not in sent(hub)
    manager = asked(somebody(1), x_llmapp_key=KEY)
    assert job_push(parts, JOB, request=manager)["repo"] == "app/My-style"


def test_offline_is_a_sentence(tmp_path: Path, hub: HubPushServer) -> None:
    request = asked()
    parts = services(tmp_path, request, hub, "--offline", token="hf_of_the_app")
    with pytest.raises(Refused, match="closes the Hub"):
        job_push(parts, JOB, request=request)


def test_a_draft_never_holds_the_token() -> None:
    with gr.Blocks():
        page = build_page(KIND)
    assert page.away.token not in page.form()
