"""Whose things these are: one person, a browser, or a signed-in user; and who may manage the app.

Reads cookies, headers and the sign-in of a request. Knows no tab and keeps nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import gradio as gr

from ..settings import AppSettings

OWNER_COOKIE = "llmapp_owner"
OWNER_HEADER = "x-llmapp-owner"
KEY_COOKIE = "llmapp_key"
KEY_HEADER = "x-llmapp-key"
# What a browser may call itself: long enough not to be guessed, and nothing but letters, digits, - and _.
TOKEN = re.compile(r"[A-Za-z0-9_-]{22,128}")
ONE_PERSON = "me"


def new_token() -> str:
    """A name for a browser that nobody guesses (256 bits)."""
    return secrets.token_urlsafe(32)


def owner_of(settings: AppSettings, request: gr.Request | None) -> str:
    """Who asks, as an id. What a token proves is stored as its hash, so the database holds no keys."""
    if settings.owners == "one":
        return ONE_PERSON
    if settings.owners == "login" and (user := signed_in(request)):
        return f"user-{user['sub']}"
    token = _token(request, OWNER_COOKIE, OWNER_HEADER)
    if TOKEN.fullmatch(token):
        return f"browser-{hashlib.sha256(token.encode()).hexdigest()[:32]}"
    # A caller that names itself by nothing owns what it makes for as long as its session lives.
    return f"session-{request.session_hash if request and request.session_hash else secrets.token_hex(16)}"


def signed_in(request: gr.Request | None) -> Mapping[str, Any] | None:
    """The user a Space's sign-in vouches for, or None."""
    raw = getattr(request, "request", None)
    session = raw.scope.get("session", {}) if raw is not None else {}
    info = session.get("oauth_info") or {}
    user = info.get("userinfo")
    return user if user and user.get("sub") else None


def may_manage(settings: AppSettings, key: str, request: gr.Request | None) -> bool:
    """True for the person at the keyboard, the Space's author, whoever holds the key, or anyone if told so."""
    if settings.private or settings.strangers_manage:
        return True
    if settings.owners == "login":
        user = signed_in(request)
        if user and settings.space_author and user.get("preferred_username") == settings.space_author:
            return True
    return secrets.compare_digest(_token(request, KEY_COOKIE, KEY_HEADER).encode(), key.encode())


def manager_key(data_dir: Path) -> str:
    """The secret that makes a browser the manager's; made once, readable by this account only."""
    file = data_dir / "manager.key"
    if not file.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(new_token(), encoding="ascii")
    return file.read_text(encoding="ascii").strip()


def _token(request: gr.Request | None, cookie: str, header: str) -> str:
    headers = request.headers if request else None
    if not headers:
        return ""
    held = SimpleCookie(headers.get("cookie", "")).get(cookie)
    return held.value if held else str(headers.get(header, ""))
