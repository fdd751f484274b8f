"""Which bases can learn what a person wishes, what each will cost here, and which one Auto takes.

Knows orders, tables, the catalog and what the machine is. Does not know jobs or the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..backend.device import Hardware
from ..backend.sources import Local
from ..catalog import Catalog, Model
from ..errors import OutOfMemory
from .dataset import Table
from .estimate import Estimate, estimate, measured_rate, rows_of
from .goals import KINDS, settings_for
from .lengths import lengths_by
from .order import LessonOrder, pick

Material = tuple[Sequence[str], Sequence[str]]
"""Texts, and their answers."""


@dataclass(frozen=True)
class Offer:
    """A base and what it will cost; `auto` for the one that Auto takes."""

    model: Model
    cost: Estimate
    auto: bool


class Bases:
    """What costs what here. `where` is the place of a model on this disk; `free` is in bytes; `reports` are those of
    trainings that ended here, newest first.
    """

    def __init__(
        self,
        catalog: Catalog,
        where: Callable[[Model], Local | None],
        hardware: Hardware,
        free: int,
        reports: Iterable[Mapping[str, Any]],
    ) -> None:
        self._catalog, self._where, self._hardware, self._free = catalog, where, hardware, free
        self.rate = measured_rate(reports, {model.id: model for model in catalog.models("finetune")})

    def offers(self, order: LessonOrder, table: Table) -> list[Offer]:
        """Every base that can learn this, the packaged ones first. Raises BadInput for rows that can not teach."""
        able = [model for model in self._catalog.models("finetune") if model.kind in KINDS[order.goal]]
        material = order.material(table)
        costs = {model.id: self._cost(order, material, model) for model in able}
        auto = pick(order, table)
        auto = auto if auto in costs and costs[auto].badge != "too_big" else ""
        return [Offer(model, costs[model.id], model.id == auto) for model in able]

    def check_auto(self, order: LessonOrder, table: Table) -> None:
        """Raises OutOfMemory for a base that Auto took and that does not fit."""
        model = self._catalog.model(order.base)
        cost = self._cost(order, order.material(table), model)
        if cost.badge == "too_big":
            values = {"needs_gb": cost.least / 1e9, "free_gb": self._free / 1e9}
            raise OutOfMemory("training_auto", model=model.name, **values)

    def _cost(self, order: LessonOrder, material: Material, model: Model) -> Estimate:
        """The rows as this base's own tokenizer counts them, where it is here."""
        settings, local = settings_for(order.goal, order.settings), self._where(model)
        rows = rows_of(*material, lengths_by(local.folder if local else None), settings)
        return estimate(model, rows, order.effort, settings, self._hardware, self._free, self.rate)
