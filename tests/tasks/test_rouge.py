"""ROUGE by hand on small texts, in English and in scripts without spaces."""

import pytest

from llmapp.tasks.rouge import rouge


def test_words_pairs_and_the_longest_sequence_in_common():
    found = rouge("the cat sat", "the cat lay down")
    assert found["rouge1"] == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    assert found["rouge2"] == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert found["rougeL"] == pytest.approx(found["rouge1"])


def test_english_endings_do_not_count():
    assert rouge("She walked to the stations", "she walks to the station")["rouge1"] == 1


@pytest.mark.parametrize(("language", "same", "other"), [("zh", "今天天气很好", "火车站台"), ("ru", "Погода", "Поезд")])
def test_other_languages(language, same, other):
    assert rouge(same, same, language)["rouge1"] == 1
    assert rouge(same, other, language)["rouge1"] == 0
