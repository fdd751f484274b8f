"""Whose things these are: one person at home, each browser on a network, each signed-in user on a Space."""

from __future__ import annotations

import hashlib
import json
import os
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from itsdangerous import TimestampSigner
from starlette.requests import Request

from llmapp.errors import BadInput
from llmapp.settings import AppSettings, read_settings
from llmapp.ui.launch import manager_link
from llmapp.ui.owners import manager_key, may_manage, new_token, owner_of

from ..running_app import App
from .conftest import SPACE, PublicApp
from .visitor import Visitor, event_of

TOKEN = "t" * 43
OTHER = "o" * 43


def asked(session: dict[str, Any] | None = None, hashed: str | None = None, **headers: str) -> gr.Request:
    """A request as Gradio hands it to handlers."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "headers": raw, "client": ("203.0.113.5", 1)}
    if session is not None:
        scope["session"] = session
    return gr.Request(Request(scope), session_hash=hashed)


def signed_in_as(name: str, hours: float = 1) -> dict[str, Any]:
    user = {"sub": f"id-of-{name}", "preferred_username": name, "name": name, "profile": "", "picture": ""}
    return {"oauth_info": {"userinfo": user, "access_token": "x", "expires_at": time.time() + 3600 * hours}}


def space(**changes: str) -> AppSettings:
    return read_settings([], {**SPACE, **changes})


BROWSER = read_settings(["--host", "0.0.0.0"], {})


# ---- which owners ----


def test_who_things_belong_to_by_default() -> None:
    assert read_settings([], {}).owners == "one"
    assert read_settings(["--host", "localhost"], {}).owners == "one"
    assert BROWSER.owners == "browser"
    assert space().owners == "login"
    assert space(OAUTH_CLIENT_ID="").owners == "browser"


@pytest.mark.parametrize("missing", ["SYSTEM", "SPACE_ID", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET"])
def test_sign_in_is_trusted_on_a_space_only(missing: str) -> None:
    """Elsewhere Gradio plays a sign-in, and signs its cookie with what everybody knows."""
    assert not space(**{missing: ""}).can_sign_in
    with pytest.raises(BadInput, match="Sign-in works on a Hugging Face Space"):
        read_settings(["--owners", "login"], {**SPACE, missing: ""})


def test_a_space_binds_what_spaces_expect() -> None:
    settings = read_settings([], {name: value for name, value in SPACE.items() if name != "GRADIO_SERVER_NAME"})
    assert (settings.host, settings.port, settings.browser) == ("0.0.0.0", 7860, False)
    assert not settings.private
    assert not space().private


def test_the_owners_link_names_the_address_people_use() -> None:
    assert manager_link(BROWSER, "k") == "http://127.0.0.1:7860/?key=k"
    assert manager_link(read_settings(["--host", "192.0.2.7", "--port", "80"], {}), "k") == "http://192.0.2.7:80/?key=k"
    assert manager_link(space(), "k") == "https://alice-app.hf.space/?key=k"


# ---- owner_of ----


def test_one_person_is_whoever_asks() -> None:
    one = read_settings([], {})
    assert owner_of(one, None) == owner_of(one, asked(x_llmapp_owner=TOKEN)) == "me"


def test_a_cookie_or_a_header_names_a_browser() -> None:
    by_cookie = owner_of(BROWSER, asked(cookie=f"a=b; llmapp_owner={TOKEN}"))
    assert by_cookie == owner_of(BROWSER, asked(x_llmapp_owner=TOKEN))
    assert by_cookie != owner_of(BROWSER, asked(x_llmapp_owner=OTHER))
    assert TOKEN not in by_cookie
    assert by_cookie == f"browser-{hashlib.sha256(TOKEN.encode()).hexdigest()[:32]}"


@pytest.mark.parametrize("cookie", ["a/b=c", "llmapp_owner", "=", ";;;", 'x="', "expires=1; path", "a=b; a/b=c; é=ü"])
def test_another_apps_strange_cookies_do_no_harm(cookie: str) -> None:
    """Cookies of all programs on 127.0.0.1 are sent to each of them."""
    assert owner_of(BROWSER, asked(cookie=cookie, x_llmapp_owner=TOKEN)).startswith("browser-")
    assert owner_of(BROWSER, asked(cookie=f"{cookie}; llmapp_owner={TOKEN}")).startswith("browser-")
    assert not may_manage(BROWSER, "k" * 43, asked(cookie=cookie))


@pytest.mark.parametrize("token", ["", "short", "me", "../" * 10, "a" * 200, "a b" * 10, "user-1" + "'" * 20])
def test_a_name_that_could_be_guessed_is_none(token: str) -> None:
    assert owner_of(BROWSER, asked(x_llmapp_owner=token, hashed="abc")) == "session-abc"


def test_without_a_name_things_belong_to_the_session_or_to_nobody() -> None:
    assert owner_of(BROWSER, asked(hashed="abc")) == "session-abc"
    assert owner_of(BROWSER, asked()) != owner_of(BROWSER, asked())
    assert owner_of(BROWSER, None) != owner_of(BROWSER, None)
    # Gradio serves all MCP clients with one session of its own.
    shared = [owner_of(BROWSER, asked(hashed="abc", x_gradio_user="mcp")) for _ in range(2)]
    assert shared[0] != shared[1]


def test_a_signed_in_user_has_the_same_things_in_every_browser() -> None:
    settings = space()
    at_work = owner_of(settings, asked(signed_in_as("bob"), cookie=f"llmapp_owner={TOKEN}"))
    assert at_work == owner_of(settings, asked(signed_in_as("bob"), cookie=f"llmapp_owner={OTHER}")) == "user-id-of-bob"
    assert owner_of(settings, asked({}, cookie=f"llmapp_owner={TOKEN}")).startswith("browser-")
    assert owner_of(settings, asked(signed_in_as("bob", hours=-1), hashed="abc")) == "session-abc"
    assert owner_of(BROWSER, asked(signed_in_as("bob"), hashed="abc")) == "session-abc"


def test_who_may_manage() -> None:
    key = new_token()
    settings = space()
    assert may_manage(settings, key, asked(signed_in_as("alice")))
    assert not may_manage(settings, key, asked(signed_in_as("bob")))
    assert not may_manage(settings, key, asked(signed_in_as("alice", hours=-1)))
    assert not may_manage(space(SPACE_AUTHOR_NAME=""), key, asked(signed_in_as("")))
    assert may_manage(settings, key, asked(x_llmapp_key=key))
    assert not may_manage(settings, key, None)
    assert may_manage(read_settings([], {}), key, None)


def test_the_managers_key_is_made_once_and_never_empty(tmp_path: Path) -> None:
    key = manager_key(tmp_path)
    assert manager_key(tmp_path) == key
    assert (tmp_path / "manager.key").stat().st_mode & 0o077 == 0
    for torn in ("", "\n", "short", "\x00" * 43):
        (tmp_path / "manager.key").write_text(torn)
        mended = manager_key(tmp_path)
        assert len(mended) >= 43
        assert manager_key(tmp_path) == mended != key
    assert [path.name for path in tmp_path.iterdir()] == ["manager.key"]


# ---- in the running app ----


def titles(visitor: Visitor) -> str:
    config = visitor.config()
    index = next(event["id"] for event in config["dependencies"] if event["api_name"] == "opened")
    return visitor.run(index, []).everything


def bring_in(visitor: Visitor, text: str) -> None:
    index, _ = event_of(visitor.config(), "import", "upload")
    given = visitor.uploaded("talk.json", json.dumps([{"role": "user", "content": text}]).encode())
    assert visitor.run(index, [given]).ok


def test_two_browsers_do_not_see_each_others_conversations(public_app: PublicApp) -> None:
    one, two = public_app.stranger(), public_app.stranger()
    bring_in(one, "what only the first browser said")
    assert "what only the first" in titles(one)
    assert "what only the first" not in titles(two)
    assert "what only the first" not in titles(Visitor(public_app.app.url))


def test_the_same_name_by_cookie_and_by_header_is_the_same_owner(public_app: PublicApp) -> None:
    browser = public_app.stranger()
    bring_in(browser, "said in the browser")
    script = public_app.caller(browser.http.cookies["llmapp_owner"])
    assert "said in the browser" in titles(script)


def test_a_browser_is_named_once_by_a_cookie_that_scripts_can_not_read(public_app: PublicApp) -> None:
    visitor = Visitor(public_app.app.url)
    first = visitor.open_page().headers.get_list("set-cookie")
    (named,) = [cookie for cookie in first if cookie.startswith("llmapp_owner=")]
    assert "HttpOnly" in named
    assert "SameSite=Lax" in named
    assert len(visitor.http.cookies["llmapp_owner"]) >= 43
    assert not [c for c in visitor.open_page().headers.get_list("set-cookie") if c.startswith("llmapp_owner=")]
    assert Visitor(public_app.app.url).open_page().headers["set-cookie"] != named


def test_at_home_both_browsers_are_the_same_person(home_app: App) -> None:
    one, two = Visitor(home_app.url), Visitor(home_app.url)
    assert "set-cookie" not in one.open_page().headers
    bring_in(one, "said at home")
    assert "said at home" in titles(two)


def session_cookie(session: dict[str, Any], secret: str = SPACE["OAUTH_CLIENT_SECRET"]) -> str:
    """The cookie that Gradio's sign-in sets, which only who knows the secret can make."""
    signer = TimestampSigner(hashlib.sha256(f"{secret}-v4".encode()).hexdigest())
    return signer.sign(b64encode(json.dumps(session).encode())).decode()


def signed_in(app: App, session: dict[str, Any], **secret: str) -> Visitor:
    return Visitor(app.url, {"Cookie": f"session={session_cookie(session, **secret)}"})


def test_a_space_starts_without_the_network_and_offers_sign_in(space_app: App) -> None:
    page = Visitor(space_app.url).open_page()
    assert page.status_code == 200
    assert "https://alice-app.hf.space/?key=" in space_app.log
    cookie = page.headers["set-cookie"]
    for part in ("SameSite=None", "Secure", "Partitioned", "HttpOnly"):
        assert part in cookie
    assert "frame-ancestors 'self' https://huggingface.co https://*.hf.space" in page.headers["content-security-policy"]
    said = [str(part["props"].get("value")) for part in Visitor(space_app.url).config()["components"]]
    assert "Sign in with Hugging Face" in said
    # The address is there; who signs people in can not be asked here.
    assert Visitor(space_app.url).http.get("/login/huggingface").status_code != 404


def test_on_a_space_its_author_manages(space_app: App) -> None:
    alice, bob = signed_in(space_app, signed_in_as("alice")), signed_in(space_app, signed_in_as("bob"))
    assert alice.api("unload", model="smollm2-135m-instruct").ok
    for other in (bob, Visitor(space_app.url), signed_in(space_app, signed_in_as("alice", hours=-1))):
        assert "are for the owner" in other.api("unload", model="smollm2-135m-instruct").said


def test_what_went_wrong_on_the_machine_is_for_its_owner(space_app: App) -> None:
    def told(visitor: Visitor) -> str:
        index = next(e["id"] for e in visitor.config()["dependencies"] if e["api_name"] == "_opened")
        return visitor.run(index, []).everything

    assert str(space_app.data_dir) in told(signed_in(space_app, signed_in_as("alice")))
    assert str(space_app.data_dir) not in told(signed_in(space_app, signed_in_as("bob")))


def test_on_a_space_things_follow_the_user(space_app: App) -> None:
    bring_in(signed_in(space_app, signed_in_as("bob")), "said by bob")
    assert "said by bob" in titles(signed_in(space_app, signed_in_as("bob")))
    assert "said by bob" not in titles(signed_in(space_app, signed_in_as("carol")))
    assert "said by bob" not in titles(Visitor(space_app.url))


@pytest.mark.parametrize("secret", ["", "guess"])
def test_a_forged_sign_in_is_none(space_app: App, secret: str) -> None:
    forged = signed_in(space_app, signed_in_as("alice"), secret=secret)
    assert "are for the owner" in forged.api("unload", model="smollm2-135m-instruct").said


def test_what_a_space_needs_is_pinned() -> None:
    """Gradio imports these for its LoginButton only, so they are easily forgotten."""
    pins = (Path(__file__).parents[2] / "requirements.txt").read_text()
    assert "\nAuthlib==" in pins
    assert "\nitsdangerous==" in pins
    assert os.environ.get("SPACE_ID") is None
