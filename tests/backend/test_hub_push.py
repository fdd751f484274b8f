"""Pushed to the Hub: what arrives, for whom, with which token; and what is said where it does not."""

from __future__ import annotations

import json
import os
import socket
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llmapp.backend import hub_push
from llmapp.backend.hub_push import Push, push, send
from llmapp.backend.progress import Progress
from llmapp.errors import LlmappError, SourceError
from llmapp.settings import AppSettings

from ..file_server import Fault
from ..hub_push_server import HubPushServer, PushedRepo
from ..hub_server import Repo

WEIGHTS = os.urandom(300_000)
SMALL = {"adapter_config.json": b"{}", "predict.py": b"print(1)\n", "empty.txt": b""}
CARD = "---\ntags: [llmapp]\nlicense: apache-2.0\n---\n# Mine\n"
REPO = "ana/my-model"


@pytest.fixture
def hub() -> Iterator[HubPushServer]:
    with HubPushServer() as server:
        yield server


@pytest.fixture
def mine(tmp_path: Path) -> Push:
    with zipfile.ZipFile(tmp_path / "mine.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**SMALL, "adapter_model.safetensors": WEIGHTS, "README.md": b"of before"}.items():
            archive.writestr(name, content)
    return Push(tmp_path / "mine.zip", CARD, "my-model")


def settings(hub: HubPushServer, token: str = "hf_ana", **changes: object) -> AppSettings:
    return AppSettings(hub_endpoint=hub.url, hub_token=token, **changes)


def silent(_: Progress) -> None:
    pass


def refused(what: Push, given: AppSettings) -> LlmappError:
    with pytest.raises(LlmappError) as caught:
        push(what, given, silent)
    assert given.hub_token not in str(caught.value) or not given.hub_token
    return caught.value


@pytest.mark.parametrize("part", [10**9, 70_000])
def test_what_arrives_is_exactly_the_folder_and_private(hub: HubPushServer, mine: Push, part: int) -> None:
    hub.part = part
    seen: list[Progress] = []
    done = push(mine, settings(hub), seen.append)
    made = hub.repos[REPO]
    assert made.files == {**SMALL, "adapter_model.safetensors": WEIGHTS, "README.md": CARD.encode()}
    assert isinstance(made, PushedRepo)
    assert (made.private, made.commits) == (True, 1)
    assert (done.repo, done.url, done.private, done.commit) == (REPO, f"{hub.url}/{REPO}", True, made.commit)
    assert {look.phase for look in seen} >= {"checking", "uploading"}
    assert seen[-1].total >= len(WEIGHTS)


def test_public_only_where_it_is_said(hub: HubPushServer, mine: Push) -> None:
    assert push(replace(mine, public=True), settings(hub), silent).private is False
    assert getattr(hub.repos[REPO], "private", None) is False


def test_the_token_goes_to_the_hub_alone_and_no_other_token_does(
    hub: HubPushServer, mine: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_app")
    push(mine, settings(hub), silent)
    stored = [json.dumps(seen.headers) for seen in hub.seen if seen.port == hub.storage_port]
    asked = [json.dumps(seen.headers) for seen in hub.seen if seen.port == hub.port]
    assert stored
    assert not any("hf_" in headers for headers in stored)
    assert all("Bearer hf_ana" in headers for headers in asked)
    assert not any("hf_of_the_app" in headers for headers in (*asked, *stored))
    assert not any("xet" in seen.path for seen in hub.seen)


def test_pushed_again_what_has_changed_is_one_more_commit(hub: HubPushServer, mine: Push) -> None:
    first = push(mine, settings(hub), silent)
    second = push(replace(mine, about=CARD + "Better.\n"), settings(hub), silent)
    made = hub.repos[REPO]
    assert isinstance(made, PushedRepo)
    assert (made.commits, second.repo) == (2, first.repo)
    assert made.files["README.md"].endswith(b"Better.\n")
    assert len([seen for seen in hub.seen if seen.method == "PUT"]) == 1, "what is there is not sent again"
    assert push(replace(mine, about=CARD + "Better.\n"), settings(hub), silent).commit == second.commit


def test_a_token_that_is_missing_wrong_or_may_not_write(hub: HubPushServer, mine: Push) -> None:
    assert refused(mine, settings(hub, "")).code == "push_no_token"
    assert hub.seen == []
    assert refused(mine, settings(hub, "hf_wrong")).code == "push_token_refused"
    assert refused(mine, settings(hub, "hf_ana\nX-Other: 1")).code == "push_token_refused"
    hub.readers.add("hf_ana")
    assert refused(mine, settings(hub)).code == "push_no_right"
    hub.readers.clear()
    somebody = refused(replace(mine, repo="bob/my-model"), settings(hub))
    assert str(somebody).startswith("This access token may not write to `bob/my-model`.")
    assert hub.repos == {}


@pytest.mark.parametrize("name", ["", "my model", "a/b/c", "über", "x--y", "../x", "x.git", "a" * 97])
def test_a_name_that_can_not_be(hub: HubPushServer, mine: Push, name: str) -> None:
    assert refused(replace(mine, repo=name), settings(hub)).code == "push_name"
    assert hub.seen == []


def test_what_is_there_already_is_not_overwritten(hub: HubPushServer, mine: Push) -> None:
    hub.repos[REPO] = PushedRepo({"model.safetensors": b"theirs", "README.md": b"---\ntags: [x]\n---\n"})
    assert refused(mine, settings(hub)).code == "push_taken"
    hub.repos[REPO].files["README.md"] = CARD.encode()  # this app's, and the whole model
    assert refused(mine, settings(hub)).code == "push_taken"
    assert hub.repos[REPO].files["model.safetensors"] == b"theirs"
    hub.repos[REPO] = PushedRepo({".gitattributes": b""})
    push(mine, settings(hub), silent)
    assert hub.repos[REPO].files[".gitattributes"] == b""


def test_what_shall_be_private_does_not_go_where_all_can_see_it(hub: HubPushServer, mine: Push) -> None:
    hub.repos[REPO] = PushedRepo({}, private=False)
    assert refused(mine, settings(hub)).code == "push_public"
    assert hub.repos[REPO].files == {}


def test_another_repository_of_that_name_that_is_hidden(hub: HubPushServer, mine: Push) -> None:
    hub.users["hf_org"] = "org"
    hub.repos["org/x"] = Repo({})
    hub.may_read = lambda *_: False  # type: ignore[method-assign]
    assert refused(replace(mine, repo="org/x"), settings(hub, "hf_org")).code == "push_taken"


@pytest.mark.parametrize("closed", [{"offline": True}, {"hub_offline": True}])
def test_offline_says_so(hub: HubPushServer, mine: Push, closed: dict[str, bool]) -> None:
    assert refused(mine, settings(hub, **closed)).code == "push_offline"
    assert hub.seen == []


def test_a_hub_out_of_reach_is_said(mine: Push) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
    problem = refused(mine, AppSettings(hub_endpoint=endpoint, hub_token="hf_ana"))
    assert str(problem).startswith(f"The Hub at {endpoint} could not be reached (")


def test_what_the_hub_says_else_is_passed_on(hub: HubPushServer, mine: Push) -> None:
    problem = refused(replace(mine, about="# A card without front matter"), settings(hub))
    assert str(problem).startswith("The Hub did not take `ana/my-model`: Invalid metadata in README.md.")


def test_a_cut_in_the_middle_lists_nothing_and_the_next_goes_on(
    hub: HubPushServer, mine: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.part = 100_000
    hub.faults["put"] = [Fault("cut", after=30_000)] * 6  # as often as it is tried
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(SourceError, match="The push to `ana/my-model` was cut") as caught:
        send(mine, settings(hub), silent)
    assert caught.value.code == "push_cut"
    assert hub.repos[REPO].files == {}
    monkeypatch.undo()
    hub.faults["commit"] = [Fault("status", status=413)]  # all files have arrived, the commit has not
    assert refused(mine, settings(hub)).code == "push_refused"
    assert hub.repos[REPO].files == {}
    sent = len([seen for seen in hub.seen if seen.method == "PUT"])
    push(mine, settings(hub), silent)
    assert hub.repos[REPO].files["adapter_model.safetensors"] == WEIGHTS
    assert len([seen for seen in hub.seen if seen.method == "PUT"]) == sent, "what has arrived is not sent again"


def test_one_short_cut_is_got_over(hub: HubPushServer, mine: Push) -> None:
    hub.faults["put"] = [Fault("cut", after=50_000)]
    push(mine, settings(hub), silent)
    assert hub.repos[REPO].files["adapter_model.safetensors"] == WEIGHTS


def test_a_hub_that_falls_silent_is_given_up(hub: HubPushServer, mine: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.faults["put"] = [Fault("stall")]
    monkeypatch.setattr(hub_push, "STALL_LIMIT_S", 2.0)
    assert refused(mine, settings(hub)).code == "push_stalled"
    assert hub.repos[REPO].files == {}


def test_who_looks_on_can_stop_it(hub: HubPushServer, mine: Push) -> None:
    class Enough(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.phase == "uploading":
            raise Enough

    hub.faults["put"] = [Fault("stall")]
    with pytest.raises(Enough):
        push(mine, settings(hub), stop)
    assert hub.repos[REPO].files == {}
