"""A file taken apart, "translated" in a way that is easy to check, and put together again."""

from __future__ import annotations

from collections.abc import Callable

from llmapp.backend.engine import Request
from llmapp.messages import Message
from llmapp.tasks.formats.layout import Layout
from llmapp.tasks.formats.translating import FileUpdate, translate_layout
from tests.fake_engine import FakeEngine, written


def asked(request: Request) -> str:
    """The sentence that is to be translated."""
    return written(request.prompt).rpartition("\n\n")[2]


def shouted(request: Request) -> str:
    return asked(request).upper()


def same(layout: Layout) -> bytes:
    """The file again."""
    return layout.filled([block.texts for block in layout.blocks]).data


def last(layout: Layout, answer: Callable[[Request], str] = shouted, target: str = "de") -> FileUpdate:
    engine = FakeEngine.of(answer, context=10**6)
    return list(translate_layout(engine, layout, target, "en"))[-1]


def made(layout: Layout, answer: Callable[[Request], str] = shouted, target: str = "de") -> bytes:
    """The translated file, of which every block could be kept."""
    update = last(layout, answer, target)
    texts, kept = update.texts()
    assert update.finished
    assert kept == ()
    return layout.filled(texts).data


def kept(layout: Layout, answer: Callable[[Request], str]) -> tuple[Message, ...]:
    return last(layout, answer).texts()[1]
