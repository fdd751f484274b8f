"""Everything is read, what is streamed is clean, and the work shrinks, ends and can be stopped."""

from dataclasses import replace

import pytest

from llmapp.backend.engine import Request
from llmapp.errors import BadInput, TooLong
from llmapp.tasks.documents import count_words
from llmapp.tasks.splitting import sentences
from llmapp.tasks.summarize import (
    FORMS,
    LENGTHS,
    PART_SENTENCES,
    TOGETHER,
    SummaryOptions,
    SummaryUpdate,
    summarize,
)
from tests.fake_engine import MODEL, FakeEngine, written

TEXT = " ".join(f"Sentence {number} tells something new." for number in range(40))
FIVE = " ".join(f"Point {number} is made." for number in range(1, 6))


def says(answer: str, **changes: object) -> FakeEngine:
    return FakeEngine.of(lambda request: answer, **changes)


def last(engine: FakeEngine, text: str = TEXT, **options: str) -> SummaryUpdate:
    return list(summarize(engine, text, SummaryOptions(**options)))[-1]


def question(request: Request) -> str:
    return written(request.prompt).partition("\n\n")[0]


def test_the_question_comes_first_and_the_text_after_it():
    engine = says(FIVE)
    last(engine, length="sentence")
    (request,) = engine.asked
    assert request.prompt[0].role == "user"
    assert request.prompt[0].text == f"Summarize this text in one sentence.\n\n{TEXT}"
    assert request.sampling.temperature == 0


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, "Summarize this text in 3 sentences."),
        ({"length": "long"}, "Summarize this text in 12 sentences."),
        ({"focus": "prices"}, "Summarize what this text says about prices in 3 sentences."),
        ({"form": "bullets", "language": "de"}, "Summarize this text in 3 sentences. Write in German."),
        ({"language": "en"}, "Summarize this text in 3 sentences."),
    ],
)
def test_options_are_words_of_the_question(options, asked):
    engine = says(FIVE)
    last(engine, **options)
    assert question(engine.asked[0]) == asked


def test_a_headline_is_asked_for_after_the_text():
    engine = says("Rain")
    last(engine, form="headline", focus="rain")
    (request,) = engine.asked
    assert request.prompt[0].text == f"{TEXT}\n\nWrite a short headline about rain for the text above."


def test_the_language_of_the_text_is_kept():
    engine = says("好。")
    assert last(engine, "今天天气很好，我们去公园散步吧。明天可能会下雨。").text == "好。"
    assert question(engine.asked[0]) == "Summarize this text in one sentence. Write in Chinese."


def test_models_that_do_not_chat_are_asked_in_their_way():
    for changes, prompt in (
        ({"kind": "seq2seq", "chat": False}, TEXT),
        ({"kind": "seq2seq", "chat": False, "family": "t5"}, f"summarize: {TEXT}"),
        ({"chat": False}, f"{TEXT}\n\nTL;DR:"),
    ):
        engine = says(FIVE, **changes)
        last(engine)
        assert engine.asked[0].prompt == prompt


@pytest.mark.parametrize(("length", "sentences"), LENGTHS.items())
def test_no_more_sentences_than_asked_for(length, sentences):
    endless = says(" ".join(f"Number {n} is said." for n in range(99)))
    update = last(endless, length=length)
    assert update.text.count(".") == sentences
    assert update.finish == "stop"
    assert endless.ended_early == 1


def test_a_summary_has_at_most_half_of_the_sentences():
    assert last(says(FIVE), "One is here. Two is here. Three is here. Four is here.").text.count(".") == 2


def test_bullets_have_a_line_for_each_sentence():
    assert last(says(FIVE), form="bullets").text == "- Point 1 is made.\n- Point 2 is made.\n- Point 3 is made."


@pytest.mark.parametrize(
    "answer",
    ['Title: "A Good Day"\n\nIt was good.', "**A Good Day**\n# A Good Day", "A Good Day. It was good.", "A Good Day"],
)
def test_a_headline_is_one_line_without_ornaments(answer):
    assert last(says(answer), form="headline").text == "A Good Day"


@pytest.mark.parametrize(
    "preface",
    [
        "Here is a summary of the text:\n\n",
        "Sure, here's a summary in one sentence: ",
        "Summary: ",
        "The summary of the text above is: ",
        "- ",
        "1. ",
    ],
)
def test_prefaces_are_never_shown(preface):
    updates = list(summarize(says(f"{preface}It rains. Take care."), TEXT))
    assert updates[-1].text == "It rains. Take care."
    assert all("It rains. Take care.".startswith(update.text) for update in updates)


def test_what_only_begins_like_a_preface_is_shown():
    assert last(says("Here and there it rains")).text == "Here and there it rains"
    assert last(says("Summary of rain")).text == "Summary of rain"


def test_a_repeated_sentence_ends_the_summary():
    engine = says("It rains. It pours. It rains. It pours.")
    assert last(engine).text == "It rains. It pours."
    assert engine.ended_early == 1


def test_a_sentence_that_runs_in_circles_is_cut():
    engine = says("It has two wheels, " + "a bell and a lamp in front, " * 50)
    update = last(engine)
    assert update.text == "It has two wheels, a bell and a lamp in front …"
    assert engine.ended_early == 1


def test_a_sentence_that_was_cut_by_the_limit_is_left_out():
    update = last(says("It rains. " + " ".join(f"word{n}" for n in range(400))), TEXT * 5)
    assert (update.text, update.finish) == ("It rains.", "length")


def test_it_streams_and_says_what_was_read():
    updates = list(summarize(says("It rains. It pours."), TEXT))
    texts = [update.text for update in updates]
    assert texts == ["", "", "", "It rains. It", "It rains. It pours.", "It rains. It pours."]
    assert (updates[0].words_read, updates[-1].words_read, updates[-1].words_total) == (0, 200, 200)
    assert [update.finish for update in updates] == ["", "", "", "", "", "stop"]
    assert (updates[1].done_parts, updates[-1].done_parts, updates[-1].parts) == (0, 1, 1)
    assert last(says("好"), "今天天气很好。").words_total == 7


def read_back(engine: FakeEngine) -> str:
    """What the model was given to read, without the questions."""
    return " ".join(written(request.prompt).partition("\n\n")[2] for request in engine.asked)


def test_a_text_longer_than_the_context_is_read_to_its_end():
    engine = FakeEngine.of(
        lambda request: f"Read {written(request.prompt).partition(chr(10) * 2)[2].split()[1]}. More.", context=256
    )
    updates = list(summarize(engine, TEXT + " " + TEXT.replace("Sentence", "Also")))
    parts = len(engine.asked) - 1
    assert parts >= 3
    assert " ".join(read_back(engine).split()).startswith(TEXT)
    assert all(f"Also {number} tells" in read_back(engine) for number in range(40))
    assert [question(request) for request in engine.asked[:parts]] == [
        f"Summarize this text in {PART_SENTENCES} sentences."
    ] * parts
    reduced = written(engine.asked[-1].prompt).partition("\n\n")[2]
    assert reduced.startswith("Read 0. More.\nRead ")
    done = [update.done_parts for update in updates]
    assert done == sorted(done)
    assert {update.parts for update in updates} == {parts + 1}
    assert updates[-1].done_parts == parts + 1
    assert all(update.text == "" for update in updates if update.done_parts < parts)
    read = [update.words_read for update in updates]
    assert read == sorted(read)
    assert updates[-1].words_read == updates[-1].words_total == 400


def test_parts_are_read_together():
    engine = says("It rains. It pours. It ends. It goes on and on.", context=256)
    updates = list(summarize(engine, "\n\n".join([TEXT] * 12)))
    *parts, rest, final = engine.streamed
    assert parts == [TOGETHER] * len(parts)
    assert (0 < rest <= TOGETHER, final) == (True, 1)
    assert len(updates[-1].outline) == sum(parts) + rest
    assert set(updates[-1].outline) == {"It rains. It pours. It ends."}
    done = [update.done_parts for update in updates]
    assert set(range(updates[-1].parts)) == set(done[:-1])


def test_a_long_text_takes_several_rounds_and_each_is_shorter():
    """The answer is as long as the model is allowed to write."""
    engine = FakeEngine.of(lambda request: " ".join(f"w{n}" for n in range(999)), context=256)
    updates = list(summarize(engine, "\n\n".join([TEXT] * 12)))
    sizes = [engine.count_tokens(request.prompt) for request in engine.asked]
    assert updates[-1].finish == "length"
    assert updates[-1].parts > updates[0].parts + 1 > 15
    assert updates[-1].done_parts == len(sizes) == updates[-1].parts
    assert max(sizes) <= 256


@pytest.mark.parametrize("form", FORMS)
def test_focus_and_language_reach_the_parts_but_not_the_form(form):
    engine = says("Es kostet 3 Euro.", context=256)
    last(engine, form=form, focus="prices", language="de")
    assert len(engine.asked) > 2
    *parts, final = [written(request.prompt) for request in engine.asked]
    assert all("what this text says about prices" in part and "Write in German." in part for part in parts)
    assert "headline" not in "".join(parts)
    assert "prices" in final
    assert "Write in German." in final


def test_closing_closes_the_engine_stream():
    for context in (2048, 256):
        engine = says(FIVE, context=context)
        stream = summarize(engine, TEXT)
        next(stream)
        next(stream)
        assert engine.open_streams == 1
        stream.close()
        assert (engine.open_streams, engine.closed_early, len(engine.asked)) == (0, 1, 1)


def test_small_models_and_foreign_texts_are_labelled():
    german = "Das ist ein ganz einfacher Satz. Und hier steht noch einer."
    codes = [note.code for note in last(says("Gut.", languages=("en",)), german).notes]
    assert codes == ["reason.summary_rough", "reason.language_foreign"]
    big = replace(MODEL, parameters=4 * 10**9)
    assert last(FakeEngine(big), german).notes == ()
    (note,) = last(FakeEngine(big), german, language="it").notes
    assert note.text("en") == "Fake was not made to write Italian: do not rely on this."


def test_what_can_not_be_wished_for_is_refused():
    for options in ({"length": "huge"}, {"form": "poem"}):
        with pytest.raises(BadInput, match=next(iter(options.values()))):
            SummaryOptions(**options)
    with pytest.raises(BadInput, match="`tlh`"):
        SummaryOptions(language="tlh")
    with pytest.raises(TooLong, match="301"):
        SummaryOptions(focus="x" * 301)
    assert SummaryOptions(language="zh_CN").language == "zh"


def test_a_blank_text_is_refused():
    with pytest.raises(BadInput):
        last(says(""), " \n")


WORDY = " ".join(f"Point {number} is made here with ten small words each." for number in range(1, 60))


@pytest.mark.parametrize("words", [10, 35, 60, 100, 200])
@pytest.mark.parametrize("form", ["paragraph", "bullets"])
def test_a_number_of_words_is_kept(words, form):
    update = last(says(WORDY), WORDY, length=str(words), form=form)
    bullets = update.text.count("- ")
    assert abs(count_words(update.text) - bullets - words) <= max(words / 4, 11)
    assert update.finish == "stop"


def test_a_number_of_words_is_asked_for():
    engine = says(WORDY)
    last(engine, WORDY, length="90")
    assert question(engine.asked[0]) == "Summarize this text in 5 sentences, about 90 words."


def test_a_model_that_says_too_little_reads_smaller_pieces():
    def first_of(request: Request) -> str:
        return written(request.prompt).partition("\n\n")[2].partition(".")[0] + "."

    engine = FakeEngine.of(first_of)
    updates = list(summarize(engine, WORDY, SummaryOptions(length="100")))
    assert len(engine.asked) > 5
    assert 75 <= count_words(updates[-1].text) <= 125
    assert len(set(sentences(updates[-1].text, "en"))) == len(sentences(updates[-1].text, "en"))
    assert [update.finish for update in updates if update.finish] == ["stop"]


def test_no_more_words_than_the_text_has():
    assert count_words(last(says(WORDY), "One is here. Two is here.", length="2000").text) <= 17


def test_words_that_can_not_be_asked_for():
    for length in ("0", "9", "2001", "-5", "1e3", "٣٠", "9" * 5000):
        with pytest.raises(BadInput, match="10"):
            SummaryOptions(length=length)
    assert SummaryOptions(length="120").words == 120
