"""The packaged models do each task: what a person gets with nothing but the app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sacrebleu import corpus_chrf

from llmapp.backend.torch_engine import TorchEngine
from llmapp.catalog import Catalog
from llmapp.tasks.extract import extract
from llmapp.tasks.receipts import receipts
from llmapp.tasks.sentiment import classify, sentiment
from llmapp.tasks.summarize import SummaryOptions, SummaryUpdate, summarize
from llmapp.tasks.translate import offered, translate
from tests.backend.engines import engine_on

pytestmark = pytest.mark.slow

PRAISE = (
    "The room was bright, the bed was soft and breakfast was delicious.",
    "I laughed from the first scene to the last.",
    "Fast delivery, and the jacket fits like a glove.",
    "She explained everything patiently and solved my problem at once.",
    "Easily the best concert I have been to.",
    "The new version is quicker and much easier to use.",
)
COMPLAINT = (
    "The soup was cold and the waiter ignored us.",
    "Two hours of my life that I will never get back.",
    "The zip broke on the first day.",
    "Nobody answered my letters, and I lost the money.",
    "The plot makes no sense and the jokes fall flat.",
    "Since the update it crashes every time.",
)
ARTICLE = (
    "The town of Millbrook has opened a new bridge over the river Arden. It replaces the old bridge, which was "
    "built in 1911 and had been closed to lorries for nine years. The new bridge is 240 metres long, has two lanes "
    "for cars and a separate path for bicycles. It cost 18 million euros, of which the state paid two thirds. "
    "Building it took three years, one more than planned, because a flood damaged the foundations. The mayor said "
    "that the bridge would shorten the way to the hospital by twenty minutes. Shop owners in the old town hope for "
    "more visitors. The old bridge will be kept for walkers."
)
LINES = {
    "en": "The museum is open every day.\nPlease close the window.\n\n  My brother lives in a small village.",
    "de": "Das Museum ist täglich geöffnet.\nBitte schließe das Fenster.\n\n  Mein Bruder lebt in einem kleinen Dorf.",
    "fr": "Le musée est ouvert tous les jours.\nFermez la fenêtre.\n\n  Mon frère vit dans un petit village.",
    "es": "El museo está abierto todos los días.\nCierre la ventana.\n\n  Mi hermano vive en un pueblo pequeño.",
    "zh": "博物馆每天开放。\n请关上窗户。\n\n  我的哥哥住在一个小村庄里。",
}


@pytest.fixture(scope="module")
def engine(packaged: Callable[[str], Path], catalog: Catalog) -> Iterator[Callable[[str], TorchEngine]]:
    made: dict[str, TorchEngine] = {}

    def get(model_id: str) -> TorchEngine:
        if model_id not in made:
            made[model_id] = engine_on(packaged(model_id) / "models" / model_id, catalog.model(model_id))
        return made[model_id]

    yield get
    for each in made.values():
        each.end()


@pytest.mark.parametrize("model", ["smollm2-135m-instruct", "gemma-3-270m"])
def test_praise_and_complaint_are_told_apart(engine, model):
    found = sentiment(engine(model), [*PRAISE, *COMPLAINT])
    right = [j.label == ("positive" if i < len(PRAISE) else "negative") for i, j in enumerate(found)]
    assert sum(right) >= 11


@pytest.mark.parametrize("model", ["smollm2-135m-instruct", "all-minilm-l6-v2"])
def test_own_labels_are_found_without_training(engine, model):
    texts = {
        "sport": "The runner broke the world record in the marathon.",
        "cooking": "Simmer the onions in butter and add the rice.",
        "politics": "Parliament passed the new law after a long debate.",
        "finance": "Shares fell after the company reported a loss.",
        "medicine": "The surgeon replaced the knee joint.",
    }
    found = classify(engine(model), list(texts.values()), list(texts))
    assert sum(j.label == label for j, label in zip(found, texts, strict=True)) >= 4


@pytest.mark.parametrize("form", ["paragraph", "bullets", "headline"])
def test_an_article_is_summarized(engine, form):
    updates = list(summarize(engine("smollm2-135m-instruct"), ARTICLE, SummaryOptions(form=form)))
    final = updates[-1].text
    assert "bridge" in final.lower()
    assert 0 < len(final.split()) < len(ARTICLE.split()) * 0.7
    assert len(final.splitlines()) == (final.count("\n- ") + 1 if form == "bullets" else 1)
    assert len({update.text for update in updates}) > 3
    assert updates[-1].words_read == updates[-1].words_total


def test_the_base_model_translates_what_it_offers(engine):
    gemma = engine("gemma-3-270m")
    assert set(offered(gemma.info.model)) == set(LINES)
    for target in ("de", "fr", "es", "zh"):
        *_, there = translate(gemma, LINES["en"], target, "en")
        *_, back = translate(gemma, LINES[target], "en", target)
        for update, wanted in ((there, LINES[target]), (back, LINES["en"])):
            assert [len(line) - len(line.lstrip()) for line in update.text.split("\n")] == [0, 0, 0, 2]
            copied = corpus_chrf([LINES[update.source]], [[wanted]]).score
            assert corpus_chrf([update.text], [[wanted]]).score > copied + 8, update


def test_sentences_are_taken_by_the_encoder_however_long_they_are(engine):
    encoder = engine("all-minilm-l6-v2")
    endless = f"The bridge is {' and '.join(['long'] * 255)}, they say."
    *_, last = extract(f"{ARTICLE} {endless}", SummaryOptions(length="short"), encoder)
    assert last.text.count(".") == 3
    assert all(sentence.strip() in ARTICLE for sentence in last.text.rstrip(".").split("."))
    *_, asked = extract(ARTICLE, SummaryOptions(length="sentence", focus="money"), encoder)
    assert "18 million euros" in asked.text


def test_the_encoder_finds_what_a_sentence_in_other_words_rests_on(engine):
    said = "Patients will get to the clinic faster. Two lanes are for cars. Penguins cannot fly over frozen oceans."
    right, same, wrong = receipts(SummaryUpdate(said, 1, 1, 1, 1, "stop"), ARTICLE, engine("all-minilm-l6-v2"))
    assert "hospital" in right.sources[0].text
    assert same.supported
    assert not wrong.sources
