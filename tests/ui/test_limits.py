"""How often and how much: what strangers are told when it is too much, and that nobody is at home."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from llmapp.catalog import Catalog
from llmapp.conversations import Conversations, Entry
from llmapp.errors import Busy, TooLong
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import read_settings
from llmapp.store import Store
from llmapp.ui.limits import MB, Guard, Window

from ..running_app import App
from .conftest import PublicApp
from .test_security import message_to
from .visitor import Visitor, event_of

KEY = "k" * 43


def asked(owner: str = "", address: str = "203.0.113.5", **headers: str) -> gr.Request:
    """A request as Gradio hands it to handlers."""
    named = {"x-llmapp-owner": owner, **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    return gr.Request(Request({"type": "http", "headers": raw, "client": (address, 1)}))


def somebody(number: int) -> str:
    return f"{number:030d}"


@pytest.fixture
def guard_with(tmp_path: Path) -> Callable[..., Guard]:
    """`guard_with("--max-requests", "3")`: a guard over an empty data folder, of an app that strangers reach."""

    def made(*arguments: str, host: str = "0.0.0.0", command: tuple[str, ...] = ("false",)) -> Guard:
        settings = read_settings(["--data-dir", str(tmp_path), "--host", host, *arguments], {})
        catalog = Catalog({}, (tmp_path / "adapters",))
        supervisor = Supervisor(tmp_path / "jobs", settings, command=command)
        return Guard(settings, Store(tmp_path / "llmapp.db"), catalog, supervisor, KEY)

    return made


def test_a_window_forgets_and_says_how_long_to_wait() -> None:
    window = Window(0.3)
    assert [window.spend("a", 2) for _ in range(2)] == [None, None]
    wait = window.spend("a", 2)
    assert wait is not None
    assert 0 < wait <= 0.3
    assert window.spend("b", 2) is None
    time.sleep(wait + 0.05)
    assert window.spend("a", 2) is None


def test_what_is_refused_is_not_spent() -> None:
    window = Window(60)
    assert window.spend("a", 10, 8) is None
    assert window.spend("a", 10, 5) is not None
    assert window.spend("a", 10, 2) is None
    assert window.spend("nobody", 10, 11) == 60


def test_a_window_counts_right_from_many_threads() -> None:
    window, allowed = Window(60), []

    def spend() -> None:
        allowed.extend(window.spend("a", 100) is None for _ in range(50))

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 100


def test_requests_are_counted_by_owner(guard_with: Callable[..., Guard]) -> None:
    guard = guard_with("--max-requests", "3")
    for _ in range(3):
        guard.request(asked(somebody(1)))
    with pytest.raises(Busy, match=r"3 requests a minute are allowed here\. Try again in [56]") as refused:
        guard.request(asked(somebody(1)))
    assert "每分钟最多 3 次" in refused.value.text("zh")
    guard.request(asked(somebody(2)))


def test_a_new_name_for_each_request_does_not_help(guard_with: Callable[..., Guard]) -> None:
    guard = guard_with("--max-requests", "3")
    for number in range(15):
        guard.request(asked(somebody(number)))
    with pytest.raises(Busy):
        guard.request(asked(somebody(99)))
    with pytest.raises(Busy):
        guard.request(asked(somebody(99), x_forwarded_for="198.51.100.7"))
    guard.request(asked(somebody(99), address="198.51.100.7"))


def test_on_a_space_the_address_is_what_its_proxy_saw(tmp_path: Path) -> None:
    space = {"SPACE_ID": "me/app", "SYSTEM": "spaces", "LLMAPP_MAX_REQUESTS": "1", "LLMAPP_DATA_DIR": str(tmp_path)}
    settings = read_settings([], space)
    supervisor = Supervisor(tmp_path / "jobs", settings)
    guard = Guard(settings, Store(tmp_path / "llmapp.db"), Catalog({}), supervisor, KEY)
    for number in range(5):
        guard.request(asked(somebody(number), x_forwarded_for=f"made-up-{number}, 198.51.100.7"))
    with pytest.raises(Busy):
        guard.request(asked(somebody(99), x_forwarded_for="made-up-99, 198.51.100.7"))
    guard.request(asked(somebody(99), x_forwarded_for="198.51.100.8"))


def test_nothing_is_counted_at_home(guard_with: Callable[..., Guard]) -> None:
    guard = guard_with("--max-requests", "1", "--max-chars", "1", "--max-disk-mb", "1", host="127.0.0.1")
    for _ in range(50):
        guard.request(asked())
        guard.event(asked())
        guard.transfer(asked(), MB)
    guard.characters("x" * 100)
    guard.size(asked(), MB)
    guard.manage(asked())


def test_characters(guard_with: Callable[..., Guard]) -> None:
    guard = guard_with("--max-chars", "5")
    guard.characters("五个字以内")
    with pytest.raises(TooLong, match="6 characters, but 5 are allowed"):
        guard.characters("123456")


def test_a_share_of_the_disk_is_conversations_jobs_and_adapters(
    guard_with: Callable[..., Guard], tmp_path: Path
) -> None:
    guard = guard_with("--max-disk-mb", "1")
    owner = "browser-test"
    assert guard.held(owner) == 0
    conversations = Conversations(Store(tmp_path / "llmapp.db"))
    kept = conversations.create(owner, "x")
    text = "é" * 50_000
    conversations.save(owner, kept.id, (Entry("user", text, meta={"attachments": [{"text": text}]}),), kept.version)
    with_conversation = guard.held(owner)
    assert 200_000 <= with_conversation < 201_000

    rows = tmp_path / "rows.csv"
    rows.write_bytes(b"x" * 100_000)
    supervisor = Supervisor(tmp_path / "jobs", read_settings([], {}), command=("false",))
    job = supervisor.start("finetune", owner, {}, {"rows.csv": rows})
    deadline = time.monotonic() + 30
    while supervisor.status(job, owner).state == "queued" and time.monotonic() < deadline:
        supervisor.dispatch()  # its worker ends at once: from then on nothing is written
    with_job = guard.held(owner)
    assert 100_000 <= with_job - with_conversation < 110_000

    folder = tmp_path / "adapters" / "a"
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"x" * 300_000)
    card = {"id": "a", "name": "a", "base": "b", "task": "sentiment", "owner": owner}
    (folder / "card.json").write_text(json.dumps(card))
    assert 300_000 <= guard.held(owner) - with_job < 300_500
    assert guard.held("browser-other") == 0


def test_a_full_share_is_said(guard_with: Callable[..., Guard]) -> None:
    guard = guard_with("--max-disk-mb", "2", "--max-upload-mb", "3")
    guard.size(asked(somebody(1)), 2 * MB)
    with pytest.raises(TooLong, match="You hold 0 MB here and 2 MB is allowed"):
        guard.size(asked(somebody(1)), 2 * MB + 1)
    with pytest.raises(TooLong, match=r"This file has 4.0 MB, but 3 MB is allowed"):
        guard.size(asked(somebody(1)), 4 * MB)


def test_uploads_are_counted_for_a_day(guard_with: Callable[..., Guard]) -> None:
    guard = guard_with("--max-disk-mb", "2")
    guard.transfer(asked(somebody(1)), 2 * MB)
    with pytest.raises(Busy, match=r"2 MB of files a day can be sent here.*in 2[45]\.\d hours"):
        guard.transfer(asked(somebody(1)), 1)


def test_the_manager_is_who_holds_the_key(guard_with: Callable[..., Guard]) -> None:
    from llmapp.errors import Refused

    guard = guard_with()
    guard.manage(asked(x_llmapp_key=KEY))
    guard.manage(asked(cookie=f"other/thing=1; llmapp_key={KEY}"))
    for wrong in ({}, {"x_llmapp_key": KEY[:-1]}, {"cookie": "llmapp_key="}, {"x_llmapp_key": "é"}):
        with pytest.raises(Refused):
            guard.manage(asked(**wrong))
    guard_with("--strangers-manage").manage(asked())


def test_keys_can_not_be_tried_one_after_the_other(guard_with: Callable[..., Guard]) -> None:
    guard = guard_with()
    assert [guard.opens(asked(), f"{n}") for n in range(10)] == [False] * 10
    with pytest.raises(Busy):
        guard.opens(asked(), "one more")
    assert guard.opens(asked(), KEY)
    assert not guard.opens(asked(address="198.51.100.7"), "x")


# ---- in the running app ----


def test_too_much_text_is_said(public_app: PublicApp) -> None:
    stranger = public_app.stranger()
    long = "word " * 500
    calls = {
        "chat": {"message": long},
        "summarize": {"text": long},
        "translate": {"text": long},
        "sentiment": {"text": long},
        "classify": {"text": "x", "labels": ["a" * 2000, "b"]},
        "explain": {"text": long},
        "detect_language": {"text": long},
        "summarize_file": {"file": stranger.uploaded("long.txt", long.encode())},
        "translate_file": {"file": stranger.uploaded("long.md", long.encode())},
        "sentiment_file": {"file": stranger.uploaded("long.csv", b"text\n" + long.encode())},
    }
    for name, arguments in calls.items():
        said = stranger.api(name, **arguments).said
        assert "characters, but 2,000 are allowed at once" in said, name
    history = [{"role": "user", "content": long}, {"role": "assistant", "content": "Yes."}]
    assert "2,000 are allowed" in stranger.api("chat", message="And?", history=history).said
    config = stranger.config()
    for tab in ("summarize", "translate", "sentiment"):
        index, inputs = event_of(config, f"{tab}-run", "click")
        assert "2,000 are allowed" in stranger.join(index, [long, *(p["props"].get("value") for p in inputs[1:])]).said
        index, _ = event_of(config, f"{tab}-file", "upload")
        assert "2,000 are allowed" in stranger.run(index, [stranger.uploaded("x.txt", long.encode())]).said
    index, inputs = event_of(config, "message", "submit")
    assert "2,000 are allowed" in stranger.join(index, message_to(inputs, "", text=long)).said


def test_too_many_requests_are_said(public_app: PublicApp) -> None:
    stranger = public_app.stranger()
    said = [stranger.api("detect_language", text="Good morning to you all") for _ in range(31)]
    assert [outcome.ok for outcome in said] == [True] * 30 + [False]
    assert said[-1].said.startswith("30 requests a minute are allowed here. Try again in ")
    assert public_app.stranger().api("detect_language", text="Good morning to you all").ok


def test_a_large_file_gets_413(public_app: PublicApp) -> None:
    stranger = public_app.stranger()
    assert stranger.upload("small.txt", b"x" * 800_000).status_code == 200
    assert stranger.upload("large.txt", b"x" * 1_100_000).status_code == 413


def test_more_files_than_a_share_are_refused(public_app: PublicApp) -> None:
    stranger = public_app.stranger()
    answers = [stranger.upload(f"{n}.txt", str(n).encode() + b"x" * 900_000) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "2 MB of files a day can be sent here" in answers[-1].json()["detail"]


def test_a_long_message_gets_413_before_it_is_read(public_app: PublicApp) -> None:
    stranger = public_app.stranger()
    answer = stranger.http.post("/gradio_api/call/v2/chat", json={"message": "x" * 1_100_000})
    assert answer.status_code == 413
    assert "1.1 MB" in answer.json()["detail"]
    unmeasured = stranger.http.post("/gradio_api/call/v2/chat", content=iter([b"{}"]))
    assert unmeasured.status_code == 411
    broken = stranger.http.post("/gradio_api/call/v2/chat", content=b"{" * 5000)
    assert broken.status_code == 400


def test_a_full_share_refuses_imports_and_messages(public_app: PublicApp) -> None:
    stranger = public_app.stranger()
    index, _ = event_of(stranger.config(), "import", "upload")

    def talk(size: int) -> dict[str, Any]:
        messages = [{"role": "user", "content": "x" * size}]
        return stranger.uploaded("talk.json", json.dumps({"messages": messages}).encode())

    talks = [talk(900_000), talk(198_900)]
    assert [stranger.run(index, [given]).said for given in (talks[0], *talks)] == ["", "", ""]
    assert "You hold 2 MB here and 2 MB is allowed" in stranger.run(index, talks[:1]).said
    index, inputs = event_of(stranger.config(), "message", "submit")
    said = stranger.join(index, message_to(inputs, "", text="y" * 1900)).said
    assert said == "You hold 2 MB here and 2 MB is allowed. Delete a conversation or a training first."


def test_what_is_taken_out_is_counted_and_written_over(public_app: PublicApp) -> None:
    stranger = public_app.stranger()
    config = stranger.config()
    bring, _ = event_of(config, "import", "upload")
    take, _ = event_of(config, "export-json", "click")
    talk = json.dumps([{"role": "user", "content": "x" * 500_000}]).encode()
    assert stranger.run(bring, [stranger.uploaded("talk.json", talk)]).ok
    taken = [stranger.run(take, [""]) for _ in range(4)]
    assert [outcome.ok for outcome in taken] == [True, True, False, False]
    assert "2 MB of files a day" in taken[-1].said
    exports = public_app.app.data_dir / "uploads" / "exports"
    assert len([path for path in exports.rglob("*") if path.stat().st_size > 400_000]) == 1


@pytest.mark.parametrize("link", ["/?key=wrong", "/?key="])
def test_a_wrong_link_opens_nothing(public_app: PublicApp, link: str) -> None:
    visitor = Visitor(public_app.app.url)
    answer = visitor.open_page(link)
    assert answer.status_code == (403 if "wrong" in link else 200)
    assert "llmapp_key" not in visitor.http.cookies
    assert "are for the owner" in visitor.api("unload", model="smollm2-135m-instruct").said


def test_the_owners_link_and_the_header_open_the_management(public_app: PublicApp) -> None:
    browser = Visitor(public_app.app.url)
    page = browser.open_page(f"/?key={public_app.app.key}")
    assert page.status_code == 200
    assert "key" not in str(page.url)
    cookies = [h for r in page.history for h in r.headers.get_list("set-cookie")]
    assert any("llmapp_key=" in c and "HttpOnly" in c and "SameSite=Lax" in c for c in cookies)
    config = browser.config()
    index, _ = event_of(config, "models-unload", "click")
    assert "was unloaded" in browser.run(index, ["smollm2-135m-instruct"]).everything
    script = public_app.caller(key=public_app.app.key)
    assert script.api("unload", model="smollm2-135m-instruct").data["state"] == "unloaded"


def test_the_key_is_readable_by_this_account_only(public_app: PublicApp) -> None:
    file = public_app.app.data_dir / "manager.key"
    assert file.read_text().strip() == public_app.app.key
    assert file.stat().st_mode & 0o077 == 0


def test_no_link_is_printed_at_home(home_app: App) -> None:
    assert "key=" not in home_app.log


def test_the_managers_document_may_be_a_book(public_app: PublicApp) -> None:
    manager = public_app.caller("b" * 30, key=public_app.app.key)
    begun = manager.api("summarize_file", file=manager.uploaded("book.txt", b"word " * 500))
    assert begun.ok, begun
    manager.api("job_stop", job_id=begun.data)


def test_a_stranger_has_one_job_at_a_time(public_app: PublicApp) -> None:
    stranger = public_app.stranger()
    table = stranger.uploaded("rows.csv", b"text\nA good film\nA bad film\n")
    first = stranger.api("sentiment_file", file=table)
    assert first.ok, first
    for name in ("sentiment_file", "summarize_file", "translate_file"):
        given = table if name == "sentiment_file" else stranger.uploaded("note.txt", b"A good film.")
        assert "You have work under way here" in stranger.api(name, file=given).said, name
    stranger.api("job_stop", job_id=first.data)
