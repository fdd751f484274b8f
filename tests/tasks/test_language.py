"""The language found is right, doubt is admitted, tags have one spelling and names in both languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmapp.errors import BadInput
from llmapp.messages import LANGUAGES
from llmapp.tasks.language import DETECTED, NAMES, UNDETERMINED, detect, name, normalise, usual
from tests.tasks.test_splitting import EXAMPLES


@pytest.mark.parametrize("language", EXAMPLES)
def test_a_paragraph_is_told_for_certain(language):
    found = detect(" ".join(EXAMPLES[language]))
    assert found.language == language
    assert found.certain
    assert found.candidates[0] == (language, found.confidence)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How are you?", "en"),
        ("很好", "zh"),
        ("這個很好，謝謝你們", "zh"),
        ("こんにちは", "ja"),
        ("안녕", "ko"),
        ("¿Cómo estás?", "es"),
        ("Das ist gut", "de"),
    ],
)
def test_some_short_texts_are_enough(text, language):
    assert (detect(text).language, detect(text).certain) == (language, True)


@pytest.mark.parametrize("text", ["Hello", "pizza", "OK", "Danke", "東京", "Bonjour", "The cat sat"])
def test_a_text_too_short_to_tell_is_said_to_be(text):
    assert not detect(text).certain


@pytest.mark.parametrize("text", ["", " \n", "123 456", "!!!", "OK", "3.5 % = 7"])
def test_what_has_no_language_gets_none(text):
    found = detect(text)
    assert (found.language, found.confidence, found.certain) == (UNDETERMINED, 0.0, False)


@given(st.text(max_size=80))
def test_any_text_gets_an_answer_that_holds_together(text):
    found = detect(text)
    assert found.language in (*DETECTED, UNDETERMINED)
    probabilities = [p for _, p in found.candidates]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) <= 1.001
    if found.language != UNDETERMINED:
        assert found.candidates[0] == (found.language, found.confidence)


@pytest.mark.parametrize(
    ("tag", "plain"),
    [
        ("EN", "en"),
        ("en_US", "en"),
        ("zh-CN", "zh"),
        ("zh_CN", "zh"),
        ("zh-Hans", "zh"),
        ("zh_Hans_CN", "zh"),
        ("zh-TW", "zh-Hant"),
        ("zh-hant", "zh-Hant"),
        (" pt-BR ", "pt"),
        ("nb", "no"),
    ],
)
def test_a_tag_has_one_spelling(tag, plain):
    assert normalise(tag) == plain
    assert normalise(plain) == plain


@pytest.mark.parametrize("tag", ["", "xx", "english", "und", "../en"])
def test_an_unknown_tag_is_refused_by_name(tag):
    with pytest.raises(BadInput) as refused:
        normalise(tag)
    assert f"`{tag}`" in refused.value.text("en")
    assert f"`{tag}`" in refused.value.text("zh")


def test_every_language_has_a_name_in_both_languages():
    assert len({*NAMES}) == len(NAMES)
    for language in LANGUAGES:
        named = [name(tag, language) for tag in (*NAMES, UNDETERMINED)]
        assert len({*named}) == len(named)
        assert not any("." in word for word in named)
    assert (name("no"), name("de", "zh")) == ("Norwegian", "德语")
    assert name("tlh") == "tlh"


def test_the_usual_language_is_that_of_more_than_half_of_what_is_certain():
    english, german = "This is a long sentence about the weather.", "Das ist ein langer Satz über das Wetter von heute."
    assert usual(map(detect, [english, english, german, "12345"])) == "en"
    assert usual(map(detect, [english, german])) == ""
    assert usual(map(detect, ["12345"])) == ""
