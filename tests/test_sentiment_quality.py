"""What ships to judge sentiment with: whole, honest about itself, and as good as is said, on rows nothing saw."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.bench_sentiment import ADAPTER, compared, english, vader
from benchmarks.data import Snippet, side
from benchmarks.data_en import apart, learned_from, sentences
from benchmarks.data_zh import KEPT, chinese_reviews
from benchmarks.train_linear import MODEL, engine_of, quality, sides
from llmapp.backend.device import detect
from llmapp.backend.pool import Pool
from llmapp.backend.sources import Sources
from llmapp.catalog import Catalog, FolderSource
from llmapp.finetune.alike import text_key
from llmapp.settings import read_settings

ROOT = Path(__file__).parents[1]
LINEAR = ROOT / "models" / "linear"
LINE = 30
"""Characters: two reviews may quote the same line of a song, but nothing longer, unless they are on one side."""


@pytest.mark.parametrize("folder", sorted(LINEAR.glob("*")), ids=lambda folder: folder.name)
def test_a_linear_model_is_whole_small_and_says_where_it_comes_from(folder: Path) -> None:
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert set(files) == {"config.json", "model.safetensors", "report.json"}
    assert sum(files.values()) < 2_000_000
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert all(report["data"][key] for key in ("name", "source", "licence", "citation", "split"))
    (source,) = Catalog.read(ROOT / "models").model(folder.name).sources
    assert isinstance(source, FolderSource)
    revision = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:12]
    assert source.revision == report["revision"] == revision


@pytest.fixture(scope="module")
def reviews() -> list[tuple[Snippet, str]]:
    return chinese_reviews()


def test_chinese_is_as_good_as_its_report_says_on_reviews_it_never_saw(reviews: list[tuple[Snippet, str]]) -> None:
    held_out = sides(reviews)["held out"]
    report = json.loads((LINEAR / MODEL / "report.json").read_text(encoding="utf-8"))
    assert len(held_out) == report["test_rows"] >= 2000
    found = quality(engine_of(LINEAR / MODEL), held_out)
    assert found["accuracy"] == pytest.approx(report["after"]["accuracy"], abs=1e-3)
    assert found["accuracy"] >= 0.8
    assert found["calibration_error"] < 0.03


def test_no_chinese_review_is_nearly_one_on_another_side_or_one_kept_for_judging(
    reviews: list[tuple[Snippet, str]],
) -> None:
    kept = set(KEPT.read_text(encoding="ascii").split())
    assert not kept & {hashlib.sha256(row.text.encode()).hexdigest()[:10] for row, _ in reviews}
    found: dict[str, set[str]] = {}
    for row, family in reviews:
        key = text_key(row.text).replace(" ", "")
        for start in range(max(1, len(key) - LINE + 1)):
            found.setdefault(key[start : start + LINE], set()).add(side(family))
    assert all(len(places) == 1 for places in found.values())


def test_what_english_is_judged_by_is_nearly_nothing_it_was_trained_or_chosen_with() -> None:
    learned = learned_from()
    sets = {"restaurants": sentences("yelp"), "products": sentences("amazon")}
    kept = apart({**sets, "films again": [Snippet(f"{text} !", 1.0, "positive") for text in learned[:50]]}, learned)
    assert not kept["films again"]
    assert min(len(kept["restaurants"]), len(kept["products"])) > 900
    keys = {text_key(text) for text in learned}
    judged = [text_key(row.text) for rows in kept.values() for row in rows]
    assert len(set(judged)) == len(judged)
    assert not keys & set(judged)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_english_is_five_points_above_vader_on_films_and_two_other_domains(packaged: Callable[[str], Path]) -> None:
    catalog = Catalog.read(ROOT / "models")
    data_dir = packaged(catalog.adapter(ADAPTER, "").base)
    sources = Sources(data_dir / "models", read_settings(["--data-dir", str(data_dir)], {}))
    pool = Pool(catalog, sources, detect("cpu"), "fp32")
    sets = english()
    try:
        with pool.lease(ADAPTER) as engine:
            for name in ("film snippets, held out", "restaurants, Kotzias et al.", "products, Kotzias et al."):
                found = compared(engine, sets[name], vader())
                assert found["gain"] >= 5, (name, found)
                assert found["p"] < 0.001
    finally:
        pool.close()
