"""Conversations: kept by owner, found, never overwritten by a stale tab, exported and exactly brought back."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmapp.conversations import Conversation, Conversations, Entry, title_from
from llmapp.errors import BadInput, LlmappError, NotFound, Stale, StoreError, TooLong
from llmapp.messages import LANGUAGES
from llmapp.store import Store
from llmapp.transcripts import MAX_CHARS, MAX_ENTRIES, TITLE_CHARS, one_line, read_transcript, to_json, to_markdown

ROOT = Path(__file__).parent.parent
ASKED = Entry("user", "What is the capital of France?")
ANSWERED = Entry("assistant", "Paris.", meta={"model": "smollm2", "tokens": 3, "seconds": 0.25})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "llmapp.sqlite3")
    yield store
    store.close()


@pytest.fixture
def shelf(store: Store) -> Conversations:
    return Conversations(store)


def kept(shelf: Conversations, owner: str, *entries: Entry, title: str = "") -> Conversation:
    new = shelf.create(owner, title)
    shelf.save(owner, new.id, entries, new.version)
    return shelf.get(owner, new.id)


def titles(shelf: Conversations, owner: str, query: str = "") -> list[str]:
    return [heading.title for heading in shelf.list(owner, query)]


def test_what_is_saved_comes_back(shelf: Conversations) -> None:
    new = shelf.create("anna", settings={"system": "Be brief.", "temperature": 0.5})
    version = shelf.save("anna", new.id, [ASKED, ANSWERED], new.version)
    back = shelf.get("anna", new.id)
    assert back.entries == (ASKED, ANSWERED)
    assert back.settings == {"system": "Be brief.", "temperature": 0.5}
    assert (back.version, back.title, back.created) == (version, "What is the capital of France?", new.created)
    assert back.updated > new.updated


def test_it_is_there_after_a_restart(shelf: Conversations, store: Store) -> None:
    before = kept(shelf, "anna", ASKED, ANSWERED)
    store.close()
    assert Conversations(Store(store.path)).get("anna", before.id) == before


def test_save_keeps_title_and_settings_unless_told(shelf: Conversations) -> None:
    new = shelf.create("anna", "My title", {"a": 1})
    version = shelf.save("anna", new.id, [ASKED], new.version)
    assert (shelf.get("anna", new.id).title, shelf.get("anna", new.id).settings) == ("My title", {"a": 1})
    shelf.save("anna", new.id, [ASKED], version, title="Other", settings={"b": 2})
    assert (shelf.get("anna", new.id).title, shelf.get("anna", new.id).settings) == ("Other", {"b": 2})


@pytest.mark.parametrize(
    "after",
    [
        (ASKED,),
        (),
        (ASKED, replace(ANSWERED, text="Lyon?")),
        (ASKED, ANSWERED, ASKED, ANSWERED),
        (replace(ASKED, text="And of Spain?"), ANSWERED),
        (ASKED, replace(ANSWERED, meta={"model": "other"})),
    ],
)
def test_save_leaves_exactly_what_was_given(shelf: Conversations, after: tuple[Entry, ...]) -> None:
    before = kept(shelf, "anna", ASKED, ANSWERED)
    shelf.save("anna", before.id, after, before.version)
    assert shelf.get("anna", before.id).entries == after


def test_a_long_conversation_is_not_written_anew_each_turn(shelf: Conversations, store: Store) -> None:
    before = kept(shelf, "anna", *[ASKED, ANSWERED] * 50)
    with store.connect() as db:
        keys = db.execute("SELECT key FROM entries ORDER BY position").fetchall()
    shelf.save("anna", before.id, [*before.entries, ASKED], before.version)
    with store.connect() as db:
        assert db.execute("SELECT key FROM entries ORDER BY position").fetchall()[:100] == keys


def test_a_stale_tab_overwrites_nothing(shelf: Conversations) -> None:
    seen = kept(shelf, "anna", ASKED, ANSWERED)
    shelf.save("anna", seen.id, [*seen.entries, ASKED], seen.version)
    now = shelf.get("anna", seen.id)
    with pytest.raises(Stale):
        shelf.save("anna", seen.id, [], seen.version, title="From the stale tab")
    with pytest.raises(Stale):
        shelf.writing("anna", seen.id, seen.version, "from the stale tab", {})
    assert shelf.get("anna", seen.id) == now


def test_of_many_that_save_the_same_version_one_wins(shelf: Conversations) -> None:
    seen = kept(shelf, "anna", ASKED)
    start = threading.Barrier(8)
    results: list[object] = []

    def save(name: str) -> None:
        start.wait()
        try:
            shelf.save("anna", seen.id, [ASKED, replace(ANSWERED, text=name)], seen.version)
            results.append(name)
        except Stale as stale:
            results.append(stale)

    threads = [threading.Thread(target=save, args=(f"tab {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [result for result in results if isinstance(result, str)]
    assert sum(isinstance(result, Stale) for result in results) == 7
    assert shelf.get("anna", seen.id).entries[-1].text == winner
    assert shelf.get("anna", seen.id).version == seen.version + 1


def test_what_is_being_written_can_be_read_by_another_tab(shelf: Conversations) -> None:
    seen = kept(shelf, "anna", ASKED, Entry("assistant", "", "writing"))
    shelf.writing("anna", seen.id, seen.version, "Par", {"tokens": 1})
    shelf.writing("anna", seen.id, seen.version, "Paris", {"tokens": 2})
    back = shelf.get("anna", seen.id)
    assert back.entries == (ASKED, Entry("assistant", "Paris", "writing", {"tokens": 2}))
    assert back.version == seen.version
    shelf.save("anna", seen.id, [ASKED, ANSWERED], seen.version)
    assert shelf.get("anna", seen.id).entries == (ASKED, ANSWERED)


def test_nothing_is_written_into_an_answer_that_is_done(shelf: Conversations) -> None:
    seen = kept(shelf, "anna", ASKED, ANSWERED)
    with pytest.raises(Stale):
        shelf.writing("anna", seen.id, seen.version, "other", {})
    shelf.delete("anna", seen.id)
    with pytest.raises(NotFound):
        shelf.writing("anna", seen.id, seen.version, "other", {})


def test_nothing_of_another_owner_is_seen_or_changed(shelf: Conversations) -> None:
    secret = kept(shelf, "anna", ASKED, Entry("assistant", "Paris", "writing"))
    tries = (
        lambda: shelf.get("ben", secret.id),
        lambda: shelf.save("ben", secret.id, [], secret.version),
        lambda: shelf.writing("ben", secret.id, secret.version, "x", {}),
        lambda: shelf.rename("ben", secret.id, "x"),
        lambda: shelf.delete("ben", secret.id),
        lambda: shelf.export_json("ben", [secret.id]),
        lambda: shelf.export_markdown("ben", secret.id),
    )
    for attempt in tries:
        with pytest.raises(NotFound) as theirs:
            attempt()
        with pytest.raises(NotFound) as nobodys:
            shelf.get("ben", "no such id")
        assert theirs.value.text() == nobodys.value.text()
    assert shelf.list("ben") == shelf.list("ben", "capital") == []
    assert json.loads(shelf.export_json("ben"))["conversations"] == []
    assert shelf.delete_all("ben") == 0
    assert shelf.get("anna", secret.id) == secret


def test_ids_can_not_be_guessed(shelf: Conversations) -> None:
    ids = {shelf.create("anna").id for _ in range(50)}
    assert len(ids) == 50
    assert min(map(len, ids)) >= 16


def test_the_list_is_newest_first_and_says_how_long(shelf: Conversations) -> None:
    first = kept(shelf, "anna", ASKED, ANSWERED, title="first")
    kept(shelf, "anna", title="second")
    assert [(h.title, h.entries) for h in shelf.list("anna")] == [("second", 0), ("first", 2)]
    shelf.save("anna", first.id, [ASKED], first.version)
    assert [(h.title, h.entries) for h in shelf.list("anna")] == [("first", 1), ("second", 0)]
    shelf.rename("anna", first.id, "  renamed\n once ")
    assert titles(shelf, "anna") == ["renamed once", "second"]
    assert shelf.get("anna", first.id).version == first.version + 1


@pytest.mark.parametrize("title", ["", " \n "])
def test_a_title_has_to_say_something(shelf: Conversations, title: str) -> None:
    seen = kept(shelf, "anna", ASKED)
    with pytest.raises(BadInput):
        shelf.rename("anna", seen.id, title)
    assert titles(shelf, "anna") == [ASKED.text]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("paris", ["france"]),
        ("PARIS capital", ["france"]),
        ("of", ["france"]),
        ("aris", ["france"]),
        ("天气", ["weather"]),
        ("天", ["weather"]),
        ("今天天气", ["weather"]),
        ("Müller", ["umlaut"]),
        ("MÜLLER", ["umlaut"]),
        ("weath", ["weather"]),
        ("we", ["weather"]),
        ("100%", ["signs"]),
        ('"quoted"', ["signs"]),
        ("a_b", ["signs"]),
        ("_", ["signs"]),
        ("%", ["signs"]),
        ("AND OR NOT", []),
        ("paris 天气", []),
        ("nowhere to be found", []),
        ("*", []),
        ("\0", ["signs", "umlaut", "weather", "france"]),
        ("  ", ["signs", "umlaut", "weather", "france"]),
    ],
)
def test_search_finds_words_in_texts_and_titles(shelf: Conversations, query: str, found: list[str]) -> None:
    kept(shelf, "anna", ASKED, ANSWERED, title="france")
    kept(shelf, "anna", Entry("user", "今天天气怎么样？"), title="weather")
    kept(shelf, "anna", Entry("user", "Frau Müller fragt"), title="umlaut")
    kept(shelf, "anna", Entry("user", '100% "quoted" a_b \\'), title="signs")
    kept(shelf, "ben", ASKED, ANSWERED, Entry("user", "天气 Müller 100%"), title="weather of another")
    assert titles(shelf, "anna", query) == found


def test_search_follows_what_changes(shelf: Conversations) -> None:
    seen = kept(shelf, "anna", ASKED, Entry("assistant", "", "writing"), title="t")
    shelf.writing("anna", seen.id, seen.version, "half of Paris", {})
    shelf.save("anna", seen.id, [ASKED, replace(ANSWERED, text="Berlin")], seen.version)
    assert (titles(shelf, "anna", "Berlin"), titles(shelf, "anna", "half")) == (["t"], [])
    shelf.delete("anna", seen.id)
    assert titles(shelf, "anna", "Berlin") == []


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hi", "Hi"),
        ("  What\n\nis   it? ", "What is it?"),
        ("How do I write a polite letter to my landlord about noise?", "How do I write a polite letter to my…"),
        ("今天天气怎么样" * 10, ("今天天气怎么样" * 10)[:40] + "…"),
        ("x" * 100, "x" * 40 + "…"),
        ("", ""),
    ],
)
def test_a_title_is_cut_between_words(text: str, title: str) -> None:
    assert title_from(text) == title


@settings(deadline=None)
@given(st.text())
def test_a_title_is_a_short_line(text: str) -> None:
    title = title_from(text)
    assert len(title) <= TITLE_CHARS + 1
    assert one_line(title) == title


def test_a_lonely_half_of_a_character_does_not_stop_a_save(shelf: Conversations) -> None:
    entry = Entry("user", "a\ud800b\0c", meta={"name": "\udfff"})
    back = kept(shelf, "anna", entry, title="\ud83d")
    assert back.entries == (Entry("user", "a\ufffdb\0c", meta={"name": "\ufffd"}),)
    assert back.title == "\ufffd"
    assert len(shelf.list("anna", "\ud800")) == 1


def test_deleted_means_gone(shelf: Conversations, store: Store) -> None:
    one = kept(shelf, "anna", Entry("user", "the swordfish password"))
    two = kept(shelf, "anna", Entry("user", "the marlin password"))
    kept(shelf, "ben", Entry("user", "the tunny password"))
    shelf.delete("anna", one.id)
    assert not any(b"swordfish" in file.read_bytes() for file in store.path.parent.iterdir())
    with pytest.raises(NotFound):
        shelf.get("anna", one.id)
    with pytest.raises(NotFound):
        shelf.delete("anna", one.id)
    assert shelf.delete_all("anna") == 1
    with pytest.raises(NotFound):
        shelf.get("anna", two.id)
    for file in store.path.parent.iterdir():
        assert b"marlin" not in file.read_bytes()
    assert titles(shelf, "ben") == ["the tunny password"]


def test_delete_all_takes_a_damaged_file_only_where_nobody_else_may_be_in_it(tmp_path: Path) -> None:
    path = tmp_path / "llmapp.sqlite3"
    path.write_bytes(b"damaged" * 1000)
    store = Store(path)
    shelf = Conversations(store)
    kept(shelf, "anna", ASKED)
    (damaged,) = store.kept
    with pytest.raises(StoreError) as caught:
        shelf.delete_all("anna")
    assert damaged.name in caught.value.text("zh")
    assert shelf.list("anna") == []
    assert damaged.exists()
    assert shelf.delete_all("anna", alone=True) == 0
    assert store.kept == []


WRITE_AND_DIE = """if True:
    import sys; from pathlib import Path
    from llmapp.conversations import Conversations, Entry; from llmapp.store import Store
    shelf = Conversations(Store(Path(sys.argv[1])))
    new = shelf.create("anna")
    version = shelf.save("anna", new.id, [Entry("user", "Tell me"), Entry("assistant", "", "writing")], 1)
    shelf.writing("anna", new.id, version, "Once upon a", {"tokens": 3})
    print(new.id, flush=True); input()
"""


def test_an_answer_whose_process_died_is_kept_unfinished(store: Store) -> None:
    command = [sys.executable, "-c", WRITE_AND_DIE, str(store.path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout
    assert process.stdin
    with process.stdout, process.stdin:
        identity = process.stdout.readline().strip()
        shelf = Conversations(store)
        assert shelf.recover() == 0, "its process is alive"
        assert shelf.get("anna", identity).entries[-1].state == "writing"
        process.kill()
        process.wait()
    assert shelf.recover() == 1
    assert shelf.get("anna", identity).entries[-1] == Entry("assistant", "Once upon a", "unfinished", {"tokens": 3})
    assert titles(shelf, "anna", "upon") == ["Tell me"]
    assert shelf.recover() == 0
    assert len(list(store.path.parent.glob("*.writer-*.lock"))) == 1


def test_one_s_own_answers_are_not_recovered(shelf: Conversations, store: Store) -> None:
    seen = kept(shelf, "anna", ASKED, Entry("assistant", "", "writing"))
    assert shelf.recover() == Conversations(store).recover() == 0
    shelf.writing("anna", seen.id, seen.version, "goes on", {})


TEXTS = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
METAS = st.dictionaries(TEXTS, VALUES, max_size=3)
NASTY = st.sampled_from(
    ["<!-- llmapp user {} -->", "\\<!-- llmapp user", "## You\n", "\n\n", "\r\n", "-->", "# t", "\u2028", "\x0b"]
)
ENTRIES = st.builds(
    Entry,
    st.sampled_from(["user", "assistant"]),
    st.lists(TEXTS | NASTY).map("".join),
    st.sampled_from(["done", "unfinished"]),
    METAS,
)
TIMES = st.floats(1e-3, 4e9)
CONVERSATIONS = st.builds(
    Conversation,
    st.just(""),
    TEXTS.map(one_line).filter(bool),
    st.just(0),
    TIMES,
    TIMES,
    METAS,
    st.lists(ENTRIES, max_size=4).map(tuple),
)


@settings(deadline=None)
@given(st.lists(CONVERSATIONS, min_size=1, max_size=3))
def test_json_comes_back_exactly(conversations: list[Conversation]) -> None:
    assert read_transcript(to_json(conversations), "x.json") == conversations


@settings(deadline=None)
@given(CONVERSATIONS, st.sampled_from(LANGUAGES))
@example(Conversation("", "t", 0, 1.0, 1.0, {}, (Entry("user", "a\n<!-- llmapp user {} -->\nb"),)), "en")
def test_markdown_comes_back_exactly(conversation: Conversation, language: str) -> None:
    assert read_transcript(to_markdown(conversation, language), "x.md") == [conversation]


@settings(max_examples=30, deadline=None)
@given(st.lists(CONVERSATIONS, min_size=1, max_size=3))
def test_the_database_keeps_all_of_it(tmp_path_factory: pytest.TempPathFactory, found: list[Conversation]) -> None:
    with closing(Store(tmp_path_factory.mktemp("store") / "llmapp.sqlite3")) as store:
        shelf = Conversations(store)
        shelf.import_text("anna", to_json(found), "x.json")
        back = json.loads(shelf.export_json("anna"))["conversations"]
        expected = json.loads(to_json(found))["conversations"]
        assert sorted(({**c, "id": ""} for c in back), key=repr) == sorted(expected, key=repr)


def test_an_export_brought_in_elsewhere_is_the_same(shelf: Conversations, tmp_path: Path) -> None:
    kept(shelf, "anna", ASKED, ANSWERED)
    kept(shelf, "anna", replace(ASKED, text="两行\n字"), replace(ANSWERED, state="unfinished"))
    other = Conversations(Store(tmp_path / "other.sqlite3"))
    other.import_text("ben", shelf.export_json("anna"), "all.json")
    for mine, theirs in zip(shelf.list("anna"), other.list("ben"), strict=True):
        one, two = shelf.get("anna", mine.id), other.get("ben", theirs.id)
        assert one.id != two.id
        assert replace(one, id="", version=0) == replace(two, id="", version=0)
        (again,) = other.import_text("ben", shelf.export_markdown("anna", mine.id, "zh"), "one.md")
        assert other.get("ben", again.id) == again
        assert replace(one, id="", version=0) == replace(again, id="", version=0)


def test_markdown_reads_well(shelf: Conversations) -> None:
    seen = kept(shelf, "anna", ASKED, ANSWERED)
    shown = [line for line in shelf.export_markdown("anna", seen.id).splitlines() if not line.startswith("<!--")]
    assert shown == [
        "# What is the capital of France?",
        "",
        "## You",
        "",
        "What is the capital of France?",
        "",
        "## Assistant",
        "",
        "Paris.",
        "",
    ]
    assert "## 你\n" in shelf.export_markdown("anna", seen.id, "zh")


def test_nothing_in_a_comment_ends_it_early(shelf: Conversations) -> None:
    nasty = "--> <script>alert(1)</script> <!-- --!>"
    seen = kept(shelf, "anna", replace(ASKED, meta={nasty: nasty}), title=nasty)
    comments = [line for line in shelf.export_markdown("anna", seen.id).splitlines() if line.startswith("<!--")]
    assert len(comments) == 2
    for comment in comments:
        assert comment.count("--") == 2
        assert comment.count(">") == 1


def test_an_answer_being_written_is_exported_as_unfinished(shelf: Conversations) -> None:
    kept(shelf, "anna", ASKED, Entry("assistant", "Par", "writing"))
    (back,) = read_transcript(shelf.export_json("anna"), "x.json")
    assert back.entries[-1].state == "unfinished"


HELLO = (Entry("user", "Hello"), Entry("assistant", "Hi"))
OPENAI = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
SHAREGPT = [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi"}]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}, OPENAI[1]]


@pytest.mark.parametrize(
    "data",
    [
        OPENAI,
        {"messages": OPENAI},
        [{"messages": OPENAI}],
        [OPENAI],
        PARTS,
        {"conversations": SHAREGPT},
        [{"id": "x", "conversations": SHAREGPT}],
    ],
)
def test_messages_of_other_programs_come_in(shelf: Conversations, data: Any) -> None:
    (found,) = shelf.import_text("anna", json.dumps(data), "chat.json")
    assert found == shelf.get("anna", found.id)
    assert (found.entries, found.title) == (HELLO, "Hello")
    assert found.created > 1e9


def test_lines_of_json_come_in(shelf: Conversations) -> None:
    lines = "\r\n".join(json.dumps({"messages": OPENAI}) for _ in range(3)) + "\r\n"
    assert len(shelf.import_text("anna", lines, "chat.jsonl")) == 3


def test_a_system_message_becomes_a_setting(shelf: Conversations) -> None:
    data = [{"role": "system", "content": "Be brief."}, *OPENAI]
    (found,) = shelf.import_text("anna", json.dumps(data), "chat.json")
    assert (found.settings, found.entries) == ({"system": "Be brief."}, HELLO)


def test_an_editor_that_changes_line_ends_does_no_harm(shelf: Conversations) -> None:
    seen = kept(shelf, "anna", replace(ASKED, text="two\nlines"), ANSWERED)
    text = "\ufeff" + shelf.export_markdown("anna", seen.id).replace("\n", "\r\n")
    (found,) = shelf.import_text("anna", text, "x.md")
    assert found.entries == seen.entries


MARKED = '<!-- llmapp conversation {"title": "t"} -->\n# t\n\n<!-- llmapp user {%s} -->\n## You\n\nHi\n\n'


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ('[\n{"role": "user",\n"content" "x"}]', "import_line", "3"),
        ("hello", "import_line", "1"),
        ("", "import_line", "1"),
        ('{"a": 1}\n{"a": }\n', "import_line", "2"),
        ("[" * 100_000, "import_line", "1"),
        ('[{"role": "user", "content": "x", "meta": {"a": NaN}}]', "import_line", "NaN"),
        ('[{"role": "user", "content": "x", "meta": {"a": 1e999}}]', "import_line", "1e999"),
        ("[]", "import_empty", "chat.json"),
        ('{"format": "llmapp-conversations", "conversations": []}', "import_empty", "chat.json"),
        ('{"format": "llmapp-conversations"}', "import_shape", "conversations"),
        ("7", "import_shape", "$"),
        ('{"title": "t"}', "import_shape", "messages"),
        ('[{"messages": []}, {"messages": 7}]', "import_shape", "[1].messages"),
        ('[{"role": "user"}]', "import_shape", "messages[0].content"),
        ('[{"role": "user", "content": [{"type": "image"}]}]', "import_shape", "messages[0].content"),
        ('{"messages": [{"role": "user", "content": "x"}, 7]}', "import_shape", "messages[1]"),
        ('[{"role": "tool", "content": "x"}]', "import_role", "tool"),
        ('[{"role": "user", "content": "x", "state": "gone"}]', "import_shape", "messages[0].state"),
        ('[{"role": "user", "content": "x", "meta": []}]', "import_shape", "messages[0].meta"),
        ('{"messages": [], "title": 7}', "import_shape", "title"),
        ('{"messages": [], "created": -1}', "import_shape", "created"),
        ('{"messages": [], "updated": 1' + "0" * 400 + "}", "import_shape", "updated"),
        ('{"messages": [], "settings": []}', "import_shape", "settings"),
        (MARKED % '"state": ', "import_line", "4"),
        (MARKED % '"state": "gone"', "import_shape", "L4.state"),
        (json.dumps([{"role": "user", "content": ""}] * (MAX_ENTRIES + 1)), "import_too_many", f"{MAX_ENTRIES:,}"),
        (" " * (MAX_CHARS + 1), "import_too_long", f"{MAX_CHARS:,}"),
    ],
)
def test_bad_files_are_refused_by_line_or_field(shelf: Conversations, text: str, code: str, named: str) -> None:
    with pytest.raises(BadInput) as caught:
        shelf.import_text("anna", text, "chat.json")
    assert caught.value.code == code
    assert isinstance(caught.value, TooLong) == code.startswith("import_too")
    for language in LANGUAGES:
        assert named in caught.value.text(language)
        assert "chat.json" in caught.value.text(language)
    assert shelf.list("anna") == []


@settings(deadline=None)
@given(st.text() | VALUES.map(json.dumps) | st.lists(METAS).map(json.dumps))
def test_any_file_comes_in_or_is_refused_in_words(text: str) -> None:
    try:
        outcome: object = read_transcript(text, "x")
    except LlmappError as problem:
        outcome = problem.text("zh")
    assert outcome


@pytest.fixture
def newer(tmp_path: Path) -> Store:
    """A store that has set aside a newer file with conversations of two people."""
    path = tmp_path / "newer.sqlite3"
    with closing(Store(path)) as store:
        shelf = Conversations(store)
        kept(shelf, "anna", ASKED, ANSWERED)
        kept(shelf, "ben", ASKED)
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE entries ADD COLUMN mood TEXT")
        db.execute("PRAGMA user_version = 99")
    return Store(path)


def test_what_was_set_aside_can_be_exported(newer: Store) -> None:
    shelf = Conversations(newer)
    text, lost = shelf.export_kept("anna", newer.kept[0])
    assert lost == 0
    (found,) = shelf.import_text("anna", text, "kept.json")
    assert found.entries == (ASKED, ANSWERED)
    assert titles(shelf, "anna") == [ASKED.text]


def test_what_is_readable_of_a_damaged_file_can_be_exported(tmp_path: Path) -> None:
    path = tmp_path / "llmapp.sqlite3"
    with closing(Store(path)) as store:
        shelf = Conversations(store)
        for number in range(40):
            kept(shelf, "anna", Entry("user", f"question {number}"), Entry("assistant", "x" * 3000))
    data = bytearray(path.read_bytes())
    leaf = data.rindex(b"question 30") // 4096 * 4096
    data[leaf : leaf + 4096] = b"\xa5" * 4096
    path.write_bytes(data)
    store = Store(path)
    (damaged,) = store.kept
    text, lost = Conversations(store).export_kept("anna", damaged)
    found = read_transcript(text, "kept.json")
    assert len(found) + lost == 40
    assert 0 < lost < 20


def test_a_file_that_is_nothing_any_more_is_said(tmp_path: Path) -> None:
    path = tmp_path / "llmapp.sqlite3"
    path.write_bytes(b"\0" * 5000)
    store = Store(path)
    with pytest.raises(StoreError) as caught:
        Conversations(store).export_kept("anna", store.kept[0])
    assert caught.value.code == "kept_unreadable"
