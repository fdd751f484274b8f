"""A private link opens one job to who has it, and nothing else; it can be withdrawn, and its secret is not kept."""

from __future__ import annotations

import pytest

from llmapp.errors import NotFound
from llmapp.jobs.supervisor import Supervisor

from .conftest import folder_of


def test_who_has_the_link_reaches_this_job_and_no_other(supervisor: Supervisor) -> None:
    job, other = (supervisor.start("count", "ada", {"steps": 1}) for _ in range(2))
    assert not supervisor.shared(job, "ada")
    secret = supervisor.share(job, "ada")
    assert supervisor.shared(job, "ada")
    assert supervisor.owner_by_link(job, secret) == "ada"
    for wrong_job, wrong_secret in ((other, secret), (job, ""), (job, secret[:-1]), ("../../etc", secret), ("", "")):
        with pytest.raises(NotFound):
            supervisor.owner_by_link(wrong_job, wrong_secret)


def test_nobody_shares_anothers_job(supervisor: Supervisor) -> None:
    job = supervisor.start("count", "ada", {"steps": 1})
    for act in (supervisor.share, supervisor.unshare, supervisor.shared):
        with pytest.raises(NotFound):
            act(job, "bob")


def test_a_new_link_and_a_withdrawal_end_the_old_one(supervisor: Supervisor) -> None:
    job = supervisor.start("count", "ada", {"steps": 1})
    old, new = supervisor.share(job, "ada"), supervisor.share(job, "ada")
    with pytest.raises(NotFound):
        supervisor.owner_by_link(job, old)
    assert supervisor.owner_by_link(job, new) == "ada"
    supervisor.unshare(job, "ada")
    assert not supervisor.shared(job, "ada")
    with pytest.raises(NotFound):
        supervisor.owner_by_link(job, new)


def test_the_secret_is_nowhere_on_the_disk(supervisor: Supervisor) -> None:
    job = supervisor.start("count", "ada", {"steps": 1})
    secret = supervisor.share(job, "ada")
    folder = folder_of(supervisor, job).path
    assert all(secret.encode() not in file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sha256": 3}', "{}"])
def test_a_damaged_link_opens_nothing(supervisor: Supervisor, content: str) -> None:
    job = supervisor.start("count", "ada", {"steps": 1})
    secret = supervisor.share(job, "ada")
    (folder_of(supervisor, job).path / "link.json").write_text(content)
    with pytest.raises(NotFound):
        supervisor.owner_by_link(job, secret)
