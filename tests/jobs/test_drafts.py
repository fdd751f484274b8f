"""Drafts: what was begun comes back, each owner's own, and not for ever."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmapp.jobs.drafts import KEPT_DAYS, VALUES, Drafts


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(tmp_path / "drafts")


def given(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_what_was_begun_comes_back_with_its_file(drafts: Drafts, tmp_path: Path) -> None:
    assert drafts.read("ada", "finetune") is None
    drafts.keep("ada", "finetune", {"goal": "sort", "name": "邮件"})
    drafts.keep_file("ada", "finetune", given(tmp_path, "my mail.csv", "a,b\n"))
    found = Drafts(tmp_path / "drafts").read("ada", "finetune")
    assert found
    assert found.values == {"goal": "sort", "name": "邮件"}
    assert found.file
    assert (found.file.name, found.file.read_text(encoding="utf-8")) == ("my mail.csv", "a,b\n")
    assert drafts.read("ada", "summary") is None
    assert drafts.read("bob", "finetune") is None


def test_another_file_takes_the_place_of_the_first_and_none_of_both(drafts: Drafts, tmp_path: Path) -> None:
    drafts.keep("ada", "finetune", {})
    for name in ("one.csv", "two.csv"):
        drafts.keep_file("ada", "finetune", given(tmp_path, name, name))
    found = drafts.read("ada", "finetune")
    assert found
    assert found.file
    assert found.file.name == "two.csv"
    drafts.keep_file("ada", "finetune", None)
    assert drafts.read("ada", "finetune") == type(found)({}, None)


def test_a_torn_draft_is_none(drafts: Drafts, tmp_path: Path) -> None:
    drafts.keep("ada", "finetune", {"goal": "sort"})
    next((tmp_path / "drafts").rglob(VALUES)).write_text('{"goal": "so', encoding="utf-8")
    assert drafts.read("ada", "finetune") is None
    drafts.keep("ada", "finetune", {"goal": "answer"})
    assert drafts.read("ada", "finetune")


def test_one_and_all_can_be_forgotten(drafts: Drafts) -> None:
    for owner in ("ada", "bob"):
        for kind in ("finetune", "summary"):
            drafts.keep(owner, kind, {"x": 1})
    drafts.delete("ada", "finetune")
    assert drafts.read("ada", "finetune") is None
    assert drafts.read("ada", "summary")
    drafts.delete_all("ada")
    assert drafts.read("ada", "summary") is None
    assert drafts.read("bob", "summary")


def test_what_nobody_came_back_for_is_swept(drafts: Drafts, tmp_path: Path) -> None:
    drafts.keep("ada", "finetune", {"x": 1})
    long_ago = time.time() - 86_400 * (KEPT_DAYS + 1)
    os.utime(next((tmp_path / "drafts").rglob(VALUES)), (long_ago, long_ago))
    drafts.keep("bob", "finetune", {"x": 1})
    drafts.sweep()
    assert drafts.read("ada", "finetune") is None
    assert drafts.read("bob", "finetune")


@pytest.mark.parametrize("kind", ["", "..", "blind-x/../../..", "a/b", "a\\b"])
def test_a_kind_is_a_name_and_no_path(drafts: Drafts, kind: str) -> None:
    for ask in (drafts.delete, drafts.read):
        with pytest.raises(ValueError, match="no kind"):
            ask("ada", kind)
    with pytest.raises(ValueError, match="no kind"):
        drafts.keep("ada", kind, {})


def test_two_pages_that_keep_at_once_leave_one_of_both_whole(drafts: Drafts) -> None:
    pages = [{"page": page, "text": page * 10_000} for page in "ab"]
    with ThreadPoolExecutor(8) as threads:
        kept = [threads.submit(drafts.keep, "ada", "finetune", pages[i % 2]) for i in range(200)]
    assert [each.exception() for each in kept] == [None] * 200
    found = drafts.read("ada", "finetune")
    assert found
    assert found.values in pages
