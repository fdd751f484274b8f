"""The adapters that come with the app: whole, small, honest about themselves, and as good as their cards say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bench_calibration import honesty
from benchmarks.data import movie_snippets, side
from llmapp.backend.adapters import attach
from llmapp.backend.device import choose_precision, detect
from llmapp.backend.loader import load
from llmapp.backend.sources import Sources
from llmapp.catalog import Catalog
from llmapp.finetune.alike import families, text_key
from llmapp.finetune.objective import probabilities
from llmapp.settings import read_settings

ADAPTERS = sorted((Path(__file__).parents[2] / "models" / "adapters").glob("*"))


@pytest.mark.parametrize("folder", ADAPTERS, ids=lambda folder: folder.name)
def test_a_shipped_adapter_is_whole_small_and_says_where_it_comes_from(folder: Path, catalog: Catalog) -> None:
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert set(files) == {"adapter_config.json", "adapter_model.safetensors", "card.json"}
    assert sum(files.values()) < 2_000_000
    adapter = catalog.adapter(folder.name, "anybody")
    assert adapter.owner == ""
    assert catalog.model(adapter.base).packaged
    for name in ("adapter_config.json", "card.json"):
        assert not re.search(r'"(/|[A-Z]:\\)', (folder / name).read_text(encoding="utf-8"))
    data = adapter.report["data"]
    assert all(data[key] for key in ("name", "source", "licence", "citation", "split"))


def test_english_sentiment_is_clearly_better_than_vader_on_rows_held_out(catalog: Catalog) -> None:
    report = catalog.adapter("sentiment-en", "").report
    assert report["test_rows"] > 1500
    assert report["after"]["accuracy"] >= report["vader"]["accuracy"] + 0.1
    assert report["vader"]["p"] < 0.001


def test_nearly_equal_texts_are_on_one_side_for_ever() -> None:
    texts = [
        "A film that is as good as it is long, and it is very long indeed.",
        "A film that is as good as it is long -- and it is very long indeed!",
        "Says one critic: a film that is as good as it is long, and it is very long indeed, with a fine cast too.",
        "Nothing like the others at all.",
    ]
    names = families(texts)
    assert len(set(names[:3])) == 1
    assert names[3] != names[0]
    assert [side(name) for name in "abdf"] == ["held out", "train", "train", "valid"]


@pytest.mark.slow
def test_it_is_as_good_as_its_card_says(catalog: Catalog, packaged: Callable[[str], Path], tmp_path: Path) -> None:
    adapter = catalog.adapter("sentiment-en", "")
    model = catalog.model(adapter.base)
    data_dir = packaged(model.id)
    local = Sources(data_dir / "models", read_settings(["--data-dir", str(data_dir)], {})).where(model)
    assert local
    loaded = load(local, model, choose_precision(model, detect("cpu")))
    view = attach(loaded, adapter.folder, adapter.id)
    snippets = movie_snippets()
    names = families([snippet.text for snippet in snippets])
    learned = {text_key(s.text) for s, name in zip(snippets, names, strict=True) if side(name) != "held out"}
    held_out = [s for s, name in zip(snippets, names, strict=True) if side(name) == "held out"]
    assert not learned & {text_key(snippet.text) for snippet in held_out}
    assert len(held_out) == adapter.report["test_rows"]
    odds = probabilities(view.model, loaded.tokenizer([s.text for s in held_out])["input_ids"])
    right = [view.labels[i] == s.label for i, s in zip(odds.argmax(-1), held_out, strict=True)]
    assert sum(right) / len(right) == pytest.approx(adapter.report["after"]["accuracy"], abs=2e-3)
    truth = np.array([view.labels.index(snippet.label) for snippet in held_out])
    honest = adapter.report["calibration"]["after"]
    assert honest["ece"] < 0.03
    assert honesty(odds.astype(np.float64), truth) == pytest.approx(honest, abs=5e-3)
    assert json.dumps(adapter.report["labels"]) == json.dumps(list(view.labels))
