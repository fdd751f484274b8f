"""Which model goes from one language to another: directly where one does, else two by way of English."""

from dataclasses import replace
from pathlib import Path

import pytest

from llmapp.catalog import Catalog, Model
from llmapp.ui.languages import way

CATALOG = Catalog.read(Path(__file__).parents[2] / "models", Path("nowhere"))
ZH_EN, EN_ZH, M2M, GEMMA = (
    CATALOG.model(name) for name in ("opus-mt-zh-en", "opus-mt-en-zh", "m2m100-418m", "gemma-3-270m")
)
EN_IT = replace(EN_ZH, id="opus-mt-en-it", languages=("en", "it"))


@pytest.mark.parametrize(
    ("model", "here", "pair", "free", "expected"),
    [
        (ZH_EN, [ZH_EN], ("zh", "en"), False, (ZH_EN, None)),
        (ZH_EN, [ZH_EN, GEMMA], ("zh", "de"), False, (ZH_EN, GEMMA)),
        (EN_ZH, [EN_ZH, GEMMA], ("fr", "zh"), False, (GEMMA, EN_ZH)),
        (ZH_EN, [ZH_EN, EN_IT], ("zh", "it"), False, (ZH_EN, EN_IT)),
        (GEMMA, [GEMMA, EN_IT], ("de", "it"), True, (GEMMA, EN_IT)),
        (GEMMA, [GEMMA, EN_IT, M2M], ("de", "it"), True, (M2M, None)),
        (GEMMA, [GEMMA, EN_IT, M2M], ("de", "it"), False, (GEMMA, EN_IT)),
        (ZH_EN, [ZH_EN], ("zh", "de"), False, (ZH_EN, None)),
        (ZH_EN, [ZH_EN, GEMMA], ("", "de"), False, (ZH_EN, None)),
    ],
)
def test_the_way_from_one_language_to_another(
    model: Model, here: list[Model], pair: tuple[str, str], free: bool, expected: tuple[Model, Model | None]
) -> None:
    assert way(model, here, pair, free) == expected
