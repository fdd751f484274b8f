"""BLEU and chrF are sacrebleu's own numbers, by line where lines belong together, in the words of the language."""

import pytest
import sacrebleu

from llmapp.tasks.bleu import compare

HEARD = "The cat sat on the mat today.\nIt was very warm there."
TRUSTED = "The cat sat on the mat.\nIt was rather warm there."


def test_the_numbers_are_sacrebleus():
    near = compare(HEARD, TRUSTED, "en")
    sides = HEARD.splitlines(), [TRUSTED.splitlines()]
    assert near.bleu == pytest.approx(sacrebleu.corpus_bleu(*sides).score)
    assert near.chrf == pytest.approx(sacrebleu.corpus_chrf(*sides).score)
    assert near.lines == 2
    assert "tok:13a" in near.signature


def test_the_same_text_is_100_and_another_is_near_0():
    assert compare(TRUSTED, TRUSTED, "en").bleu == pytest.approx(100)
    assert compare("图书馆星期天不开门。", "图书馆星期天不开门。", "zh").chrf == pytest.approx(100)
    assert compare("xyz", TRUSTED, "en").chrf < 5


def test_chinese_is_compared_by_its_characters():
    near = compare("图书馆星期日不开门。", "图书馆星期天不开门。", "zh")
    assert 30 < near.bleu < 90
    assert "tok:zh" in near.signature


def test_texts_of_different_lines_are_compared_as_one():
    assert compare("One. Two.", "One.\n\nTwo.", "en").lines == 1
    assert compare("One.\n\nTwo.", "One.\nTwo.", "en").lines == 2
