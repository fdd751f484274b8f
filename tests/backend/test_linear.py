"""The engine over runs of characters: what it computes, what it refuses, and the pool that lends it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from llmapp.backend.device import choose_precision, detect
from llmapp.backend.engine import EngineInfo, Request, ScoreRequest, Turn
from llmapp.backend.linear import LinearEngine, Shape, features, load_linear
from llmapp.backend.sources import Sources
from llmapp.catalog import Catalog, FolderSource, Model
from llmapp.errors import CanNotRun, Refused, SourceError
from llmapp.settings import read_settings
from llmapp.tasks.explain import explain
from llmapp.tasks.sentiment import sentiment

ROOT = Path(__file__).parents[2]
SHAPE = Shape(1, 2, 64)


def entry(folder: Path) -> Model:
    source = FolderSource(folder, "fp16", "abc")
    memory = {"fp32": 1}
    return Model(
        "tiny", "Tiny", "classifier", "linear", ("sentiment",), 128, 10_000, ("zh",), "MIT", "", (source,), memory, {}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model for which 好 is good, 坏 is bad and nothing else matters."""
    weights = np.zeros(SHAPE.buckets, dtype=np.float16)
    one, ends = Shape(1, 1, SHAPE.buckets), set(features("", Shape(1, 1, SHAPE.buckets)).tolist())
    for character, weight in (("好", 6), ("坏", -6)):
        (bucket,) = set(features(character, one).tolist()) - ends
        weights[bucket] = weight
    save_file({"rarity": np.ones(64, dtype=np.float16), "weights": weights}, tmp_path / "model.safetensors")
    config = {"labels": ["bad", "good"], "shortest": 1, "longest": 2, "bias": 0.5}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def engine_of(folder: Path) -> LinearEngine:
    model = entry(folder)
    linear = load_linear(folder, model)
    return LinearEngine(
        linear, EngineInfo(model, "abc", choose_precision(model, detect("cpu")), "fp16", None, linear.labels)
    )


def test_probabilities_are_those_of_the_formula(folder: Path) -> None:
    engine = engine_of(folder)
    (scores,) = engine.score([ScoreRequest("好")])
    runs = {"\n", "好", "\n好", "好\n"}  # the ends of a text count as characters
    assert scores["good"] == pytest.approx(1 / (1 + np.exp(-(0.5 + 6 / np.sqrt(len(runs))))), abs=1e-6)
    assert scores["bad"] == pytest.approx(1 - scores["good"])
    assert engine.score([]) == []
    (told,) = engine.score([ScoreRequest((Turn("user", "好"),))])
    assert told == scores


@given(st.text(max_size=60))
def test_any_text_has_features_in_bounds_whatever_its_width_and_blanks(text: str) -> None:
    found = features(text, SHAPE)
    assert len(found)
    assert (np.diff(found) > 0).all()
    assert found.min() >= 0
    assert found.max() < SHAPE.buckets
    assert (features(f"  {text}\n", SHAPE) == found).all()
    assert (features("ＡＢ Ｃ", SHAPE) == features("ab  c", SHAPE)).all()


def test_it_judges_and_explains_through_the_tasks_and_does_nothing_else(folder: Path) -> None:
    engine = engine_of(folder)
    long = "好" * 300 + "。" + "坏" * 30
    judged = sentiment(engine, ["好", "坏", long])
    assert [each.label for each in judged] == ["good", "bad", "good"]
    assert judged[2].windows == 2
    *_, found = explain(engine, "它坏了好吗好", "bad")
    assert max(found.tokens, key=lambda pair: pair[1])[0].strip() == "坏"
    for work in (
        lambda: list(engine.stream(Request("好"))),
        lambda: engine.generate_batch([Request("好")]),
        lambda: engine.encode(["好"]),
        lambda: engine.score([ScoreRequest("好", ("a", "b"))]),
    ):
        with pytest.raises(CanNotRun, match="Tiny"):
            work()


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors"])
def test_a_damaged_folder_is_said_to_be(folder: Path, broken: str) -> None:
    (folder / broken).write_text("{")
    with pytest.raises(SourceError, match="Tiny"):
        engine_of(folder)


def test_the_pool_lends_it_without_torch_and_the_app_does_not_delete_it(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from llmapp.backend.device import Hardware
        from llmapp.backend.pool import Pool
        from llmapp.backend.sources import Sources
        from llmapp.catalog import Catalog
        from llmapp.settings import read_settings
        from llmapp.tasks.sentiment import sentiment
        sources = Sources(Path(sys.argv[1]), read_settings(["--offline"], {}))
        pool = Pool(Catalog.read(Path("models")), sources, Hardware("cpu", cores=1))
        with pool.lease("sentiment-zh") as engine:
            print([each.label for each in sentiment(engine, ["房间很干净，服务很好，下次还来。", "质量太差，退货！"])])
            print(engine.info.revision, engine.info.precision.kind, engine.info.weights)
        (state,) = pool.loaded()
        assert state.bytes > 1_000_000 and state.adapters == (), state
        assert pool.count_tokens("sentiment-zh", "好") is None
        pool.unload("sentiment-zh")
        assert not pool.loaded()
        pool.close()
        assert "torch" not in sys.modules
    """
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    revision = json.loads((ROOT / "models" / "linear" / "sentiment-zh" / "report.json").read_text())["revision"]
    assert done.stdout.splitlines() == ["['positive', 'negative']", f"{revision} fp32 fp16"]


def test_what_came_with_the_app_stays(tmp_path: Path) -> None:
    sources = Sources(tmp_path, read_settings(["--offline"], {}))
    model = Catalog.read(ROOT / "models").model("sentiment-zh")
    with pytest.raises(Refused, match="came with the app"):
        sources.delete(model)
    assert sources.where(model)


def test_a_card_and_a_wish_change_nothing_about_it(folder: Path) -> None:
    from tests.test_catalog import T4

    for wish in ("auto", "4bit", "bf16"):
        precision = choose_precision(entry(folder), T4, wish)
        assert (precision.kind, precision.device) == ("fp32", "cpu")
