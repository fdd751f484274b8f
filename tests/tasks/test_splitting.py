"""Splitting gives back the exact input, finds the borders that readers see, and keeps to budgets."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmapp.tasks.splitting import WINDOW, cells, chunks, lines, paragraphs, pieces, sentences

# Each list is what a reader of that language calls its sentences.
EXAMPLES = {
    "en": [
        "Dr. Smith paid $3.50 to Mr. Jones at 5 p.m. on Jan. 5th.",
        '"Is that all?" he asked.',
        "See e.g. Fig. 3.",
        "Version 2.5.1 is out!",
        "Visit https://example.org/c.html.",
        "Really?!",
        "J. R. R. Tolkien wrote it.",
        "The U.S. Army came.",
    ],
    "zh": [
        "今天天气很好。",
        "我们去公园吧！",
        "你想去吗？",
        "他说：“好的。我们走！”",
        "然后他们出发了……到了。",
        "价格是3.5元。",
        "他（笑。）走了。",
    ],
    "ja": [
        "今日は天気がいいです。",
        "「行こう。」と彼は言った。",
        "本当ですか？",
        "はい！",
        "バージョン2.5です。",
    ],
    "de": [
        "Das ist z. B. ein Test.",
        "Am 3. Oktober war Dr. Müller da.",
        "Er kostet 1.000,50 Euro.",
        "Und dann?",
        "„Ja.“ sagte er.",
        "Siehe S. 5 ff. für mehr.",
    ],
    "fr": [
        "M. Dupont est arrivé à 10 h.",
        "Il a dit : « Bonjour ! »",
        "Mme. Durand, elle, coûte 3,50 €.",
        "Voir p. 5.",
        "Vraiment ?",
        "Oui !",
    ],
    "es": [
        "El Sr. García llegó a las 5 p.m.",
        "¿Cómo está?",
        "¡Bien!",
        "Cuesta 3.50 euros.",
        "Véase la pág. 5.",
        "EE. UU. es grande.",
        "La Sra. López habló.",
    ],
    "pt": [
        "O Sr. Silva chegou às 5h.",
        "Custa R$ 3.500,00.",
        'A Dra. Ana disse: "Sim."',
        "E depois?",
        "Fica na Av. Paulista, n. 5.",
        "Ok!",
    ],
    "ru": [
        "Проф. Иванов пришёл в 5 ч. вечера.",
        "Это стоит 3.50 руб. за штуку.",
        "Правда?",
        "Да!",
        "В г. Москве живёт А. С. Пушкин.",
        "«Хорошо», — сказал он.",
    ],
    "ar": ["ذهب د. أحمد إلى المدرسة.", "هل أنت بخير؟", "نعم!", "السعر 3.5 دولار.", "هذا كل شيء."],
}

# Letters, ends of sentences in several scripts, and every kind of line end.
ANY_TEXT = st.text(
    st.sampled_from("abC é中文。！？「」と.!?\"'“”…,3 \t\n\r\v\f\x1c\x85\u2028\u2029\u3000-د"), max_size=200
)


def words(text: str) -> int:
    return len(text.split())


def bytes_and_two(text: str) -> int:
    """Tokens as a byte-level tokenizer with begin and end tokens counts them."""
    return len(text.encode()) + 2


@pytest.mark.parametrize("language", EXAMPLES)
def test_sentences_are_those_a_reader_sees(language):
    separator = "" if language in ("zh", "ja") else " "
    text = separator.join(EXAMPLES[language])
    assert list(sentences(text, language)) == EXAMPLES[language]


def test_a_wrapped_line_is_one_sentence_and_list_items_are_apart():
    found = sentences("One sentence\nover two lines. Next one.\n\n- first\n- second\n", "en")
    assert list(found) == ["One sentence\nover two lines.", "Next one.", "- first", "- second"]


def test_regional_and_unknown_tags_are_taken():
    assert list(sentences("M. Dupont dort. Oui.", "fr_CA")) == ["M. Dupont dort.", "Oui."]
    assert list(sentences("Hi. Yo.", "tlh")) == list(sentences("Hi. Yo.", "")) == ["Hi.", "Yo."]


@given(ANY_TEXT, st.sampled_from([*EXAMPLES, ""]))
@example("Vitamin C\u00a0. Ja.", "de")
@example("C\u2029.", "zh")
def test_every_split_joins_back_to_the_input(text, language):
    for parts in (lines(text), cells(text), paragraphs(text), sentences(text, language)):
        assert parts.join() == "".join(parts.whole()) == text
        assert all(piece and piece == piece.strip() for piece in parts)
        assert not any(gap.strip() for gap in parts.gaps)


def test_other_pieces_take_the_same_gaps():
    parts = lines("\n  one\r\n\r\n\ttwo  \n")
    assert list(parts) == ["one", "two"]
    assert parts.join(["eins", "zwei"]) == "\n  eins\r\n\r\n\tzwei  \n"
    with pytest.raises(ValueError):
        parts.join(["eins"])


@given(ANY_TEXT, st.integers(1, 9))
def test_parts_can_be_split_further_and_are_flat(text, budget):
    flat = lines(text).split(lambda line: sentences(line, "en")).split(lambda each: pieces(each, budget, len))
    assert flat.join() == text
    assert all(0 < len(piece) <= budget for piece in flat)


def test_cells_are_set_apart_by_tabs_or_many_spaces():
    assert list(cells("a b\tc \t\td   e  f")) == ["a b", "c", "d", "e  f"]


def test_paragraphs_end_at_blank_lines_only():
    assert list(paragraphs("a\nb\n \n\nc\r\n\r\nd")) == ["a\nb", "c", "d"]


@pytest.mark.parametrize(("sentence", "language"), [("这是一个句子。", "zh"), ("Here is another. ", "en")])
def test_a_long_paragraph_is_split_as_a_short_one(sentence, language):
    count = 3 * WINDOW // len(sentence)
    assert list(sentences(sentence * count, language)) == [sentence.strip()] * count


def test_a_text_without_any_border_is_one_sentence():
    assert len(sentences("word " * 2 * WINDOW, "en")) == 1


@given(ANY_TEXT, st.integers(1, 40), st.sampled_from([words, bytes_and_two, len]))
@example("  ", 1, bytes_and_two)
def test_chunks_join_to_the_input_and_keep_the_budget(text, budget, count):
    found = chunks(text, budget, count)
    assert "".join(found) == text
    assert all(count(chunk) <= budget or len(chunk) == 1 for chunk in found)


def test_chunks_are_cut_where_it_hurts_least():
    text = "One two three. Four five.\n\nSix seven eight.\n\nNine. Ten."
    assert chunks(text, 5, words) == ["One two three. Four five.\n\n", "Six seven eight.\n\nNine. Ten."]
    by_sentence = ["One two three. ", "Four five.\n\n", "Six seven eight.\n\n", "Nine. Ten."]
    assert chunks(text, 4, words) == by_sentence
    assert chunks("一二三四五六七八", 4, len) == ["一二三四", "五六七八"]


def test_a_whole_text_within_the_budget_is_one_chunk():
    assert chunks("One.\n\nTwo.", 2, words) == ["One.\n\nTwo."]


def test_counting_stays_linear_in_the_text():
    counted = 0

    def count(text: str) -> int:
        nonlocal counted
        counted += len(text)
        return words(text)

    text = "This sentence has six words here. " * 3000
    assert len(chunks(text, 600, count)) == 30
    assert counted < 6 * len(text)


def test_seams_that_cost_tokens_do_not_break_the_budget():
    """A tokenizer may need more tokens for a whole than for its pieces."""

    def count(text: str) -> int:
        return words(text) + text.strip().count(". ")

    found = chunks("A b. C d. E f. G h. I j.", 4, count)
    assert "".join(found) == "A b. C d. E f. G h. I j."
    assert max(map(count, found)) <= 4


def test_a_budget_of_nothing_is_a_bug():
    with pytest.raises(ValueError):
        chunks("text", 0, words)
