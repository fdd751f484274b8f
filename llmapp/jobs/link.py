"""A private link to one job: who has it sees how the job goes and may stop it, on any device, without an account.

Only the hash of its secret is kept, so the link can be shown once, when it is made; a new one, or none, ends the old.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path

from .job import JobFolder, write_json

LINK = "link.json"


def make_link(job: JobFolder) -> str:
    """A new secret (256 bits) that opens this job; the one before opens it no longer."""
    secret = secrets.token_urlsafe(32)
    write_json(_place(job), {"sha256": _hash(secret)})
    return secret


def withdraw_link(job: JobFolder) -> None:
    """No secret opens this job any more."""
    _place(job).unlink(missing_ok=True)


def has_link(job: JobFolder) -> bool:
    """True while there is a secret that opens it."""
    return _place(job).exists()


def opens(job: JobFolder, secret: str) -> bool:
    """True for the secret that was made last and not withdrawn."""
    try:
        kept = str(json.loads(_place(job).read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return secrets.compare_digest(kept, _hash(secret))


def _place(job: JobFolder) -> Path:
    return job.path / LINK


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
