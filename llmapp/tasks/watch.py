"""How long work tells how far it is, keeps what it made, and hears that it shall stop. Knows no job and no process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from ..messages import Message

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


class Watch(Protocol):
    """How the work tells how far it is, where it keeps things, and whether it shall stop."""

    def folder(self, name: Literal["checkpoints", "result"]) -> Path:
        """Its own folder."""

    def phase(self, name: str) -> None:
        """What happens now: a word with a sentence `job.phase_<name>`."""

    def say(self, words: Message) -> None:
        """A sentence for the person who watches."""

    def point(self, name: str, step: int, **values: float) -> None:
        """Numbers for a chart."""

    def show(self, step: int, rows: Sequence[Mapping[str, str]]) -> None:
        """What it would say at this step: {"text", "answer"} each."""

    def progress(self, step: int, steps: int) -> None:
        """How far this phase is."""

    def stop_asked(self) -> bool:
        """True when it shall stop and keep what it has."""


class Ordered(Watch, Protocol):
    """A watch that also knows what was asked for, by whom, with which file."""

    @property
    def id(self) -> str:
        """The job's id, and that of an adapter it makes."""

    @property
    def owner(self) -> str:
        """Who asked."""

    @property
    def todo(self) -> Mapping[str, Any]:
        """What was asked for: names and values that this kind of work knows."""

    def file(self, name: str) -> Path:
        """The copy of a file given at the start."""

    def file_name(self, name: str) -> str:
        """What the person called that file."""


def read_order(kind: type[T], todo: Mapping[str, Any]) -> T:
    """What was asked for, as a dataclass of the work's own.

    What a spec of another version lacks has its default; what it has more is left alone.
    """
    return kind(**{each.name: todo[each.name] for each in fields(kind) if each.name in todo})
