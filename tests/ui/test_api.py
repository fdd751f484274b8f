"""The public API through gradio_client, on the real app with real models."""

from __future__ import annotations

import csv
import re
import socket
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from llmapp.ui.events import bind

from ..running_app import App
from .visitor import Visitor

PUBLIC = (
    *("chat", "summarize", "translate", "sentiment", "mood", "classify", "explain", "detect_language"),
    *("finetune", "summarize_file", "translate_file", "sentiment_file"),
    *("job", "job_stop", "job_resume", "job_report", "job_export", "job_push", "jobs"),
    *("models", "load", "unload"),
)
CHAT_MODEL, ENCODER = "smollm2-135m-instruct", "all-minilm-l6-v2"
SHORT = {"max_new_tokens": 12}
LONG = "Write a long story about a lighthouse keeper, in at least ten paragraphs."
# A model that is asked for the first time is read from disk; on a busy machine that takes its time.
WAIT_S = 240
DOCS = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture(scope="module")
def client(home_app: App) -> Iterator[Client]:
    client = Client(home_app.url, verbose=False, analytics_enabled=False)
    yield client
    client.close()


def ask(client: Client, name: str, *values: Any, **named: Any) -> Any:
    return client.submit(*values, api_name=f"/{name}", **named).result(timeout=WAIT_S)


# ---- what there is ----


def test_exactly_the_public_names(client: Client) -> None:
    info = client.view_api(return_format="dict", print_info=False)
    assert set(info["named_endpoints"]) == {f"/{name}" for name in PUBLIC}
    assert info["unnamed_endpoints"] == {}


def test_the_docs_list_exactly_the_endpoints() -> None:
    rows = [line.split("|")[1] for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| /")]
    assert {name for row in rows for name in re.findall(r"/(\w+)", row)} == set(PUBLIC)


def documented() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Each endpoint in docs/api.md with its arguments and their defaults; the first argument has none."""
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if not line.startswith("| /"):
            continue
        names, arguments = line.split("|")[1:3]
        plain = re.sub(r"\(.*?\)", "", arguments)
        pairs = [part.strip().partition("=") for part in re.split("[;,]", plain) if part.strip()]
        given = [(key, value.strip('"')) for key, _, value in pairs]
        yield from ((name, given) for name in re.findall(r"/(\w+)", names))


def test_the_docs_name_all_arguments_and_defaults(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    told = {
        name.lstrip("/"): [
            (part["parameter_name"], part["parameter_default"] or "" if part["parameter_has_default"] else "")
            for part in endpoint["parameters"]
        ]
        for name, endpoint in endpoints.items()
    }
    assert dict(documented()) == told


def test_private_events_can_not_be_called_by_clients(client: Client) -> None:
    for name in ("/send", "/_act", "/stop", "/_start"):
        with pytest.raises(ValueError, match="Cannot find a function"):
            client.submit(api_name=name)


def test_every_endpoint_is_described_and_typed(client: Client) -> None:
    for name, endpoint in client.view_api(return_format="dict", print_info=False)["named_endpoints"].items():
        assert len(endpoint["description"]) > 20, name
        assert all(part["type"] for part in endpoint["returns"]), name
        assert [p["parameter_has_default"] for p in endpoint["parameters"][1:]].count(False) == 0, name


# ---- each with its first argument alone ----


def test_chat(client: Client) -> None:
    job = client.submit("What is the capital of France?", api_name="/chat")
    answer = job.result(timeout=WAIT_S)
    moments = job.outputs()
    assert len(answer.split()) > 1
    assert len(moments) > 1
    assert all(later.startswith(earlier.rstrip()) for earlier, later in pairwise(moments))
    assert moments[-1] == answer


def test_summarize(client: Client) -> None:
    text = "The museum opens at nine on weekdays and at ten on Sundays. Tickets cost five euros. Children pay nothing."
    job = client.submit(text, api_name="/summarize")
    summary = job.result(timeout=WAIT_S)
    assert 0 < len(summary) < 400
    assert job.outputs()[-1] == summary


@pytest.mark.slow
def test_translate(client: Client) -> None:
    assert re.search("[\u4e00-\u9fff]", ask(client, "translate", "Good morning."))


def test_detect_language(client: Client) -> None:
    found = ask(client, "detect_language", "Das ist ein schöner Tag.")
    assert found["language"] == "de"
    assert found["candidates"][0]["language"] == "de"


def test_sentiment(client: Client) -> None:
    found = ask(client, "sentiment", "A wonderful film, I loved every minute of it.")
    assert found["label"] == "positive"
    assert sum(found["scores"].values()) == pytest.approx(1)
    assert found["model"]


def test_mood(client: Client) -> None:
    found = ask(client, "mood", "A wonderful film. The ending was awful and dull.")
    assert [each["label"] for each in found["sentences"]] == ["positive", "negative"]
    assert " ".join(each["text"] for each in found["sentences"]) == "A wonderful film. The ending was awful and dull."
    assert found["model"]


def test_auto_judges_chinese_with_the_chinese_model(client: Client, tmp_path: Path) -> None:
    for text, label in (
        ("房间干净，服务员很热情，下次还会来住。", "positive"),
        ("质量太差了，用了两天就坏，想退货。", "negative"),
    ):
        found = ask(client, "sentiment", text)
        assert (found["label"], found["model"]) == (label, "sentiment-zh")
        assert "/" not in found["revision"]
    explained = ask(client, "explain", "房间太脏了")
    assert (explained["label"], explained["model"]) == ("negative", "sentiment-zh")
    file = tmp_path / "reviews.csv"
    file.write_text("评论\n很好，非常喜欢\n太差了，再也不买\n", encoding="utf-8")
    job = ask(client, "sentiment_file", handle_file(str(file)), "评论")
    wait_for(client, job, "done")
    report = ask(client, "job_report", job)
    assert report["made"]["model"] == "sentiment-zh"
    assert report["labels"] == {"positive": 1, "negative": 1}


def test_classify(client: Client) -> None:
    own = ask(client, "classify", "The goalkeeper saved the penalty.", ["sports", "cooking"], model=ENCODER)
    assert own["model"] == ENCODER
    assert own["labels"]["sports"] > own["labels"]["cooking"]
    assert set(ask(client, "classify", "I hate it.")["labels"]) == {"positive", "negative"}


def test_models(client: Client) -> None:
    by_id = {model["id"]: model for model in ask(client, "models")}
    assert by_id[CHAT_MODEL]["on_disk"]
    assert by_id[CHAT_MODEL]["loaded"]
    assert not by_id["smollm2-360m-instruct"]["on_disk"]


@pytest.mark.slow
def test_a_training_from_file_to_report(client: Client, tmp_path: Path) -> None:
    """Upload, train, watch, stop, resume: the whole life of a job, then the adapter by its id."""
    rows = "".join(f"what a lovely day number {i},good\nwhat an awful day number {i},bad\n" for i in range(40))
    file = tmp_path / "rows.csv"
    file.write_text("text,label\n" + rows, encoding="utf-8")
    job = ask(client, "finetune", handle_file(str(file)))
    assert ask(client, "job", job)["state"] in ("queued", "running")
    with pytest.raises(AppError, match="has no report yet"):
        ask(client, "job_report", job)
    assert ask(client, "job_stop", job)["id"] == job
    assert wait_for(client, job, "stopped", "done")["kind"] == "finetune"
    if ask(client, "job", job)["state"] == "stopped":
        assert ask(client, "job_resume", job)["state"] in ("queued", "running")
    assert wait_for(client, job, "done")["error"] is None
    report = ask(client, "job_report", job)
    assert report["after"]["accuracy"] >= report["before"]["accuracy"]
    assert [entry["id"] for entry in ask(client, "jobs") if entry["kind"] == "finetune"] == [job]
    adapter = next(model for model in ask(client, "models") if model.get("base") == ENCODER)
    judged = ask(client, "sentiment", "what a lovely day", adapter["id"])
    assert judged["label"] in ("good", "bad")
    assert judged["adapter"] == adapter["id"]


def test_a_table_is_judged_from_file_to_file(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "opinions.csv"
    file.write_text("id,opinion\n1,What a lovely film\n2,What an awful film\n3,\n", encoding="utf-8")
    job = ask(client, "sentiment_file", handle_file(str(file)))
    assert wait_for(client, job, "done")["kind"] == "judge_table"
    report = ask(client, "job_report", job)
    assert report["labels"] == {"positive": 1, "negative": 1}
    assert report["made"]["adapter"] == "sentiment-en"
    with Path(ask(client, "job_export", job)).open(encoding="utf-8-sig", newline="") as table:
        rows = list(csv.DictReader(table))
    assert [(row["id"], row["label"]) for row in rows] == [("1", "positive"), ("2", "negative"), ("3", "")]
    assert rows[2]["error"] == "The text of this row is blank."
    assert Path(ask(client, "job_export", job, "xlsx")).read_bytes().startswith(b"PK")
    with pytest.raises(AppError, match=r"no column `text`\. There are: id, opinion"):
        ask(client, "sentiment_file", handle_file(str(file)), "text")
    with pytest.raises(AppError, match=r"made no `pdf`; what it made: csv, xlsx"):
        ask(client, "job_export", job, "pdf")


def test_an_explanation_names_the_words_and_proves_it(client: Client) -> None:
    text = "The hall was cold, but the concert was wonderful."
    found = ask(client, "explain", text)
    assert (found["label"], found["adapter"]) == ("positive", "sentiment-en")
    assert "".join(token for token, _ in found["tokens"]) == text
    assert max(found["tokens"], key=lambda each: each[1])[0] == " wonderful."
    deletion = found["deletion"]
    assert "wonderful." in deletion["removed"]
    assert deletion["before"] > 0.8 > 0.5 > deletion["after"]
    against = ask(client, "explain", text, "negative")
    mirrored = [(token, pytest.approx(-weight, abs=1e-5)) for token, weight in found["tokens"]]
    assert [(token, weight) for token, weight in against["tokens"]] == mirrored
    with pytest.raises(AppError, match=r"positive, negative|negative, positive"):
        ask(client, "explain", text, "sarcastic")


def test_a_document_is_summarized_from_file_to_file(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "lighthouse.txt"
    file.write_text("The lighthouse was built in 1887. It is white. Its lamp is seen for 20 miles. " * 60, "utf-8")
    job = ask(client, "summarize_file", handle_file(str(file)), "sentence", method="written")
    assert wait_for(client, job, "done")["kind"] == "summarize_file"
    report = ask(client, "job_report", job)
    assert report["words_read"] == report["words_total"] == 16 * 60
    assert report["made"]["model"] == CHAT_MODEL
    text = Path(ask(client, "job_export", job)).read_text(encoding="utf-8")
    assert text.startswith(report["summary"])
    assert "lighthouse" in text
    assert [receipt["sentence"] for receipt in report["receipts"]]
    with pytest.raises(AppError, match=r"`huge` is no length"):
        ask(client, "summarize_file", handle_file(str(file)), "huge")


def test_sentences_are_taken_where_that_is_better_or_asked_for(client: Client, tmp_path: Path) -> None:
    sentences = ["The lighthouse was built in 1887.", "Its lamp is seen for 20 miles.", "The soup there was cold."]
    text = " ".join(sentences)
    for method in ("auto", "taken"):
        assert ask(client, "summarize", text, "sentence", method=method) in sentences
    file = tmp_path / "lighthouse.txt"
    file.write_text(text, "utf-8")
    job = ask(client, "summarize_file", handle_file(str(file)), "20")
    wait_for(client, job, "done")
    report = ask(client, "job_report", job)
    assert report["made"]["model"] == ENCODER
    assert "ROUGE-L" in report["notes"][0]
    assert [receipt["missing"] for receipt in report["receipts"]] == [[]] * len(report["receipts"])
    with pytest.raises(AppError, match="`method` is `guessed`"):
        ask(client, "summarize", text, method="guessed")


@pytest.mark.slow
def test_a_document_is_translated_from_file_to_file(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "letter.md"
    file.write_text("# Good morning\n\nThe train is late.\n", encoding="utf-8")
    job = ask(client, "translate_file", handle_file(str(file)), "de")
    wait_for(client, job, "done")
    path = Path(ask(client, "job_export", job, "text"))
    assert path.suffix == ".md"
    assert path.read_text(encoding="utf-8").count("\n") == 3
    assert "Zug" in path.read_text(encoding="utf-8")
    with pytest.raises(AppError, match="tlh"):
        ask(client, "translate_file", handle_file(str(file)), "tlh")


def wait_for(client: Client, job: str, *states: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_S
    while (status := ask(client, "job", job))["state"] not in states:
        assert time.monotonic() < deadline, status
        assert status["state"] in ("queued", "running", "stopped"), status
        time.sleep(0.5)
    return status


def test_unload_and_load(client: Client) -> None:
    assert ask(client, "unload", ENCODER) == {"model": ENCODER, "state": "unloaded"}
    assert not loaded(client, ENCODER)
    assert ask(client, "load", ENCODER) == {"model": ENCODER, "state": "loading"}
    deadline = time.monotonic() + WAIT_S
    while not loaded(client, ENCODER):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def loaded(client: Client, model: str) -> bool:
    return next(m["loaded"] for m in ask(client, "models") if m["id"] == model)


# ---- more arguments, and raw HTTP ----


def test_history_and_sampling_reach_the_model(client: Client) -> None:
    pairs = [(word, "BANANA") for word in ("blue", "red", "green", "white")]
    history = [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    greedy = {**SHORT, "temperature": 0}
    assert "BANANA" in ask(client, "chat", "black", history=history, sampling=greedy)
    assert "BANANA" not in ask(client, "chat", "black", sampling=greedy)
    cat, plain = (ask(client, "chat", "Who are you?", system=s, sampling=greedy) for s in ("You are a cat.", ""))
    assert cat != plain
    seeded = [ask(client, "chat", "Say a word.", sampling={**SHORT, "temperature": 1.5, "seed": 7}) for _ in range(2)]
    assert seeded[0] == seeded[1]


def test_curl_as_the_docs_show_it(home_app: App) -> None:
    outcome = Visitor(home_app.url).api("detect_language", text="Good morning to all of you")
    assert outcome.data["language"] == "en"
    assert "gradio_api/call/v2/chat" in DOCS.read_text(encoding="utf-8")


def test_half_a_character_does_no_harm(home_app: App) -> None:
    visitor = Visitor(home_app.url)
    calls = {
        "detect_language": b'{"text": "Good morning \\ud83d to you"}',
        "chat": b'{"message": "Hi \\ud83d", "sampling": {"max_new_tokens": 2}}',
    }
    for name, body in calls.items():
        assert visitor.api(name, body).ok, name


# ---- errors ----

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("chat", {"message": "  "}, r"`message` is empty. Give it a text."),
    ("chat", {"message": 5}, r"`message` is 5, but must be str."),
    ("chat", {"message": "Hi", "history": 5}, r"`history` is 5, but must be list\[dict\[str, Any\]\] | None."),
    ("chat", {"message": "Hi", "history": [{"role": "cat", "content": "x"}]}, r"`history` holds .*cat"),
    ("chat", {"message": "Hi", "history": [{"role": "user"}]}, r"`history` holds .*'user'"),
    ("chat", {"message": "Hi", "sampling": {"heat": 1}}, r"`sampling` can not be used: 'heat'.*temperature"),
    ("chat", {"message": "Hi", "sampling": {"temperature": "hot"}}, r"`sampling.temperature` is 'hot'.*float"),
    ("chat", {"message": "Hi", "sampling": {"temperature": 9}}, r"`temperature` is 9, but must be between 0.0 and 2.0"),
    ("chat", {"message": "Hi", "sampling": {"top_k": True}}, r"`sampling.top_k` is True"),
    ("chat", {"message": "Hi", "model": "nothing"}, r"There is no model or adapter `nothing` here"),
    ("chat", {"message": "Hi", "model": ["x"]}, r"`model` is \['x'\], but must be str."),
    (
        "summarize",
        {"text": "Hi", "length": "epic"},
        r"`epic` is no length\. Give a number of words .* one of: sentence",
    ),
    ("translate", {"text": "Hi", "target": "klingon"}, r"`klingon` is not a language known here"),
    ("translate", {"text": "Hi", "glossary": [1]}, r"`glossary` is \[1\], but must be dict\[str, str | None\] | None."),
    ("translate", {"text": "Hi", "glossary": {"a": "x" * 201}}, r"has more than 200 characters"),
    ("classify", {"text": "Hi", "labels": "a,b"}, r"`labels` is 'a,b', but must be list\[str\] | None."),
    ("classify", {"text": "Hi", "labels": ["a"]}, r"`?a`?"),
    ("sentiment", {"text": ""}, r"`text` is empty"),
    ("job", {"job_id": "nothing"}, r"There is no job `nothing` here, or it is not yours."),
    ("load", {"model": "nothing"}, r"There is no model or adapter `nothing` here"),
    ("unload", {"model": "/etc"}, r"There is no model or adapter `/etc` here"),
]


@pytest.mark.parametrize(("name", "arguments", "sentence"), WRONG)
def test_what_goes_wrong_is_one_sentence(client: Client, name: str, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AppError, match=sentence) as wrong:
        ask(client, name, **arguments)
    assert "Traceback" not in str(wrong.value)


def test_the_sentence_speaks_the_callers_language(home_app: App) -> None:
    chinese = Visitor(home_app.url, {"Accept-Language": "zh-CN,zh;q=0.9"})
    assert "是空的" in chinese.api("chat", message="").said


def test_a_bug_is_one_sentence_too_and_the_log_has_it(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that breaks in an unforeseen way, served by Gradio and called by a real client."""

    def broken(word: str, request: gr.Request | None = None) -> str:
        raise ZeroDivisionError(f"the inside of {word}")

    def broken_later(word: str, request: gr.Request | None = None) -> Iterator[str]:
        yield word
        raise ZeroDivisionError(f"the inside of {word}")

    with gr.Blocks(analytics_enabled=False) as demo:
        gr.api(bind(broken), api_name="broken")
        gr.api(bind(broken_later), api_name="broken_later")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    _, url, _ = demo.launch(server_port=port, prevent_thread_lock=True, quiet=True, show_error=False)
    try:
        client = Client(url, verbose=False, analytics_enabled=False)
        for name in ("/broken", "/broken_later"):
            with pytest.raises(AppError, match=r"^Something went wrong here, and it is our mistake") as wrong:
                client.predict("secrets", api_name=name)
            assert "secrets" not in str(wrong.value)
            assert "ZeroDivisionError" not in str(wrong.value)
    finally:
        demo.close()
    assert caplog.text.count("ZeroDivisionError: the inside of secrets") == 2


# ---- what waits and what does not ----


def test_nothing_else_waits_while_an_answer_streams(home_app: App, client: Client) -> None:
    """Work with a model goes one after the other; to look, to stop and to manage is answered meanwhile."""
    story = client.submit(LONG, sampling={"max_new_tokens": 2000}, api_name="/chat")
    deadline = time.monotonic() + WAIT_S
    while not story.outputs():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = client.submit("Hi", sampling=SHORT, api_name="/chat")
    for name, values in {"models": (), "jobs": (), "detect_language": ("Good morning to all of you",)}.items():
        began = time.monotonic()
        ask(client, name, *values)
        assert time.monotonic() - began < 2, name
    for _ in range(3):
        began = time.monotonic()
        assert Visitor(home_app.url).http.get("/config").status_code == 200
        assert time.monotonic() - began < 2
    assert not story.done()
    assert not second.outputs()
    written = len(story.outputs())
    story.cancel()
    assert second.result(timeout=WAIT_S)
    assert written > 0


def test_two_callers_at_once_are_both_answered(client: Client) -> None:
    answers: list[str] = []

    def call() -> None:
        answers.append(ask(client, "chat", "Say hello.", sampling=SHORT))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(answers) == 3
    assert all(answers)
