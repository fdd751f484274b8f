"""One file from a URL: resumed, retried, checked, stopped. Against a real server that misbehaves."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmapp.backend import download
from llmapp.backend.disk import check_room, disk_errors
from llmapp.backend.download import Denied, Downloader, open_client
from llmapp.backend.part import Cut, Damaged, Head, Part, Remote
from llmapp.backend.progress import Meter, Progress
from llmapp.errors import SourceError
from tests.file_server import Fault, FileServer, Handler

CONTENT = os.urandom(600_000)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class OneFile(FileServer):
    """Serves CONTENT at /file, and redirects /moved to it on another port."""

    def answer(self, handler: Handler) -> None:
        if handler.path == "/file":
            handler.send_bytes(CONTENT, "file")
        elif handler.path == "/moved":
            handler.send_plain(302, Location=f"http://127.0.0.1:{self.other}/file")
        else:
            handler.send_plain(404)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.other = self.listen()


@pytest.fixture
def server() -> Iterator[OneFile]:
    with OneFile() as running:
        yield running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "BACKOFF_S", 0.01)


def remote(server: OneFile, path: str = "/file", **changes: object) -> Remote:
    return Remote(**{"url": server.url + path, "name": "file", "size": len(CONTENT), "digest": SHA256} | changes)


def fetch(what: Remote, target: Path, cancel: threading.Event | None = None) -> list[Progress]:
    seen: list[Progress] = []
    meter = Meter(seen.append)
    meter.begin("downloading", {what.name: what.size or 0})
    with open_client() as client:
        Downloader(client, meter, cancel or threading.Event()).fetch(what, target)
    meter.begin("checking")
    return seen


def test_a_file_arrives_whole_and_nothing_is_left_beside_it(server: OneFile, tmp_path: Path) -> None:
    seen = fetch(remote(server), tmp_path / "a" / "file")
    assert (tmp_path / "a" / "file").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]
    assert seen[0] == Progress("downloading", 0, len(CONTENT))


def test_a_cut_download_goes_on_where_it_was_cut(server: OneFile, tmp_path: Path) -> None:
    server.faults["file"] = [Fault("cut", after=100_000), Fault("cut", after=200_000)]
    fetch(remote(server), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    first, second, third = server.gets("/file")
    assert "Range" not in first.headers
    assert second.headers["Range"] == "bytes=100000-"
    assert third.headers["Range"] == "bytes=300000-"
    assert second.headers["If-Range"].startswith('"')
    assert first.sent + second.sent + third.sent == len(CONTENT)


def test_a_later_fetch_goes_on_with_what_an_earlier_one_left(server: OneFile, tmp_path: Path) -> None:
    server.faults["file"] = [Fault("cut", after=90_000)] + [Fault("status")] * 9
    with pytest.raises(SourceError, match="cut several times") as caught:
        fetch(remote(server), tmp_path / "file")
    assert caught.value.code == "source_cut"
    assert (tmp_path / "file.part").stat().st_size == 90_000
    server.faults.clear()
    seen = fetch(remote(server), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.gets("/file")[-1].sent == len(CONTENT) - 90_000
    assert all(look.done >= 90_000 for look in seen[1:-1])


def test_tries_are_bounded(server: OneFile, tmp_path: Path) -> None:
    server.faults["file"] = [Fault("status")] * 50
    with pytest.raises(SourceError, match="HTTP 503"):
        fetch(remote(server), tmp_path / "file")
    assert len(server.gets("/file")) == download.ATTEMPTS


def test_a_server_without_ranges_starts_over(server: OneFile, tmp_path: Path) -> None:
    server.faults["file"] = [Fault("cut", after=100_000), Fault("no_range")]
    fetch(remote(server), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.gets("/file")[-1].sent == len(CONTENT)


def test_content_that_changed_meanwhile_is_not_mixed(server: OneFile, tmp_path: Path) -> None:
    unknown = remote(server, size=None, digest="")
    (tmp_path / "file.part").write_bytes(b"old" * 1000)
    facts = {"etag": '"old"', "digest": "", "url": unknown.url, "total": len(CONTENT)}
    (tmp_path / "file.part.json").write_text(json.dumps(facts))
    fetch(unknown, tmp_path / "file")
    assert server.gets("/file")[0].headers["If-Range"] == '"old"'
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_part_of_something_else_is_thrown_away(server: OneFile, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(b"x" * 1000)
    fetch(remote(server), tmp_path / "file")
    assert "Range" not in server.gets("/file")[0].headers
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_one_wrong_byte_is_found_and_fetched_again(server: OneFile, tmp_path: Path) -> None:
    server.faults["file"] = [Fault("corrupt", after=300_000)]
    fetch(remote(server), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_wrong_bytes_twice_are_an_error_and_leave_nothing(server: OneFile, tmp_path: Path) -> None:
    server.faults["file"] = [Fault("corrupt", after=1), Fault("corrupt", after=2)]
    with pytest.raises(SourceError, match="`file` arrived damaged"):
        fetch(remote(server), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_another_size_than_expected_is_damage(server: OneFile, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="damaged"):
        fetch(remote(server, size=len(CONTENT) - 1), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_git_blob_is_checked_by_its_sha1(server: OneFile, tmp_path: Path) -> None:
    blob = hashlib.sha1(f"blob {len(CONTENT)}\0".encode() + CONTENT).hexdigest()
    fetch(remote(server, digest=f"git:{blob}"), tmp_path / "file")
    with pytest.raises(SourceError, match="damaged"):
        fetch(remote(server, digest=f"git:{blob[::-1]}"), tmp_path / "other")


def test_a_stall_is_reported_then_given_up(server: OneFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "STALL_LIMIT_S", 2.0)
    server.faults["file"] = [Fault("stall", after=100_000)]
    seen: list[Progress] = []
    meter = Meter(seen.append)
    meter.begin("downloading", {"file": len(CONTENT)})
    with open_client() as client, pytest.raises(SourceError, match="stood still for 2 s") as caught:
        Downloader(client, meter, threading.Event()).fetch(remote(server), tmp_path / "file")
    assert caught.value.code == "source_stalled"
    assert max(look.stalled_s for look in seen) > 1.5
    assert (tmp_path / "file.part").stat().st_size == 100_000


def test_a_stalled_connection_is_replaced(server: OneFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "READ_S", 1.0)
    server.faults["file"] = [Fault("stall", after=100_000)]
    fetch(remote(server), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_stop_works_within_a_second_even_in_a_stall(server: OneFile, tmp_path: Path) -> None:
    server.faults["file"] = [Fault("stall", after=100_000)]
    cancel, stopped = threading.Event(), []

    def stop() -> None:
        time.sleep(0.7)
        stopped.append(time.monotonic())
        cancel.set()

    threading.Thread(target=stop).start()
    with pytest.raises(SourceError, match="was stopped"):
        fetch(remote(server), tmp_path / "file", cancel)
    assert time.monotonic() - stopped[0] < 1.0
    assert (tmp_path / "file.part").stat().st_size == 100_000


def test_a_final_no_is_not_tried_again(server: OneFile, tmp_path: Path) -> None:
    with pytest.raises(Denied) as caught:
        fetch(remote(server, "/nothing"), tmp_path / "file")
    assert caught.value.status == 404
    assert len(server.seen) == 1


def test_a_log_in_does_not_follow_a_redirect_to_another_host(server: OneFile, tmp_path: Path) -> None:
    fetch(remote(server, "/moved", headers={"Authorization": "Bearer secret"}), tmp_path / "file")
    asked, stored = server.seen
    assert asked.headers["Authorization"] == "Bearer secret"
    assert stored.port == server.other
    assert "secret" not in json.dumps(stored.headers)


def test_a_file_url_works_and_resumes(tmp_path: Path) -> None:
    there = tmp_path / "a wheel.whl"
    there.write_bytes(CONTENT)
    (tmp_path / "b.part").write_bytes(CONTENT[:1000])
    facts = {"etag": f'"{there.stat().st_mtime_ns}"', "digest": SHA256, "url": there.as_uri()}
    (tmp_path / "b.part.json").write_text(json.dumps(facts))
    fetch(Remote(there.as_uri(), "b", None, SHA256), tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == CONTENT


def test_a_disk_without_room_is_said_with_numbers(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        check_room("Giant", tmp_path, 10**18)
    assert "`Giant` needs 1000000000.1 GB of disk" in str(caught.value)
    assert str(tmp_path) in caught.value.text("zh")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' /dev/full, a disk that is always full")
def test_a_disk_that_fills_up_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="The disk is full"), disk_errors("file", tmp_path):
        Path("/dev/full").write_bytes(b"x")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 2000), max_size=6), honest=st.booleans())
def test_any_cuts_make_the_same_file(tmp_path: Path, cuts: list[int], honest: bool) -> None:
    """Whatever the pieces, and whether or not the server honours ranges, the file is whole or not there."""
    content = CONTENT[:2000]
    what = Remote("http://x/f", "f", 2000, f"sha256:{hashlib.sha256(content).hexdigest()}")
    for cut in [*cuts, 2000]:
        part = Part(tmp_path / "f", what)
        start = part.size if honest else 0
        part.start(Head(start, 2000, '"e"'))
        part.write(content[start : max(start, cut)])
        try:
            part.end()
            part.publish()
        except Cut:
            assert not (tmp_path / "f").exists()
        finally:
            part.close()
        if (tmp_path / "f").exists():
            break
    assert (tmp_path / "f").read_bytes() == content
    (tmp_path / "f").unlink()


def test_more_bytes_than_promised_are_damage(tmp_path: Path) -> None:
    part = Part(tmp_path / "f", Remote("http://x/f", "f", 10))
    part.start(Head(0, 10, ""))
    with pytest.raises(Damaged):
        part.write(b"x" * 11)
    part.close()
