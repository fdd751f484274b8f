"""Layout survives any text, every sentence is asked for once in batches, and what went wrong is said."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmapp.backend.engine import Request
from llmapp.errors import BadInput
from llmapp.tasks.examples import PARALLEL
from llmapp.tasks.language import NAMES
from llmapp.tasks.splitting import lines
from llmapp.tasks.translate import BATCH, LONGEST, WINDOW, caveat, default_target, offered, sides, translate
from tests.fake_engine import MODEL, FakeEngine, written

LETTER = """Dear Ann,

  the train leaves at 9.30. Will you come?
\t- bring the map
\t- bring 3 apples


Yours,
Bob
"""
TEXT = st.text(st.sampled_from("abcü中文。.!?,1 \t\n\r\v\f\x85\u2028-"), max_size=120)


def shout(request: Request) -> str:
    """A translation that can be reckoned: the sentence in capitals, whatever form the request has."""
    prompt = written(request.prompt)
    if request.languages or not isinstance(request.prompt, str):
        return prompt.split("\n\n")[-1].upper()
    return " " + prompt.split("\n")[-2].partition(": ")[2].upper() + "\n\nEnglish: more"


def seq2seq(**changes: object) -> FakeEngine:
    return FakeEngine.of(shout, kind="seq2seq", chat=False, **changes)


def base() -> FakeEngine:
    return FakeEngine.of(shout, chat=False)


def last(engine: FakeEngine, text: str, target: str = "de", source: str = "en"):
    return list(translate(engine, text, target, source))[-1]


@pytest.mark.parametrize("engine", [seq2seq(), base(), FakeEngine.of(shout)], ids=["seq2seq", "base", "chat"])
def test_each_kind_of_model_is_asked_in_its_way(engine):
    update = last(engine, LETTER)
    assert update.text == LETTER.upper()
    assert (update.done, update.total, update.warnings) == (7, 7, ())
    assert (update.source, update.target, update.detection) == ("en", "de", None)
    assert all(request.sampling.temperature == 0 for request in engine.asked)


def test_a_base_model_sees_examples_of_the_pair_and_stops_at_the_line_end():
    engine = base()
    last(engine, "Ein Hund schläft.", "fr", "de")
    (request,) = engine.asked
    assert request.stop == ("\n",)
    assert f"German: {PARALLEL['de'][0]}\nFrench: {PARALLEL['fr'][0]}\n\n" in request.prompt
    assert request.prompt.endswith("German: Ein Hund schläft.\nFrench:")


def test_a_translation_model_is_given_the_language_codes():
    engine = seq2seq()
    last(engine, "你好。再见。", "en", "zh_CN")
    assert [request.languages for request in engine.asked] == [("zh", "en")] * 2
    assert [request.prompt for request in engine.asked] == ["你好。", "再见。"]


@given(TEXT)
def test_lines_in_are_lines_out_and_separators_are_identical(text):
    engine = FakeEngine.of(lambda request: f"x {request.prompt}\n\u2028y ", kind="seq2seq", chat=False)
    result = last(engine, text).text
    assert len(result.splitlines()) == len(text.splitlines())
    assert lines(result).gaps == lines(text).gaps


@given(TEXT)
def test_a_translator_that_changes_nothing_gives_the_text_back(text):
    engine = FakeEngine.of(lambda request: str(request.prompt), kind="seq2seq", chat=False)
    result = last(engine, text).text
    assert lines(result).gaps == lines(text).gaps
    assert [line.split() for line in lines(result)] == [line.split() for line in lines(text)]


def test_columns_stay_columns():
    table = "Name\tPrice in euros\napples   2.50 a piece\n\tno name"
    assert last(seq2seq(), table).text == table.upper()
    assert last(seq2seq(), table, "zh").text == table.upper()


def test_sentences_are_spaced_as_the_target_writes_them():
    assert last(seq2seq(), "你好。再见。\n\n好。", "en", "zh").text == "你好。 再见。\n\n好。"
    assert last(seq2seq(), "  One. Two.\n\tThree. Four. ", "zh", "en").text == "  ONE.TWO.\n\tTHREE.FOUR. "


def test_batches_hold_neighbours_of_like_length():
    engine = seq2seq()
    text = "\n".join(f"{'word ' * (1 + 7 * number % 10)}{number}." for number in range(40))
    updates = list(translate(engine, text, "de", "en"))
    assert engine.batches == [BATCH] * 5
    lengths = [len(written(request.prompt)) for request in engine.asked]
    assert lengths == sorted(lengths[:WINDOW]) + sorted(lengths[WINDOW:])
    assert [update.done for update in updates] == [0, 8, 16, 24, 32, 40]
    assert all(text.upper().startswith(update.text) for update in updates)
    assert updates[4].text.count("\n") >= WINDOW - 1
    assert updates[-1].text == text.upper()


def test_a_repeated_sentence_is_translated_once():
    engine = seq2seq()
    update = last(engine, "Yes. No. Yes.\nYes.")
    assert update.text == "YES. NO. YES.\nYES."
    assert (len(engine.asked), update.total) == (2, 4)


def test_what_has_no_letters_is_not_given_to_the_model():
    engine = seq2seq()
    update = last(engine, "1. 2.5 %\n----\nHello.")
    assert update.text == "1. 2.5 %\n----\nHELLO."
    assert [request.prompt for request in engine.asked] == ["Hello."]


def test_a_sentence_longer_than_one_request_is_cut_and_all_of_it_read():
    engine = seq2seq()
    text = " ".join(f"w{number}" for number in range(3 * LONGEST))
    assert last(engine, text).text == text.upper()
    assert max(engine.count_tokens(request.prompt) for request in engine.asked) <= LONGEST
    narrow = seq2seq(context=40)
    assert last(narrow, text).text == text.upper()


@pytest.mark.parametrize(
    ("answer", "text", "code"),
    [
        ("", "Good day.", "reason.translation_empty"),
        (" \n", "Good day.", "reason.translation_empty"),
        ("Good day.", "Good day.", "reason.translation_same"),
        ("so " * 99, ("so " * 99).strip()[: 3 * 29 - 1], "reason.translation_endless"),
    ],
)
def test_what_went_wrong_with_a_sentence_is_said(answer, text, code):
    engine = FakeEngine.of(lambda request: answer, kind="seq2seq", chat=False)
    update = last(engine, "Good day.")
    (warning,) = update.warnings
    assert warning.code == code
    assert "Good day." in warning.text("en")
    assert "Good day." in warning.text("zh")
    if "endless" not in code:
        assert update.text == text


def test_the_source_is_found_and_the_target_follows():
    found = last(seq2seq(), "Das ist ein ganz einfacher Satz.", "", "")
    assert (found.source, found.target, found.warnings) == ("de", "en", ())
    assert found.detection.certain
    assert last(seq2seq(), "This is a simple sentence.", "", "").target == "zh"
    assert [default_target(tag) for tag in ("en", "zh", "fr", "und")] == ["zh", "en", "en", "zh"]


def test_a_text_too_short_to_tell_is_taken_for_english_and_that_is_said():
    update = last(seq2seq(), "Hello", "de", "")
    assert (update.text, update.source) == ("HELLO", "en")
    (warning,) = update.warnings
    assert "English" in warning.text("en")
    assert "英语" in warning.text("zh")


def test_a_guess_falls_on_a_language_that_the_model_has():
    """`The cat sat` looks Romanian first, English second."""
    assert last(seq2seq(), "The cat sat", "de", "").source == "en"


def test_where_nothing_can_be_guessed_the_person_is_asked():
    with pytest.raises(BadInput, match="`OK`"):
        last(seq2seq(), "OK", "en", "")


def test_a_text_in_the_target_language_stays_and_that_is_said():
    engine = seq2seq()
    update = last(engine, "This is plain English.", "en", "")
    assert (update.text, engine.asked) == ("This is plain English.", [])
    assert update.warnings[0].code == "reason.translation_not_needed"


@pytest.mark.parametrize("text", ["", "  \n ", "12.5"])
@pytest.mark.parametrize("target", ["", "en", "de"])
def test_a_text_without_words_comes_back_without_a_word(text, target):
    engine = seq2seq()
    update = last(engine, text, target, "")
    assert (update.text, update.done, update.warnings, engine.asked) == (text, update.total, (), [])


@pytest.mark.parametrize(("target", "source"), [("it", "en"), ("de", "ja"), ("zh-TW", "en")])
def test_a_language_that_the_model_lacks_is_refused(target, source):
    with pytest.raises(BadInput, match="en, zh, de, fr, es") as refused:
        last(seq2seq(), "Hello.", target, source)
    assert refused.value.code == "translation_language"


def test_what_is_offered_depends_on_the_kind_of_model():
    many = replace(MODEL, languages=("en", "it", "de", "tlh"), chat=False)
    assert offered(many) == ("en", "de")
    assert offered(replace(many, kind="seq2seq")) == offered(replace(many, chat=True)) == ("en", "it", "de")
    assert set(PARALLEL) <= set(NAMES)
    assert len({len(examples) for examples in PARALLEL.values()}) == 1


def test_a_one_way_model_offers_and_takes_one_direction():
    marian = seq2seq(family="marian", languages=("en", "zh"))
    assert sides(marian.info.model) == (("en",), ("zh",))
    assert sides(MODEL) == (offered(MODEL), offered(MODEL))
    with pytest.raises(BadInput, match="from English to Chinese only") as refused:
        last(marian, "今天天气很好。", "en", "zh")
    assert refused.value.code == "translation_one_way"
    assert last(marian, "Hello.", "", "").target == "zh"


def test_small_writers_are_labelled_as_rough():
    assert "Fake" in caveat(MODEL).text("en")
    assert caveat(replace(MODEL, kind="seq2seq")) is None
    assert caveat(replace(MODEL, parameters=4 * 10**9)) is None


def test_closing_stops_the_work():
    engine = seq2seq()
    stream = translate(engine, "\n".join(f"Line number {n}." for n in range(100)), "de", "en")
    next(stream)
    assert engine.batches == []
    next(stream)
    stream.close()
    assert engine.batches == [BATCH]


# ---- mixed text, and what is remembered ----

MIXED = """The museum opens at nine in the morning on weekdays.

Die Karten kosten fünf Euro, Kinder zahlen natürlich nichts.

  Please leave your bags and coats at the entrance."""


def test_each_paragraph_is_translated_from_its_own_language():
    engine = seq2seq()
    update = last(engine, MIXED, "fr", "")
    assert update.text == MIXED.upper()
    assert {request.languages for request in engine.asked} == {("en", "fr"), ("de", "fr")}
    assert [warning.code for warning in update.warnings] == ["reason.paragraphs_from"]
    assert "German, translated from it: 1" in update.warnings[0].text("en")
    assert update.source == "en"


def test_a_paragraph_in_the_target_language_stays_and_that_is_said():
    engine = seq2seq()
    update = last(engine, MIXED, "de", "")
    kept = MIXED.split("\n\n")[1]
    assert update.text == MIXED.upper().replace(kept.upper(), kept)
    assert [warning.code for warning in update.warnings] == ["reason.paragraphs_kept"]
    assert len(engine.asked) == 2


def test_a_paragraph_in_a_language_that_the_model_lacks_stays():
    text = f"{MIXED}\n\nHet museum is op maandag gesloten vanwege de jaarlijkse schoonmaak."
    update = last(seq2seq(), text, "fr", "")
    assert update.text.endswith("jaarlijkse schoonmaak.")
    assert "Dutch, which Fake does not translate" in " ".join(each.text("en") for each in update.warnings)


def test_a_source_that_was_given_holds_for_every_paragraph():
    engine = seq2seq()
    last(engine, MIXED, "fr", "en")
    assert {request.languages for request in engine.asked} == {("en", "fr")}


def test_only_what_changed_is_asked_for_again():
    engine, known = seq2seq(), {}
    list(translate(engine, MIXED, "fr", "", known=known))
    assert len(engine.asked) == 3
    changed = MIXED.replace("nine", "ten")
    update = list(translate(engine, changed, "fr", "", known=known))[-1]
    assert update.text == changed.upper()
    assert [request.prompt for request in engine.asked[3:]] == [changed.split("\n\n")[0]]
    list(translate(engine, MIXED, "es", "", known=known))
    assert len(engine.asked) == 7
    list(translate(engine, MIXED, "es", "", known=known, glossary=[["bags", "bolsas"]]))
    assert len(engine.asked) == 9  # the sentence with the new term, and its repair


@given(TEXT)
def test_sentences_and_translations_stand_side_by_side(text):
    update = last(seq2seq(), text)
    aligned = update.aligned
    assert aligned.source.join() == text
    assert aligned.target.join() == update.text
    assert len(aligned.source) == len(aligned.target) == len(aligned.alarms) == update.total


# ---- by way of English ----


def one_way(first: str, second: str) -> FakeEngine:
    """Writes which way it went: `zh>en(...)`."""
    answer = lambda request: f"{'>'.join(request.languages)}({request.prompt})"  # noqa: E731
    return FakeEngine.of(answer, kind="seq2seq", chat=False, family="marian", languages=(first, second), name=second)


def test_two_models_that_go_one_way_are_chained_and_that_is_said():
    first, second = one_way("zh", "en"), one_way("en", "de")
    update = list(translate(first, "今天天气很好。\n\n再见。", "de", "zh", onward=second))[-1]
    assert update.text == "en>de(zh>en(今天天气很好。))\n\nen>de(zh>en(再见。))"
    assert (update.done, update.total) == (2, 2)
    assert [note.code for note in update.notes] == ["reason.translation_pivot"]


def test_an_english_paragraph_takes_one_step_only():
    first, second = one_way("zh", "en"), one_way("en", "de")
    text = "今天的天气非常好，我们去公园散步吧。\n\nThe museum opens at nine in the morning on weekdays."
    update = list(translate(first, text, "de", "", onward=second))[-1]
    assert update.text.endswith("en>de(The museum opens at nine in the morning on weekdays.)")
    assert len(first.asked) == 1


def test_where_the_first_step_gives_nothing_the_sentence_stays():
    silent = FakeEngine.of(lambda request: " ", kind="seq2seq", chat=False, family="marian", languages=("zh", "en"))
    second = one_way("en", "de")
    update = list(translate(silent, "再见。", "de", "zh", onward=second))[-1]
    assert (update.text, second.asked) == ("再见。", [])
    assert update.warnings[0].code == "reason.translation_empty"


def test_a_language_that_neither_model_has_is_refused():
    with pytest.raises(BadInput) as refused:
        list(translate(one_way("zh", "en"), "再见。", "fr", "zh", onward=one_way("en", "de")))
    assert refused.value.code == "translation_language"
