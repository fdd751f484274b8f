"""The app as a stranger meets it: each endpoint and each event is called, and nothing gives way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from .conftest import PublicApp, Victim
from .visitor import Outcome, Visitor, event_of, file

NOT_MANAGER = "are for the owner of this app"
HUB_MODEL = "smollm2-360m-instruct"
CSV = b"text,label\n" + b"".join(b"good %d,yes\nbad %d,no\n" % (i, i) for i in range(20))


@pytest.fixture
def stranger(public_app: PublicApp) -> Visitor:
    return public_app.stranger()


def everything_of(app: PublicApp) -> dict[str, bytes]:
    """What lies in the victim's folders, and which models are here."""
    data = app.app.data_dir
    mine = (data / "jobs" / app.victim.job, data / "adapters", data / "models")
    files = (path for folder in mine for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(data)): path.read_bytes() for path in files}


@pytest.fixture
def untouched(public_app: PublicApp) -> Iterator[None]:
    """After the test the victim still has all of theirs, unchanged."""
    before = everything_of(public_app)
    yield
    assert everything_of(public_app) == before
    victim = public_app.caller(public_app.victim.token)
    assert [job["id"] for job in victim.api("jobs").data] == [public_app.victim.job]
    assert public_app.victim.adapter in {model["id"] for model in victim.api("models").data}
    exported = victim.run(event_of(victim.config(), "export-json", "click")[0], [""])
    kept = victim.http.get(f"/gradio_api/file={exported.data[0]['path']}").text
    assert Victim.secret in kept
    assert kept.count('"role"') == 1


# ---- the public endpoints ----


def test_only_the_manager_loads_unloads_trains_and_pushes(
    public_app: PublicApp, stranger: Visitor, untouched: None
) -> None:
    asked = {
        "load": {"model": "smollm2-135m-instruct"},
        "unload": {"model": "smollm2-135m-instruct"},
        "finetune": {"dataset": stranger.uploaded("rows.csv", CSV)},
        "job_push": {"job_id": public_app.victim.job, "token": "hf_mine"},
    }
    for name, arguments in asked.items():
        outcome = stranger.api(name, **arguments)
        assert not outcome.ok, name
        assert NOT_MANAGER in outcome.said, name


def test_others_jobs_are_not_there(public_app: PublicApp, stranger: Visitor, untouched: None) -> None:
    for name in ("job", "job_stop", "job_resume", "job_report", "job_export"):
        outcome = stranger.api(name, job_id=public_app.victim.job)
        assert outcome.said == f"There is no job `{public_app.victim.job}` here, or it is not yours.", name
    manager = public_app.caller(key=public_app.app.key)
    for name in ("job_resume", "job_push"):
        assert "not yours" in manager.api(name, job_id=public_app.victim.job).said
    assert stranger.api("jobs").data == []


def test_a_job_id_is_not_a_path(public_app: PublicApp, stranger: Visitor) -> None:
    for evil in ("../jobs/" + public_app.victim.job, "/etc", "", ".", public_app.victim.job + "/../" + "x"):
        assert "or it is not yours" in stranger.api("job", job_id=evil).said


def test_others_adapters_are_not_there(public_app: PublicApp, stranger: Visitor, untouched: None) -> None:
    adapter = public_app.victim.adapter
    for name in ("sentiment", "classify", "explain", "summarize", "translate"):
        assert f"There is no model or adapter `{adapter}`" in stranger.api(name, text="Good.", model=adapter).said
    assert f"`{adapter}`" in stranger.api("chat", message="Hello", model=adapter).said
    assert adapter not in str(stranger.api("models").data)


@pytest.mark.parametrize(
    "model", ["Qwen/Qwen3-0.6B", "/etc", "../../../tmp", "https://example.org/model.gguf", "__init__"]
)
def test_models_come_from_the_list_only(stranger: Visitor, model: str) -> None:
    assert f"There is no model or adapter `{model}`" in stranger.api("chat", message="Hello", model=model).said
    assert f"There is no model or adapter `{model}`" in stranger.api("classify", text="Hello", model=model).said


def test_a_stranger_starts_no_download(public_app: PublicApp, stranger: Visitor) -> None:
    said = stranger.api("chat", message="Hello", model=HUB_MODEL).said
    assert said.endswith(
        "is not on this machine, and only the owner of this app may download it. Pick one that is here."
    )
    managers = public_app.caller(key=public_app.app.key).api("chat", message="Hello", model=HUB_MODEL).said
    assert "--offline closes the network" in managers


@pytest.mark.parametrize(
    "given",
    [
        {"path": "/etc/passwd"},
        file("/etc/passwd"),
        {"path": "/etc/passwd", "orig_name": "rows.csv"},
        {"path": "../../../../../../etc/passwd"},
        {"path": ""},
        {"path": None},
        {},
        "/etc/passwd",
        None,
        ["/etc/passwd"],
    ],
)
def test_no_path_of_the_servers_disk_is_taken(public_app: PublicApp, given: Any) -> None:
    manager = public_app.caller(key=public_app.app.key)
    for name in ("finetune", "sentiment_file", "summarize_file", "translate_file"):
        outcome = manager.api(name, **{"dataset" if name == "finetune" else "file": given})
        assert not outcome.ok, name
        assert "root:" not in outcome.said
        assert "is not an uploaded file" in outcome.said or outcome.said == "None", outcome
    assert manager.api("jobs").data == []


def test_another_file_of_the_data_folder_is_not_taken(public_app: PublicApp) -> None:
    manager = public_app.caller(key=public_app.app.key)
    outcome = manager.api("finetune", dataset={"path": str(public_app.app.data_dir / "rows.csv")})
    assert outcome.said.startswith("`rows.csv` is not an uploaded file")


# ---- the page's own events, through raw HTTP ----


@pytest.mark.parametrize("button", ["download", "load", "unload", "delete", "cancel"])
def test_the_models_tab_refuses_a_stranger(stranger: Visitor, untouched: None, button: str) -> None:
    index, _ = event_of(stranger.config(), f"models-{button}", "click")
    for model in ("smollm2-135m-instruct", HUB_MODEL):
        assert NOT_MANAGER in stranger.run(index, [model]).everything


def test_the_finetune_tab_refuses_a_stranger(public_app: PublicApp, stranger: Visitor, untouched: None) -> None:
    config = stranger.config()
    index, inputs = event_of(config, "finetune-start", "click")
    given = stranger.uploaded("rows.csv", CSV)
    columns, read = event_of(config, "finetune-file", "change")
    named = {"finetune-file": given, "finetune-text": "text", "finetune-label": "label"}
    assert stranger.run(columns, as_on_the_page(read, named)).ok
    assert NOT_MANAGER in stranger.run(index, as_on_the_page(inputs, named)).everything
    for button in ("stop-job", "resume", "delete"):
        index, _ = event_of(config, f"finetune-{button}", "click")
        outcome = stranger.run(index, [public_app.victim.job])
        assert not outcome.ok
        assert Victim.secret not in outcome.everything
    assert stranger.api("jobs").data == []


def test_a_strangers_draft_is_not_kept(public_app: PublicApp, stranger: Visitor, untouched: None) -> None:
    index, inputs = event_of(stranger.config(), "finetune-effort", "input")
    assert stranger.run(index, as_on_the_page(inputs, {})).ok
    assert not list((public_app.app.data_dir / "drafts").glob("*"))


def test_others_conversations_are_not_there(public_app: PublicApp, stranger: Visitor, untouched: None) -> None:
    config, place = stranger.config(), f"{public_app.victim.conversation}:2"
    page = stranger.open_page(f"/?chat={public_app.victim.conversation}")
    assert Victim.secret not in page.text
    calls = {"rename": [place, "mine now"], "delete": [place], "export-markdown": [place]}
    for elem_id, data in calls.items():
        outcome = stranger.run(event_of(config, elem_id, "click")[0], data)
        assert outcome.said, elem_id
        assert "This conversation is not here" in outcome.said
    index, inputs = event_of(config, "message", "submit")
    outcome = stranger.join(index, message_to(inputs, place))
    assert "This conversation is not here" in outcome.said


def as_on_the_page(inputs: list[dict[str, Any]], named: dict[str, Any]) -> list[Any]:
    """Arguments of an event: what is given by element, all else as the page has it."""
    return [named.get(str(part["props"].get("elem_id")), part["props"].get("value")) for part in inputs]


def message_to(inputs: list[dict[str, Any]], place: str, **box: Any) -> list[Any]:
    """Arguments of the chat's events: the given box and place, all else as the page has it."""
    filled = []
    for part in inputs:
        hidden = part["type"] == "textbox" and part["props"].get("visible") is False
        usual = part["props"].get("value")
        multi = part["type"] == "multimodaltextbox"
        filled.append({"text": "Hello", "files": [], **box} if multi else place if hidden else usual)
    return filled


def test_the_widgets_take_no_path_of_the_servers_disk(stranger: Visitor) -> None:
    config = stranger.config()
    secret = file("/etc/passwd")
    uploads = [
        ("import", "upload"),
        ("summarize-file", "upload"),
        ("translate-file", "upload"),
        ("sentiment-file", "upload"),
        ("finetune-file", "change"),
    ]
    for elem_id, kind in uploads:
        index, _ = event_of(config, elem_id, kind)
        for outcome in (stranger.run(index, [secret]), stranger.join(index, [secret])):
            assert not outcome.ok, elem_id
            assert "root:" not in outcome.everything
    index, inputs = event_of(config, "message", "submit")
    outcome = stranger.join(index, message_to(inputs, "", files=[secret]))
    assert not outcome.ok
    assert "root:" not in outcome.everything


def hostile(part: Mapping[str, Any], victim: Victim) -> Any:
    """The worst a widget's value can be: others' ids, files of the server."""
    kind = part["type"]
    if kind in ("file", "uploadbutton"):
        return file("/etc/passwd")
    if kind == "multimodaltextbox":
        return {"text": "Hello", "files": [file("/etc/passwd")]}
    if kind == "textbox":
        return f"{victim.conversation}:2"
    if kind in ("dropdown", "radio"):
        return {"finetune-runs": victim.job, "conversations": victim.conversation}.get(
            part["props"].get("elem_id"), victim.adapter
        )
    return part["props"].get("value")


def test_every_event_of_the_page_by_an_attacker(public_app: PublicApp, untouched: None) -> None:
    config, victim = public_app.stranger().config(), public_app.victim
    parts = {part["id"]: part for part in config["components"]}
    called = 0
    for event in config["dependencies"]:
        if not event["backend_fn"] or event["api_visibility"] == "public":
            continue
        attacker = public_app.stranger()
        data = [hostile(parts[i], victim) for i in event["inputs"]]
        outcomes = [attacker.run(event["id"], data), attacker.join(event["id"], data, {"index": 0, "value": "x"})]
        for outcome in outcomes:
            assert Victim.secret not in outcome.everything, event["api_name"]
            assert "root:" not in outcome.everything, event["api_name"]
            assert "Traceback" not in outcome.everything, event["api_name"]
        called += 1
    assert called > 40


def test_work_can_not_pass_by_the_queue(stranger: Visitor) -> None:
    queued = [event for event in stranger.config()["dependencies"] if event["queue"]]
    assert len(queued) > 15
    for event in queued:
        outcome = stranger.run(event["id"], [None] * len(event["inputs"]))
        assert not outcome.ok
        assert "join the queue" in outcome.said


def test_an_argument_too_many_is_no_request(public_app: PublicApp, stranger: Visitor) -> None:
    """What would name the asker can not be given as data."""
    fake = {"headers": {"x-llmapp-owner": public_app.victim.token, "x-llmapp-key": public_app.app.key}}
    config = stranger.config()
    jobs = next(event["id"] for event in config["dependencies"] if event["api_name"] == "jobs")
    outcome: Outcome = stranger.join(jobs, [fake])
    assert Victim.secret not in outcome.everything
    assert public_app.victim.job not in outcome.everything


# ---- Gradio's own addresses ----


def test_files_of_the_server_are_not_served(public_app: PublicApp, stranger: Visitor) -> None:
    data = public_app.app.data_dir
    wanted = ["/etc/passwd", data / "manager.key", data / "llmapp.db", Path("app.py").absolute(), "models", "app.py"]
    for path in wanted:
        for address in (f"/gradio_api/file={path}", f"/file={path}", f"/gradio_api/file/{path}"):
            assert stranger.http.get(address).status_code in (403, 404), address
    assert stranger.http.get("/gradio_api/file=/etc/passwd").status_code == 403
    assert stranger.http.get("/gradio_api/file=%2fetc%2fpasswd").status_code == 403


@pytest.mark.parametrize(
    "address",
    ["http://example.org/x.png", "https://example.org/?q=secret", "HTTPS://example.org/", "%68ttp://example.org/"],
)
def test_the_server_fetches_no_address_for_anyone(stranger: Visitor, address: str) -> None:
    """An answer of a model can hold such a picture; it would carry what was said to a stranger's server."""
    answer = stranger.http.get(f"/gradio_api/file={address}")
    assert answer.status_code == 403
    assert "not fetched here" in answer.text


def test_a_file_is_not_fetched_from_an_address(public_app: PublicApp) -> None:
    manager = public_app.caller(key=public_app.app.key)
    for address in ("https://example.org/rows.csv", "http://127.0.0.1/rows.csv"):
        outcome = manager.api("finetune", dataset=file(address))
        assert "not fetched here" in outcome.said
        index, inputs = event_of(manager.config(), "message", "submit")
        assert "not fetched here" in manager.join(index, message_to(inputs, "", files=[file(address)])).said


CLOSED = [
    ("GET", "/gradio_api/deep_link?session_hash=x"),
    ("GET", "/gradio_api/runs"),
    ("POST", "/gradio_api/run-history/connect"),
    ("GET", "/gradio_api/run-history/records"),
    ("POST", "/gradio_api/process_recording"),
    ("POST", "/gradio_api/component_server"),
    ("GET", "/gradio_api/proxy=https://x.hf.space/"),
    ("POST", "/gradio_api/vibe-edit"),
    ("GET", "/gradio_api/vibe-code"),
    ("GET", "/gradio_api/token"),
    ("GET", "/monitoring"),
    ("GET", "/monitoring/summary"),
    ("POST", "/login"),
    ("GET", "/login/huggingface"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
]


@pytest.mark.parametrize(("method", "address"), CLOSED)
def test_what_this_app_does_not_need_is_closed(stranger: Visitor, method: str, address: str) -> None:
    answer = stranger.http.request(method, address)
    assert answer.status_code == 404
    assert "nothing at this address" in answer.text


# ---- other sites, headers ----


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_page_can_not_use_the_app(public_app: PublicApp, headers: dict[str, str]) -> None:
    evil = Visitor(public_app.app.url, headers)
    for answer in (
        evil.http.get("/config"),
        evil.http.post("/gradio_api/call/v2/models", json={}),
        evil.upload("x.txt", b"x"),
        evil.http.post("/gradio_api/queue/join", content=b"{}", headers={"Content-Type": "text/plain"}),
    ):
        assert answer.status_code == 403
        assert "Another site's page" in answer.text


def test_the_apps_own_page_and_a_link_from_elsewhere_come_in(public_app: PublicApp) -> None:
    own = Visitor(public_app.app.url, {"Origin": public_app.app.url})
    assert own.api("models").ok
    behind_proxy = Visitor(public_app.app.url, {"Origin": "https://chat.example", "X-Forwarded-Host": "chat.example"})
    assert behind_proxy.api("models").ok
    link = Visitor(public_app.app.url, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert link.open_page().status_code == 200


def test_a_foreign_host_name_gets_421_at_home(home_app: Any) -> None:
    for name in ("evil.example", "evil.example:7860", "127.0.0.1.evil.example", "", "[::2]"):
        answer = Visitor(home_app.url, {"Host": name}).open_page()
        assert answer.status_code == 421, name
        assert "names of this machine only" in answer.text
    for name in (f"127.0.0.1:{home_app.port}", f"localhost:{home_app.port}", f"[::1]:{home_app.port}"):
        assert Visitor(home_app.url, {"Host": name}).open_page().status_code == 200, name
    chinese = Visitor(home_app.url, {"Host": "evil.example", "Accept-Language": "zh-CN"}).open_page()
    assert "只接受本机的名称" in chinese.text


def test_at_home_too_another_sites_page_can_not_use_the_app(home_app: Any) -> None:
    evil = Visitor(home_app.url, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})
    assert evil.http.post("/gradio_api/call/v2/models", json={}).status_code == 403
    assert evil.http.get("/gradio_api/file=https://example.org/").status_code == 403


def test_headers_of_the_page(stranger: Visitor) -> None:
    page = stranger.open_page()
    policy = page.headers["content-security-policy"]
    for rule in ("default-src 'self'", "object-src 'none'", "frame-ancestors 'self'", "connect-src 'self'"):
        assert rule in policy
    assert "http" not in policy
    for answer in (page, stranger.http.get("/config"), stranger.http.get("/nowhere")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"


def test_an_uploaded_page_is_not_shown_as_one(stranger: Visitor) -> None:
    given = stranger.uploaded("evil.html", b"<script>alert(1)</script>")
    answer = stranger.http.get(f"/gradio_api/file={given['path']}")
    assert "attachment" in answer.headers["content-disposition"]
    assert not re.match("text/html", answer.headers["content-type"])


def test_strangers_do_not_learn_where_things_lie(public_app: PublicApp, stranger: Visitor) -> None:
    said = stranger.open_page().text + stranger.http.get("/config").text
    assert public_app.app.key not in said
    assert Victim.secret not in said
    assert str(public_app.app.data_dir / "llmapp.db") not in said
