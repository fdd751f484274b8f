"""Translate what a person reads of a file, and make the file again with it.

Whole sentences go to `translate`, one a line. What in a sentence has a look of its own, and is not found again in the
sentence's translation, is translated once more by itself: that tells where it stands. Knows no format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...backend.engine import Engine
from ...messages import Message, message
from ..alarms import quoted
from ..language import detect, normalise
from ..translate import TranslationUpdate, translate
from .layout import Block, Layout
from .placing import Unit, merged, one_by_one, placed, units, unsure

Known = Mapping[str, str]
"""Translations of single stretches."""


@dataclass(frozen=True)
class FileUpdate:
    """How far it is, in sentences, and what `translate` said of them. `lines` are the units translated so far.

    `finished` when all is done, stretches that were translated by themselves included.
    """

    layout: Layout
    plan: Sequence[Sequence[Unit]]
    lines: Sequence[str]
    known: Known
    done: int
    total: int
    said: TranslationUpdate
    finished: bool = False

    def texts(self) -> tuple[list[list[str]], tuple[Message, ...]]:
        """Texts of each block's runs, with what is not translated yet as it was; and which ones had to stay so."""
        lines = iter(self.lines)
        texts, kept = [], []
        for block, its_units in zip(self.layout.blocks, self.plan, strict=True):
            translated = [next(lines, unit.text) if unit.readable else unit.text for unit in its_units]
            made = _fitting(block, its_units, translated, self.known)
            if made is None:
                kept.append(
                    message("reason.translation_markup", sentence=quoted(" ".join("".join(block.texts).split())))
                )
            texts.append(made or block.texts)
        return texts, tuple(kept)


def translate_layout(
    engine: Engine,
    layout: Layout,
    target: str = "",
    source: str = "",
    glossary: Sequence[Sequence[str]] = (),
    onward: Engine | None = None,
) -> Iterator[FileUpdate]:
    """Translate; all but the layout as in `translate`, which raises BadInput for languages that can not be.

    `filled(update.texts())` of the layout is the file at any moment; closing stops after the batch at work.
    """
    language = normalise(source) if source else detect(layout.text()).language
    plan = [units(block, language) for block in layout.blocks]
    update = FileUpdate(layout, plan, (), {}, 0, 0, TranslationUpdate("", 0, 0, "", "", None))
    for said in translate(engine, _joined(layout.blocks, plan), target, source, glossary=glossary, onward=onward):
        update = replace(update, lines=_lines(said), done=said.done, total=said.total, said=said)
        yield update
    stretches = list(dict.fromkeys(_stretches(update)))
    first, languages = update, (update.said.target, update.said.source)
    if stretches and languages[0] != languages[1]:
        for more in translate(engine, "\n".join(stretches), *languages, glossary=glossary, onward=onward):
            known = dict(zip(stretches, _lines(more), strict=False))
            update = replace(first, known=known, done=first.done + more.done, total=first.total + more.total)
            yield update
    yield replace(update, finished=True)


def _joined(blocks: Sequence[Block], plan: Sequence[Sequence[Unit]]) -> str:
    """All there is to translate, a unit a line and paragraphs apart."""
    pieces = []
    for block, its_units in zip(blocks, plan, strict=True):
        before = "\n\n" if "\n\n" in block.before else "\n"
        for unit in its_units:
            if unit.readable:
                pieces += [before, unit.text]
                before = "\n"
    return "".join(pieces[1:])


def _lines(said: TranslationUpdate) -> list[str]:
    """The lines that are whole."""
    lines = re.split(r"\n+", said.text)
    return lines if said.done == said.total else lines[:-1]


def _fitting(block: Block, its_units: Sequence[Unit], translated: Sequence[str], known: Known) -> list[str] | None:
    """Texts of the runs that the block's format can hold: sentences cut up, else stretches put together, else None."""
    both = list(zip(its_units, translated, strict=True))
    cut = [placed(unit, text, known) or one_by_one(unit, known) for unit, text in both]
    together = [placed(unit, text, known) if len(unit.inner) < 2 else one_by_one(unit, known) for unit, text in both]
    for way in (cut, together):
        texts = merged(block, _or_as_it_was(its_units, way))
        if block.write(texts) is not None:
            return texts
    return None


def _or_as_it_was(its_units: Sequence[Unit], made: Sequence[Sequence[str] | None]) -> list[tuple[Unit, Sequence[str]]]:
    return [(unit, new or [piece.text for piece in unit.pieces]) for unit, new in zip(its_units, made, strict=True)]


def _stretches(update: FileUpdate) -> Iterator[str]:
    """What is to be translated by itself: what was not found again, and all of a sentence that can not be cut."""
    lines = iter(update.lines)
    for block, its_units in zip(update.layout.blocks, update.plan, strict=True):
        translated = [next(lines) if unit.readable else unit.text for unit in its_units]
        cut = [placed(unit, text, {}) for unit, text in zip(its_units, translated, strict=True)]
        refused = block.write(merged(block, _or_as_it_was(its_units, cut))) is None
        for unit, text, made in zip(its_units, translated, cut, strict=True):
            if made is None or refused:
                yield from unit.stretches
            else:
                yield from unsure(unit, text)
