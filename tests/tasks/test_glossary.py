"""Terms are found as whole words, hidden from a model and put back, and missed where they are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmapp.tasks.glossary import Term, hidden, missed, standing_in, terms
from llmapp.tasks.translate import translate
from tests.fake_engine import FakeEngine, written

FILE, SYSTEM, TOOL = Term("file", "Datei"), Term("file system", "Dateisystem"), Term("Nautilus")


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("Open the File menu.", [FILE]),
        ("Profiles are not files.", []),
        ("A file system in a file.", [SYSTEM, FILE]),
        ("The nautilus is an animal.", []),
        ("Start Nautilus, then the file system.", [SYSTEM, TOOL]),
    ],
)
def test_whole_words_and_the_longest_are_found(sentence, found):
    assert list(standing_in(sentence, terms([FILE, TOOL, SYSTEM], "de"))) == found


def test_chinese_terms_are_found_without_spaces():
    assert standing_in("打开文件菜单。", terms([["文件", "file"]], "en")) == (Term("文件", "file"),)


def test_a_term_of_another_target_is_not_used():
    assert terms([["file", "fichier", "fr"], ["file", "Datei", "de"]], "de") == (Term("file", "Datei", "de"),)


@given(st.lists(st.sampled_from(["file", "Nautilus", "the", "in", "XQ1Z", "open"]), min_size=1))
def test_what_was_hidden_is_revealed(words):
    sentence = " ".join(words)
    mask = hidden(sentence, [Term("file"), TOOL])
    assert mask.revealed(mask.text) == sentence
    assert "Nautilus" not in mask.text


def test_many_terms_are_kept_apart():
    names = [f"Name{'abcdefghijklmnop'[number]}" for number in range(14)]
    mask = hidden(" ".join(names), map(Term, names))
    assert mask.revealed(mask.text) == " ".join(names)


def test_a_sign_that_was_lost_is_not_guessed():
    mask = hidden("Start Nautilus.", [TOOL])
    assert mask.revealed("Starten Sie.") is None
    assert mask.revealed(f"{mask.text} {mask.text}") is None


def test_what_was_translated_may_change_its_case_and_what_was_not_may_not():
    assert missed("datei und nautilus", [FILE, TOOL]) == (TOOL,)


# ---- in a translation ----


def german(request):
    """Translates "file" wrongly unless told, and knows nothing of made-up names."""
    prompt = written(request.prompt)
    told = 'as "Datei"' in prompt
    words = {"file": "Datei" if told else "Feile", "Nautilus": "Perlboot", "open": "öffne"}
    sentence = prompt.split("\n\n")[-1]
    return " ".join(words.get(word, word) for word in sentence.split())


def last(engine, text, glossary):
    return list(translate(engine, text, "de", "en", glossary=glossary))[-1]


def test_an_instruct_model_is_told_the_terms_of_its_sentence():
    engine = FakeEngine.of(german)
    update = last(engine, "please open the file\n\nthe end", [FILE, TOOL])
    assert update.text == "please öffne the Datei\n\nthe end"
    prompts = [written(request.prompt) for request in engine.asked]
    assert sum('"file" as "Datei"' in prompt for prompt in prompts) == 1
    assert not any("Nautilus" in prompt for prompt in prompts)


def test_a_base_model_sees_the_terms_as_examples():
    engine = FakeEngine.of(lambda request: " Datei", chat=False)
    last(engine, "file", [FILE])
    assert "English: file\nGerman: Datei\n\nEnglish: file\nGerman:" in engine.asked[0].prompt


def test_a_translation_model_gets_signs_and_the_term_is_put_back():
    engine = FakeEngine.of(german, kind="seq2seq", chat=False)
    update = last(engine, "please open Nautilus now", [TOOL])
    assert update.text == "please öffne Nautilus now"
    assert update.warnings == ()
    assert [request.prompt for request in engine.asked] == ["please open Nautilus now", "please open XQ1Z now"]


def test_a_term_that_can_not_be_put_in_is_an_alarm():
    engine = FakeEngine.of(lambda request: "ganz anders gesagt hier", kind="seq2seq", chat=False)
    update = last(engine, "please open the file now", [FILE])
    assert update.text == "ganz anders gesagt hier"
    (alarm,) = update.warnings
    assert alarm.code == "reason.glossary_missed"
    assert "“Datei”" in alarm.text("en")
    assert update.aligned.alarms == ((alarm,),)


def test_a_sentence_of_nothing_but_names_may_stay():
    engine = FakeEngine.of(lambda request: str(request.prompt), kind="seq2seq", chat=False)
    assert last(engine, "Nautilus", [TOOL]).warnings == ()
    assert [each.code for each in last(engine, "Nautilus now", [TOOL]).warnings] == ["reason.translation_same"]
