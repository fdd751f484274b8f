"""LibreTranslate's API, used by clients that were written for it, on the running app; and its line by itself."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
import threading
import time
from typing import Any
from urllib.error import HTTPError

import httpx
import pytest
from libretranslate_aio import BadRequestError, LibreTranslate, RateLimitError, ServerError, Translation
from libretranslatepy import LibreTranslateAPI
from starlette.requests import ClientDisconnect, Request

from llmapp.errors import Busy
from llmapp.ui import libretranslate
from llmapp.ui.libretranslate import LINE, read_wish

from ..running_app import App
from .conftest import PublicApp, an_address

WAIT_S = 240
GERMAN = "Ich möchte wissen, wie das Wetter morgen in Berlin wird."


def client_of(app: App, **headers: str) -> LibreTranslate:
    return LibreTranslate(client=httpx.Client(base_url=app.url, timeout=WAIT_S, trust_env=False, headers=headers))


@pytest.fixture
def client(tiny_app: App) -> LibreTranslate:
    return client_of(tiny_app)


# ---- real clients ----


def test_languages_and_settings(client: LibreTranslate, tiny_app: App) -> None:
    languages = {each.code: each for each in client.languages()}
    assert languages["zh-Hans"].name == "Chinese"
    assert set(languages) == {"en", "de", "zh-Hans"}
    assert languages["en"].targets == ["de", "en", "zh-Hans"]
    assert [each["code"] for each in LibreTranslateAPI(tiny_app.url).languages()] == list(languages)
    settings = client.frontend_settings()
    assert (settings.char_limit, settings.api_keys, settings.suggestions) == (-1, False, False)
    assert settings.language.source.code == "auto"
    assert client.health()


def test_detect(client: LibreTranslate, tiny_app: App) -> None:
    found = client.detect(GERMAN)[0]
    assert found.language == "de"
    assert 80 < found.confidence <= 100
    assert LibreTranslateAPI(tiny_app.url, api_key="any").detect("法国的首都是巴黎。")[0]["language"] == "zh-Hans"
    nothing = client.detect("12 + 30 = 42")[0]
    assert (nothing.confidence, nothing.language) == (0.0, "en")


def test_one_text(client: LibreTranslate, tiny_app: App) -> None:
    plain = client.translate("I love this film.", "en", "de")
    assert isinstance(plain.translated_text, str)
    assert plain.translated_text not in ("", "I love this film.")
    assert (plain.detected_language, plain.alternatives) == (None, None)
    assert LibreTranslateAPI(tiny_app.url).translate("I love this film.", "en", "de") == plain.translated_text
    found = client.translate(GERMAN, "auto", "zh", alternatives=2)
    assert found.detected_language is not None
    assert not isinstance(found.detected_language, list)
    assert found.detected_language.language == "de"
    assert found.detected_language.confidence > 80
    assert found.alternatives == []


def test_several_texts_are_each_judged_by_themselves(client: LibreTranslate) -> None:
    texts = [GERMAN, "I love this film, it is wonderful.", "?!"]
    found = client.translate(texts, "auto", "zh-Hans", alternatives=1)
    assert len(found.translated_text) == 3
    assert found.translated_text[2] == "?!"
    assert isinstance(found.detected_language, list)
    assert [each.language for each in found.detected_language] == ["de", "en", "en"]
    assert found.alternatives == [[], [], []]
    assert client.translate(texts[0], "de", "zh").translated_text == found.translated_text[0]


def test_json_form_and_address_say_the_same(tiny_app: App) -> None:
    fields = {"q": "I love this film.\n\n  It is wonderful.", "source": "en", "target": "de"}
    http = httpx.Client(base_url=tiny_app.url, timeout=WAIT_S, trust_env=False)
    answers = [
        http.post("/translate", json={**fields, "format": "text", "alternatives": None, "api_key": "", "more": 1}),
        http.post("/translate", data={**fields, "q": fields["q"].replace("\n", "\r\n")}),
        http.post("/translate", data=fields, files={"nothing": (None, "in a multipart form")}),
        http.post("/translate", params=fields),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.text for answer in answers}) == 1
    lines = answers[0].json()["translatedText"].split("\n")
    assert [bool(line.strip()) for line in lines] == [True, False, True]
    assert lines[2].startswith("  ")
    one = http.post("/translate", json={**fields, "q": ["?"]}).json()
    assert one == {"translatedText": ["?"]}


def test_tags_of_html_stay(tiny_app: App) -> None:
    pieces = ['<p class="x">I love this film. <br>It is <b>wonderful</b>.</p>', "<hr>"]
    fields = {"q": pieces, "source": "en", "target": "de", "format": "html"}
    found = httpx.post(f"{tiny_app.url}/translate", json=fields, timeout=WAIT_S, trust_env=False).json()
    first, second = found["translatedText"]
    assert first.startswith('<p class="x">')
    assert first.endswith("</p>")
    assert [first.count(tag) for tag in ("<br>", "<b>", "</b>")] == [1, 1, 1]
    assert "I love this film" not in first
    assert second == "<hr>"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"q": ""}, r"^`q` is missing"),
        ({"source": ""}, r"^`source` is missing"),
        ({"target": ""}, r"^`target` is missing"),
        ({"target": "eo"}, r"^`eo` is not a language known here"),
        ({"target": "fr"}, r"does not translate to or from French"),
        ({"format": "pdf"}, r"format `pdf` is not translated"),
        ({"alternatives": "many"}, r"`alternatives` is 'many', but must be int"),
        ({"q": ["a", 5]}, r"`q` is \['a', 5\]"),
        ({"target": 5}, r"`target` is 5, but must be str"),
    ],
)
def test_what_is_wrong_is_400_and_a_sentence(tiny_app: App, fields: dict[str, Any], said: str) -> None:
    sent = {"q": "I love this film.", "source": "en", "target": "de", **fields}
    answer = httpx.post(f"{tiny_app.url}/translate", json=sent, timeout=WAIT_S, trust_env=False)
    assert answer.status_code == 400
    assert re.search(said, answer.json()["error"])


def test_clients_raise_their_own_errors(client: LibreTranslate, tiny_app: App) -> None:
    with pytest.raises(BadRequestError, match="`eo` is not a language known here"):
        client.translate("Hello", "en", "eo")
    with pytest.raises(HTTPError) as wrong:
        LibreTranslateAPI(tiny_app.url).translate("", "en", "de")
    assert "`q` is missing" in json.loads(wrong.value.read())["error"]
    with pytest.raises(Exception, match=r"LibreTranslate's `/suggest` is not offered here") as refused:
        client.suggest("a", "b", "en", "de")
    assert getattr(refused.value, "status_code", 0) == 403


@pytest.mark.parametrize("body", [b"{", b"[]", b'"q"', b"\xff", b"[" * 50_000])
def test_a_body_that_is_no_object_is_400(tiny_app: App, body: bytes) -> None:
    for path in ("/translate", "/detect"):
        kind = {"Content-Type": "application/json"}
        answer = httpx.post(tiny_app.url + path, content=body, headers=kind, trust_env=False)
        assert (answer.status_code, set(answer.json())) == (400, {"error"})
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert httpx.post(f"{tiny_app.url}/detect", content=b"nothing", headers=broken, trust_env=False).status_code == 400
    files = {"q": ("a.txt", b"Hello")}
    assert httpx.post(f"{tiny_app.url}/detect", files=files, trust_env=False).status_code == 400


def test_errors_speak_the_callers_language(tiny_app: App) -> None:
    answer = httpx.post(f"{tiny_app.url}/detect", headers={"Accept-Language": "zh-CN"}, trust_env=False)
    assert "缺少 `q`" in answer.json()["error"]
    assert httpx.get(f"{tiny_app.url}/translate", trust_env=False).status_code == 405


# ---- strangers, and other sites ----


def test_strangers_are_limited(public_app: PublicApp) -> None:
    client = client_of(public_app.app, **{"X-Forwarded-For": an_address(), "X-Llmapp-Owner": secrets.token_urlsafe(32)})
    assert client.frontend_settings().char_limit == 2000
    too_long = "2,001 characters, but 2,000 are allowed"
    with pytest.raises(BadRequestError, match=too_long):
        client.translate("x" * 2001, "en", "de")
    with pytest.raises(BadRequestError, match=too_long):
        client.detect("x" * 2001)  # counts as asked for: 29 are left
    for _ in range(29):
        assert client.detect(GERMAN)
    with pytest.raises(RateLimitError, match="30 requests a minute are allowed here"):
        client.detect(GERMAN)
    with pytest.raises(RateLimitError, match="30 requests a minute are allowed here"):
        client.translate(GERMAN, "de", "en")


def test_a_model_that_can_not_be_had_is_500_and_a_sentence(public_app: PublicApp) -> None:
    client = client_of(public_app.app, **{"X-Forwarded-For": an_address()})
    with pytest.raises(ServerError, match="--offline closes the network"):
        client.translate("Good morning.", "en", "de")
    assert "Traceback" not in public_app.app.log


def test_another_sites_page_may_not_use_it(tiny_app: App, public_app: PublicApp) -> None:
    for app in (tiny_app, public_app.app):
        for path in libretranslate.POSTS:
            answer = httpx.post(app.url + path, data={"q": "Hi"}, headers={"Origin": "https://evil.example"})
            assert answer.status_code == 403
            assert "Another site's page" in answer.json()["error"]
            assert "access-control-allow-origin" not in answer.headers


# ---- waiting, and leaving ----


def test_who_hangs_up_ends_the_work_and_holds_up_nobody(tiny_app: App, client: LibreTranslate) -> None:
    long = "".join(f"The lazy dog number {i} jumps over {i} foxes.\n" for i in range(20_000))
    body = json.dumps({"q": long, "source": "en", "target": "de"}).encode()
    head = f"POST /translate HTTP/1.1\r\nHost: 127.0.0.1:{tiny_app.port}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", tiny_app.port)) as caller:
        caller.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(3)
        began = time.monotonic()
        assert client.health()
        assert client.detect(GERMAN)[0].language == "de"
        assert time.monotonic() - began < 2
    assert isinstance(client.translate("I love this film.", "en", "de"), Translation)
    assert time.monotonic() - began < 30
    assert "Traceback" not in tiny_app.log


def a_request(gone: asyncio.Event) -> Request:
    async def receive() -> dict[str, str]:
        await gone.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "headers": []}, receive)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_the_line_is_kept_and_has_an_end() -> None:
    services: Any = None  # the line asks nothing of the app
    libre, free, here = libretranslate.LibreTranslate(services), threading.Event(), asyncio.Event()
    done: list[int] = []

    def work(number: int) -> int:
        free.wait(WAIT_S)
        done.append(number)
        return number

    def wait(number: int, gone: asyncio.Event = here) -> asyncio.Task[int]:
        return asyncio.create_task(libre._in_line(a_request(gone), lambda: work(number), free.set))

    leaver = asyncio.Event()
    tasks = [wait(0)]
    await asyncio.sleep(0.1)
    tasks += [wait(1), wait(2, leaver), *(wait(number) for number in range(3, LINE + 1))]
    await asyncio.sleep(0.1)
    with pytest.raises(Busy, match=f"{LINE} requests wait here already"):
        await wait(99)
    leaver.set()
    with pytest.raises(ClientDisconnect):
        await tasks[2]
    free.set()
    others = [task for number, task in enumerate(tasks) if number != 2]
    assert await asyncio.gather(*others) == done == [0, 1, *range(3, LINE + 1)]


@pytest.mark.anyio
async def test_work_that_nobody_waits_for_is_stopped() -> None:
    services: Any = None
    stopped, gone = threading.Event(), asyncio.Event()
    libre = libretranslate.LibreTranslate(services)
    working = asyncio.create_task(libre._in_line(a_request(gone), lambda: stopped.wait(WAIT_S), stopped.set))
    await asyncio.sleep(0.1)
    assert not stopped.is_set()
    gone.set()
    assert await working is True


@pytest.mark.parametrize(
    ("code", "tag"),
    [("zh", "zh"), ("zh-Hans", "zh"), ("zt", "zh-Hant"), ("zh-Hant", "zh-Hant"), ("pb", "pt"), ("pt-BR", "pt"),
     ("nb", "no"), ("EN", "en")],
)  # fmt: skip
def test_codes(code: str, tag: str) -> None:
    wish = read_wish({"q": "x", "source": "AUTO", "target": code, "alternatives": "3"})
    assert (wish.source, wish.target, wish.alternatives) == ("", tag, 3)
    assert libretranslate._theirs(tag) == {"zh": "zh-Hans", "no": "nb"}.get(tag, tag)


@pytest.mark.slow
def test_a_packaged_model_translates(home_app: App) -> None:
    client = client_of(home_app)
    assert {"en", "zh-Hans", "de", "fr"} <= {language.code for language in client.languages()}
    found = client.translate(["Good morning.", "The train is late."], "auto", "zh-Hans")
    assert all(re.search("[\u4e00-\u9fff]", text) for text in found.translated_text)
