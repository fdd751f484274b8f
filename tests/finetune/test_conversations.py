"""Conversations: what is read of them, which of their tokens are learned, how they are tested, cut and looked over."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from llmapp.backend.tokens import Tokens
from llmapp.catalog import Catalog
from llmapp.errors import BadInput
from llmapp.finetune.batching import Example
from llmapp.finetune.conversations import MARK, NEXT, alternating, in_short
from llmapp.finetune.dataset import Columns, read_table
from llmapp.finetune.doctor import Row, examine_pairs
from llmapp.finetune.objective import Writing, answer_losses
from llmapp.finetune.order import LessonOrder, order_for
from llmapp.finetune.pairs import Pairs, encoded, guess_pair, learned, split_pairs
from llmapp.jobs.supervisor import HOME, Supervisor
from llmapp.tasks.watch import read_order

from ..jobs.conftest import log_of, until
from ..tiny import CAUSAL, catalog_entry, tiny_causal
from .test_writing import ANSWERS, start, supervisor, talks, writer_folder, writers  # noqa: F401

SAID = ("the fox", "I love the story.", "is it a dog", "He hates it.", "and the film", "It is a waste of time.")


def talk(*said: str, system: str = "") -> dict[str, Any]:
    turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]
    return {"messages": [*([{"role": "system", "content": system}] if system else []), *turns]}


def written(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, records)))
    return path


def pairs_of(*said: str, system: str = "") -> Pairs:
    *before, question, answer = said
    return Pairs((question,), (answer,), (1,), (), (system,) if system else (), (tuple(before),) if before else ())


def spoken(row: Example, tokenizer: Any) -> list[str]:
    """The stretches of a row that are learned, as text."""
    stretches: list[list[int]] = []
    for at in row.answer:
        if not stretches or stretches[-1][-1] != at - 1:
            stretches.append([])
        stretches[-1].append(at)
    return [tokenizer.decode([row.ids[at] for at in stretch]) for stretch in stretches]


def in_the_templates_words(tokens: Tokens, system: str) -> None:
    """One example, token for token what the template renders, whose learned tokens are the answers and their ends."""
    tokenizer, end = tokens.tokenizer, tokens.tokenizer.decode([tokens.ending()])
    (row,), left = learned(tokens, pairs_of(*SAID, system=system), 0, 512)
    assert left == 0
    turns = [*tokens.wording(pairs_of(*SAID, system=system).asked(tokens.model, 0))]
    turns.append({"role": "assistant", "content": SAID[-1]})
    assert [turn["role"] for turn in turns[-6:]] == ["user", "assistant"] * 3
    whole = tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False)
    assert list(row.ids) == list(whole[: len(row.ids)])
    assert tokenizer.decode(whole[len(row.ids) :]).strip() == ""
    assert spoken(row, tokenizer) == [f"{answer}{end}" for answer in SAID[1::2]]
    for exchange in (1, 2, 3):  # what is learned before each answer is what the chat would ask
        asked = tokens.ids(pairs_of(*SAID, system=system).asked(tokens.model, 0, exchange))
        assert tuple(row.ids[: len(asked)]) == asked
        assert len(asked) in row.answer
        assert len(asked) - 1 not in row.answer


@pytest.mark.parametrize("system", ["", "the capital"])
@pytest.mark.parametrize("family", CAUSAL)
def test_every_answer_is_learned_after_its_history_token_for_token(tmp_path: Path, family: str, system: str) -> None:
    folder = tiny_causal(tmp_path / family, family)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    in_the_templates_words(Tokens(tokenizer, catalog_entry(folder, "causal", family)), system)


@pytest.mark.parametrize("system", ["", "Be short."])
def test_as_smollm2_has_it(packaged: Callable[[str], Path], system: str) -> None:
    name = "smollm2-135m-instruct"
    folder = packaged(name) / "models" / name
    tokenizer = transformers.AutoTokenizer.from_pretrained(next(folder.rglob("tokenizer.json")).parent)
    in_the_templates_words(Tokens(tokenizer, Catalog.read(HOME / "models").model(name)), system)


def test_without_a_chat_template_each_answer_is_an_example_of_its_own(tmp_path: Path) -> None:
    """A base's prompt tells earlier answers without the token that ends one, so no row can hold both."""
    folder = tiny_causal(tmp_path / "tiny", chat=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens, pairs = Tokens(tokenizer, catalog_entry(folder, "causal", "llama")), pairs_of(*SAID)
    rows, left = learned(tokens, pairs, 0, 512)
    assert (len(rows), left) == (3, 0)
    for exchange, row in enumerate(rows, 1):
        assert tuple(row.ids[: row.start]) == tokens.ids(pairs.asked(tokens.model, 0, exchange))
        assert [said.strip() for said in spoken(row, tokenizer)] == [f"{SAID[2 * exchange - 1]}{tokenizer.eos_token}"]


def test_the_loss_looks_at_all_answers_and_nothing_else(tmp_path: Path) -> None:
    folder = tiny_causal(tmp_path / "tiny")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokens = Tokens(transformers.AutoTokenizer.from_pretrained(folder), catalog_entry(folder, "causal", "llama"))
    rows = [learned(tokens, pairs_of(*said), 0, 512)[0][0] for said in (SAID, SAID[:2], SAID[2:])]
    with torch.no_grad():
        odds = [model(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(-1) for row in rows]
        alone = [-sum(o[at - 1, row.ids[at]].item() for at in row.answer) for o, row in zip(odds, rows, strict=True)]
        together = Writing(rows, rows, lambda _: []).loss(model, range(3)).item()
    assert [len(row.between) for row in rows] == [2, 0, 1]
    assert answer_losses(model, rows).tolist() == pytest.approx(alone, rel=1e-4)
    assert together == pytest.approx(sum(alone) / sum(row.answer_tokens for row in rows), rel=1e-4)


def test_too_long_it_is_cut_to_the_exchanges_that_fit_whole(tmp_path: Path) -> None:
    folder = tiny_causal(tmp_path / "tiny")
    tokens = Tokens(transformers.AutoTokenizer.from_pretrained(folder), catalog_entry(folder, "causal", "llama"))
    two = len(learned(tokens, pairs_of(*SAID[:4]), 0, 512)[0][0].ids)
    for most, left in ((two, 1), (two - 1, 2), (10_000, 0), (3, 3)):
        rows, out = learned(tokens, pairs_of(*SAID), 0, most)
        kept = learned(tokens, pairs_of(*SAID[: 6 - 2 * left]), 0, 512)[0] if left < 3 else []
        assert (rows, out) == (kept, left)
    assert pairs_of(*SAID).cut({0: 2}) == pairs_of(*SAID[:4])
    (row,) = encoded(tokens, pairs_of(*SAID), [0], 512).values()
    assert len(row.answer) == len(tokens.answer(SAID[-1]))  # tested by the last answer alone


def many(count: int) -> list[dict[str, Any]]:
    return [
        talk(f"Question {i} about {i * 7}?", f"Answer {i}.", f"And after {i * 3}?", f"Then {i}.") for i in range(count)
    ]


def test_files_of_conversations_are_read_whole(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "a.jsonl", [*many(30), talk("Only one?", "Yes.", system="Be kind.")]))
    assert table.columns == ("question", "answer", "conversation", "reply", "system")
    assert guess_pair(table) == Columns("conversation", "reply", system="system")
    order = order_for(tmp_path / "a.jsonl", LessonOrder(goal="answer"))
    pairs = order.pairs_of(table)
    assert pairs.said(2) == ("Question 2 about 14?", "Answer 2.", "And after 6?", "Then 2.")
    assert (pairs.said(30), pairs.systems[30]) == (("Only one?", "Yes."), "Be kind.")
    assert pairs.notes == ()
    model = catalog_entry(tmp_path, "causal", "llama")
    assert [turn.role for turn in pairs.asked(model, 2)] == ["user", "assistant", "user"]


def test_a_training_of_before_learns_the_first_exchange_as_before(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", many(30))
    spec = {"base": "x", "text": "question", "label": "answer", "goal": "answer", "effort": "quick", "name": "n"}
    pairs = read_order(LessonOrder, spec).pairs(path)
    assert pairs.said(2) == ("Question 2 about 14?", "Answer 2.")
    assert [note.code for note in pairs.notes] == ["training.untaken"]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ([("user", "a"), ("user", "b"), ("assistant", "c")], ["a\n\nb", "c"]),
        ([("user", "a"), ("assistant", "b"), ("assistant", "c")], ["a", "b\n\nc"]),
        ([("user", "a"), ("assistant", " "), ("user", "b"), ("assistant", "c")], ["a\n\nb", "c"]),
        ([("assistant", "Welcome!"), ("user", "a"), ("assistant", "b")], ["a", "b"]),
        ([("user", "a"), ("assistant", "b"), ("user", "and?")], ["a", "b"]),
        ([("user", f"a{NEXT}b"), ("system", "x"), ("assistant", "b")], ["a\n\nb", "b"]),
        ([("user", "a")], []),
    ],
)
def test_turns_are_put_in_order_as_the_chat_puts_them(turns: list[tuple[str, str]], said: list[str]) -> None:
    assert alternating(turns) == said


@pytest.mark.parametrize(
    "message",
    [
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"from": "function_call", "value": "{}"},
    ],
)
def test_calls_of_tools_are_named_with_their_row(tmp_path: Path, message: dict[str, Any]) -> None:
    records = [*many(2), {"messages": [{"role": "user", "content": "Hi"}, message]}]
    with pytest.raises(BadInput, match="Row 3 calls a tool"):
        read_table(written(tmp_path / "a.jsonl", records))


def test_sharegpts_system_key_is_used(tmp_path: Path) -> None:
    said = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes"}]
    record = {"system": "Be kind.", "conversations": said}
    table = read_table(written(tmp_path / "a.json", [record, record]))
    assert table.rows == (("Hi", "Yes", "Be kind."),) * 2


def test_conversations_that_begin_alike_are_on_one_side() -> None:
    first = [f"Tell me all about the history of town {i // 2}." for i in range(80)]
    last = tuple(f"What of the year {i * 37}, please?" for i in range(80))
    pairs = Pairs(last, last, tuple(range(80)), (), (), tuple((text, f"Answer {i}") for i, text in enumerate(first)))
    parts = split_pairs(pairs, 0)
    for side in (parts.train, parts.valid, parts.test):
        assert all(i ^ 1 in side for i in side)


def test_the_doctor_looks_at_every_turn(tmp_path: Path) -> None:
    records = [*many(30), talk("Mail?", "Ask ada@example.org.", "Thanks.", "Bye."), many(3)[2]]
    records.append(talk("Long?", "word " * 600, "Still?", "Yes."))
    table = read_table(written(tmp_path / "a.jsonl", records))
    rows = [Row(*row) for row in zip(table.numbers, table.column("conversation"), table.column("reply"), strict=True)]
    found = {each.code: each for each in examine_pairs(rows, lambda texts: [len(t.split()) for t in texts], 512)}
    assert found["personal_email"].rows == (31,)
    assert found["repeated"].rows == (32,)
    assert found["long_conversation"].rows == (33,)
    assert "long_pair" not in found
    order = LessonOrder(text="conversation", label="reply", goal="answer", edits=found["personal_email"].fix)
    assert order.pairs_of(table).said(30) == ("Mail?", "Ask [email].", "Thanks.", "Bye.")


def test_to_sort_conversations_nothing_invisible_is_read(tmp_path: Path) -> None:
    records = [talk(f"Text {i}", "Tell me more.", f"It is {i}", ("good", "bad")[i % 2]) for i in range(20)]
    table = read_table(written(tmp_path / "a.jsonl", records))
    rows = LessonOrder(text="conversation", label="reply").rows_of(table)
    assert rows.texts[1] == "Text 1\n\nTell me more.\n\nIt is 1"
    assert MARK not in "".join(rows.texts)


def test_a_history_is_shown_in_short() -> None:
    assert in_short((), "So?") == "So?"
    assert in_short(("Hi", "Hello " * 20), "So?") == f"› Hi\n‹ {('Hello ' * 20)[:59]}…\n\n› So?"
    assert in_short(("a", "b", "c", "d"), "e").splitlines()[:2] == ["…", "‹ b"]


def test_a_model_learns_to_go_on_with_a_conversation(supervisor: Supervisor, tmp_path: Path) -> None:  # noqa: F811
    """The second answer follows from the first question alone: it is learned by its history."""
    rows = [talk(text, "It is great.", "and what of it", answer) for text, answer in talks(200)]
    rows += [talk(f"number {i}", f"{ANSWERS['dog']}", "the lazy dog " * 400, "Too long.") for i in range(10)]
    job = start(supervisor, written(tmp_path / "talks.jsonl", rows), text="conversation", label="reply")
    assert until(supervisor, job).state == "done", log_of(supervisor, job)
    report = supervisor.report(job, "ada")
    assert report["before"]["exact"] == 0
    assert report["after"]["exact"] >= 0.8
    events = supervisor.events(job, "ada")
    assert any(event.get("code") == "training.shorter" for event in events if event["kind"] == "say")
    tested = json.loads((supervisor.result_path(job, "ada") / "tested.json").read_text())
    history = next(row["text"] for row in tested if row["text"].startswith("› "))
    assert history.endswith("‹ It is great.\n\n› and what of it")
