"""Whose things these are: one person, a browser, or a signed-in user; and who may manage the app.

Reads cookies, headers and the sign-in of a request. Knows no tab and keeps nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.requests import cookie_parser

from ..settings import ONE_PERSON, AppSettings

OWNER_COOKIE = "llmapp_owner"
OWNER_HEADER = "x-llmapp-owner"
KEY_COOKIE = "llmapp_key"
KEY_HEADER = "x-llmapp-key"
# What a browser may call itself: long enough not to be guessed, and nothing but letters, digits, - and _.
TOKEN = re.compile(r"[A-Za-z0-9_-]{22,128}")
# Gradio calls itself for MCP clients, with one session for all of them.
MCP_MARK = ("x-gradio-user", "mcp")


def new_token() -> str:
    """A name for a browser that nobody guesses (256 bits)."""
    return secrets.token_urlsafe(32)


def owner_of(settings: AppSettings, request: gr.Request | None) -> str:
    """Who asks, as an id. What a token proves is stored as its hash, so the database holds no keys."""
    if settings.owners == "one":
        return ONE_PERSON
    if settings.owners == "login" and (user := signed_in(request)):
        return f"user-{user['sub']}"
    for token in filter(TOKEN.fullmatch, _tokens(request, OWNER_COOKIE, OWNER_HEADER)):
        return f"browser-{hashlib.sha256(token.encode()).hexdigest()[:32]}"
    # A caller that names itself by nothing owns what it makes for as long as its session lives.
    return f"session-{session_of(request)}"


def session_of(request: gr.Request | None) -> str:
    """The session of a page or a client; a new name for who has none of its own."""
    shared = request is None or request.headers.get(MCP_MARK[0]) == MCP_MARK[1]
    return str((not shared and request and request.session_hash) or secrets.token_hex(16))


def address_of(settings: AppSettings, request: gr.Request | None) -> str:
    """Where a request comes from. On a Space that is what its proxy saw, which it adds last."""
    if request is None:
        return ""
    seen = str(request.headers.get("x-forwarded-for", "")).rsplit(",", 1)[-1].strip() if settings.on_space else ""
    return seen or (request.client.host if request.client else "")


def signed_in(request: gr.Request | None) -> Mapping[str, Any] | None:
    """The user a Space's sign-in vouches for, or None."""
    raw = getattr(request, "request", None)
    session = raw.scope.get("session", {}) if raw is not None else {}
    info = session.get("oauth_info") or {}
    user = info.get("userinfo")
    if info.get("expires_at", 0) < time.time():
        return None
    return user if user and user.get("sub") else None


def may_manage(settings: AppSettings, key: str, request: gr.Request | None) -> bool:
    """True for the manager, or anyone if told so."""
    return settings.strangers_manage or is_manager(settings, key, request)


def is_manager(settings: AppSettings, key: str, request: gr.Request | None) -> bool:
    """True for the person at the keyboard, the Space's author and whoever holds the key."""
    if settings.private:
        return True
    if settings.owners == "login":
        user = signed_in(request)
        if user and settings.space_author and user.get("preferred_username") == settings.space_author:
            return True
    given = _tokens(request, KEY_COOKIE, KEY_HEADER)
    return any(secrets.compare_digest(token.encode(), key.encode()) for token in given)


def manager_key(data_dir: Path) -> str:
    """The secret that makes a browser the manager's; made once, readable by this account only."""
    file = data_dir / "manager.key"
    with suppress(FileNotFoundError):
        if TOKEN.fullmatch(key := file.read_text(encoding="ascii", errors="replace").strip()):
            return key
    data_dir.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(".new")
    aside.unlink(missing_ok=True)
    # Written aside and renamed: a key that a crash left empty would open the app to everybody.
    aside.touch(mode=0o600)
    aside.write_text(new_token(), encoding="ascii")
    aside.replace(file)
    return file.read_text(encoding="ascii")


def _tokens(request: gr.Request | None, cookie: str, header: str) -> tuple[str, str]:
    """What the browser's cookie says and what the header says."""
    headers = request.headers if request else {}
    return cookie_parser(str(headers.get("cookie", ""))).get(cookie, ""), str(headers.get(header, ""))
