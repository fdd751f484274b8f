"""What each base costs, as it stands under the choice: name, badge, gigabytes, minutes, and which one Auto takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmapp.backend.device import Hardware
from llmapp.backend.sources import Sources
from llmapp.catalog import Catalog
from llmapp.errors import OutOfMemory
from llmapp.finetune.bases import Bases
from llmapp.finetune.dataset import read_table
from llmapp.finetune.goals import SORTER, WRITER
from llmapp.finetune.order import LessonOrder, order_for
from llmapp.jobs.supervisor import Supervisor
from llmapp.settings import read_settings
from llmapp.ui.finetune_costs import costs
from llmapp.ui.finetune_form import SAMPLES

from .test_limits import asked

LAPTOP = Hardware("cpu", cores=4, ram=8_000_000_000)


def reckoned(catalog: Catalog, free: int, *reports: Any) -> Bases:
    return Bases(catalog, lambda model: None, LAPTOP, free, reports)


def test_every_base_that_can_sort_is_offered_with_its_badge_and_one_is_auto(catalog: Catalog) -> None:
    table = read_table(SAMPLES["sort"])
    wish = order_for(SAMPLES["sort"], LessonOrder())
    found = {offer.model.id: offer for offer in reckoned(catalog, 8 * 10**9).offers(wish, table)}
    assert {name for name, offer in found.items() if offer.auto} == {SORTER}
    assert {offer.model.kind for offer in found.values()} <= {"encoder", "classifier"}
    assert {offer.cost.badge for offer in found.values()} == {"fits"}
    assert found[SORTER].cost.minutes < found["bert-base-uncased"].cost.minutes
    none = reckoned(catalog, 10**8).offers(wish, table)
    assert {(offer.cost.badge, offer.auto) for offer in none} == {("too_big", False)}


def test_auto_takes_none_that_does_not_fit_and_a_person_may(catalog: Catalog) -> None:
    short = reckoned(catalog, 10**8).check_auto
    with pytest.raises(OutOfMemory) as caught:
        order_for(SAMPLES["answer"], LessonOrder(goal="answer"), short)
    assert caught.value.code == "training_auto"
    assert order_for(SAMPLES["answer"], LessonOrder(goal="answer", base=WRITER), short).base == WRITER
    assert (
        order_for(SAMPLES["answer"], LessonOrder(goal="answer"), reckoned(catalog, 8 * 10**9).check_auto).base == WRITER
    )


def test_the_page_shows_what_is_offered_there(catalog: Catalog, tmp_path: Path) -> None:
    settings = read_settings(["--data-dir", str(tmp_path)], {})
    services: Any = SimpleNamespace(
        settings=settings,
        catalog=catalog,
        hardware=LAPTOP,
        sources=Sources(tmp_path / "models", settings),
        supervisor=Supervisor(tmp_path / "jobs", settings, command=("false",)),
    )
    wish = order_for(SAMPLES["sort"], LessonOrder())
    shown = costs(services, str(SAMPLES["sort"]), wish, ["auto", SORTER], asked())
    assert shown.count("<li>") == 1
    assert "all-MiniLM-L6-v2: fits · about" in shown
    assert "Auto takes this one" in shown
    assert "minutes are rough" in shown
    assert costs(services, "", replace(wish, effort="thorough"), [SORTER], asked()) == ""
