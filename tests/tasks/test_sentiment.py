"""Labels and probabilities of every kind of model, the whole of a long text, and a bias that is taken off."""

from dataclasses import replace

import numpy as np
import pytest

from llmapp.backend.engine import ScoreRequest
from llmapp.errors import BadInput
from llmapp.tasks.sentiment import (
    BATCH,
    FEELINGS,
    REFERENCES,
    WINDOW,
    classify,
    classify_each,
    sentiment,
    sentiment_each,
)
from tests.fake_engine import MODEL, FakeEngine, written


def asked_about(request: ScoreRequest) -> str:
    return written(request.prompt).rpartition("Text: ")[2].partition("\n")[0]


def by_word(request: ScoreRequest) -> dict[str, float]:
    """A model with an opinion on two words, and none on the rest."""
    good = {"wonderful": 0.9, "dreadful": 0.1}
    share = next((p for word, p in good.items() if word in asked_about(request)), 0.5)
    return dict(zip(request.candidates, (share, 1 - share), strict=True))


def biased(request: ScoreRequest) -> dict[str, float]:
    """The same, with odds nine times too good."""
    first, second = by_word(request).values()
    total = 9 * first + second
    return dict(zip(request.candidates, (9 * first / total, second / total), strict=True))


def classifier(**changes: object) -> FakeEngine:
    def judge(request: ScoreRequest) -> dict[str, float]:
        calm = request.prompt.count("calm") / max(1, len(request.prompt.split()))
        return {"calm": calm, "angry": (1 - calm) * 0.75, "sad": (1 - calm) * 0.25}

    return FakeEngine(replace(MODEL, kind="classifier", **changes), judge=judge)


def encoder(**changes: object) -> FakeEngine:
    return FakeEngine(replace(MODEL, kind="encoder", **changes))


def test_a_causal_model_is_asked_how_likely_each_word_follows():
    engine = FakeEngine(judge=by_word)
    good, bad = sentiment(engine, ["A wonderful day.", "A dreadful\n day."])
    assert (good.label, bad.label) == ("positive", "negative")
    assert good.scores == pytest.approx({"positive": 0.9, "negative": 0.1})
    assert (good.windows, good.notes) == (1, ())
    last = engine.scored[-1]
    assert last.prompt.endswith("\n\nText: A dreadful day.\nSentiment:")
    assert last.candidates == (" positive", " negative")


def test_what_a_model_favours_for_no_reason_is_taken_off():
    found = sentiment(FakeEngine(judge=biased), ["A wonderful day.", "A dreadful day.", "A day."])
    assert [judgement.scores["positive"] for judgement in found] == pytest.approx([0.9, 0.1, 0.5])


def test_the_references_are_judged_once_for_all_texts():
    engine = FakeEngine(judge=by_word)
    sentiment(engine, ["A day."] * 3 * BATCH)
    assert [asked_about(request) for request in engine.scored[:8]] == list(REFERENCES)
    assert len(engine.scored) == len(REFERENCES) + 3 * BATCH


def test_a_classifier_answers_with_its_own_labels():
    engine = classifier()
    (found,) = sentiment(engine, ["calm rain"])
    assert (found.label, found.scores) == ("calm", {"calm": 0.5, "angry": 0.375, "sad": 0.125})
    assert engine.scored == [ScoreRequest("calm rain")]
    assert classify(engine, ["calm rain"]) == [found]


@pytest.mark.parametrize("kind", ["encoder", "causal"])
def test_what_an_adapter_gave_a_head_is_a_classifier(kind):
    engine = replace(classifier(), labels=("calm", "angry", "sad"))
    engine.model = replace(engine.model, kind=kind)
    assert sentiment(engine, ["calm"])[0].label == "calm"


def test_an_encoder_compares_with_descriptions():
    feelings = {"happy and full of praise": [1, 0], "unhappy and complains": [0, 1], "fine": [3, 1], "": [0, 1]}
    engine = encoder()
    engine.vector = lambda text: np.array(next(v for k, v in feelings.items() if k in text), dtype=np.float32)
    good, bad = sentiment(engine, ["it is fine", "no"])
    assert (good.label, bad.label) == ("positive", "negative")
    assert sum(good.scores.values()) == pytest.approx(1)
    assert set(FEELINGS.values()) < set(engine.encoded)


def test_a_long_text_is_read_to_its_end_and_that_is_said():
    text = " ".join(["calm"] * WINDOW + ["storm"] * (WINDOW // 2))
    engine = classifier()
    (found,) = sentiment(engine, [text])
    assert " ".join(request.prompt for request in engine.scored) == text
    assert max(engine.count_tokens(request.prompt) for request in engine.scored) <= WINDOW
    assert found.windows == 2
    assert found.scores["calm"] == pytest.approx(2 / 3, abs=0.01)
    assert sum(found.scores.values()) == pytest.approx(1)
    assert "2" in found.notes[0].text("en")
    assert "2" in found.notes[0].text("zh")


@pytest.mark.parametrize("context", [180, 300])
def test_a_short_context_makes_smaller_windows(context):
    """The fake engine raises when a prompt does not fit."""
    text = " ".join(f"word{number}" for number in range(500))
    for labels in ((), ("rain", "sun")):
        engine = FakeEngine(replace(MODEL, context=context), judge=lambda r: dict.fromkeys(r.candidates, 0.5))
        (found,) = classify(engine, [text], labels)
        assert found.windows >= 500 // context
        read = [asked_about(request) for request in engine.scored]
        assert " ".join(read).endswith(text)


def test_a_text_in_a_language_that_the_model_lacks_is_marked():
    (found,) = sentiment(classifier(languages=("en",)), ["Das ist ein ganz einfacher Satz."])
    assert "German" in found.notes[0].text("en")
    assert "德语" in found.notes[0].text("zh")


@pytest.mark.parametrize("work", [sentiment, lambda engine, texts: classify(engine, texts, ["a", "b"])])
def test_a_blank_text_is_refused(work):
    for engine in (FakeEngine(judge=by_word), classifier(labels=("a", "b")), encoder()):
        with pytest.raises(BadInput) as refused:
            work(engine, [" \n"])
        assert refused.value.code == "prompt_empty"


def test_labels_of_ones_own_are_weighed_against_a_text_without_content():
    def judge(request: ScoreRequest) -> dict[str, float]:
        weights = {" rain": 8.0, " sun": 1.0, " snow": 1.0}
        if "umbrella" in asked_about(request):
            weights[" sun"] *= 4
        total = sum(weights.values())
        return {label: weights[label] / total for label in request.candidates}

    engine = FakeEngine(judge=judge)
    (found,) = classify(engine, ["an umbrella"], ["rain", "sun", " snow ", "sun", ""])
    assert found.scores == pytest.approx({"rain": 1 / 6, "sun": 4 / 6, "snow": 1 / 6})
    assert found.label == "sun"
    assert engine.scored[-1].prompt == "Categories: rain, sun, snow\n\nText: an umbrella\nCategory:"


def test_each_of_several_labels_has_a_probability_of_its_own():
    def judge(request: ScoreRequest) -> dict[str, float]:
        yes = 0.9 if "about sun?" in request.prompt and "umbrella" in request.prompt else 0.5
        return dict(zip(request.candidates, (yes, 1 - yes), strict=True))

    (found,) = classify(FakeEngine(judge=judge), ["an umbrella"], ["sun", "rain"], multi_label=True)
    assert found.scores == pytest.approx({"sun": 0.9, "rain": 0.5})
    (single,) = classify(FakeEngine(judge=judge), ["an umbrella"], ["sun"], multi_label=True)
    assert single.scores == pytest.approx({"sun": 0.9})


def test_an_encoder_sorts_by_what_is_nearest():
    engine = encoder()
    (found,) = classify(engine, ["zzz zzz"], ["zzz", "qqq"])
    assert found.label == "zzz"
    assert sum(found.scores.values()) == pytest.approx(1)
    (found,) = classify(engine, ["zzz zzz"], ["zzz", "qqq"], multi_label=True)
    assert found.scores["zzz"] > 0.9
    assert found.scores["qqq"] <= 0.5


def test_a_classifier_chooses_among_its_labels_only():
    (found,) = classify(classifier(), ["calm rain"], ["angry", "sad"])
    assert found.scores == pytest.approx({"angry": 0.75, "sad": 0.25})
    for labels, multi_label in ((["calm", "hungry"], False), (["calm", "sad"], True)):
        with pytest.raises(BadInput, match="calm, angry, sad"):
            classify(classifier(), ["calm rain"], labels, multi_label)


def test_one_label_is_no_choice():
    with pytest.raises(BadInput, match="`rain`"):
        classify(FakeEngine(judge=by_word), ["x"], ["rain", " rain "])


@pytest.mark.parametrize("each", [sentiment_each, classify_each])
def test_judgements_come_one_by_one_and_no_batch_is_read_ahead(each):
    engine = classifier()
    stream = each(engine, ["calm"] * 5 * BATCH)
    next(stream)
    stream.close()
    assert len(engine.scored) == BATCH


def test_no_texts_no_judgements():
    assert sentiment(classifier(), []) == []
