"""Translate a text sentence by sentence, in batches; lines, blank lines and indentation stay as they are.

Knows no page and no weights; what went wrong with a sentence becomes a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

from ..backend.engine import Engine
from ..catalog import Model
from ..messages import Message, message
from .alarms import alarms, quoted
from .asking import request
from .directions import PIVOT, Directions, default_target, directions, has_letters, offered, sides
from .glossary import Term, hidden, missed, standing_in, terms
from .language import SPACELESS, Detection
from .splitting import Parts, cells, lines, paragraphs, pieces, sentences

__all__ = ["Aligned", "TranslationUpdate", "caveat", "default_target", "offered", "sides", "translate"]

WINDOW = 32
"""Sentences sorted by length among themselves: so many, that the first ones appear soon."""

BATCH = 8
"""Sentences an engine writes at once; between two batches the work can be stopped."""

LONGEST = 256
"""Tokens of source written in one go; a longer sentence is cut into pieces between words."""


Segment = tuple[str, str]
"""A sentence and the language it is in."""


@dataclass(frozen=True)
class Written:
    """The translation of a sentence, and what is wrong with it."""

    text: str
    alarms: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Aligned:
    """Sentence `i` of the source, its translation, and its alarms, up to the first that is missing."""

    source: Parts
    target: Parts
    alarms: tuple[tuple[Message, ...], ...]


@dataclass(frozen=True)
class TranslationUpdate:
    """The translation so far: `text` up to the first missing sentence, the whole when `done == total`.

    Counted in sentences. `source` is what most was translated from; `detection` how it was found, None if given.
    `warnings` are about the text and its sentences, `notes` about the model; `aligned` has the same by sentence.
    """

    text: str
    done: int
    total: int
    source: str
    target: str
    detection: Detection | None
    warnings: tuple[Message, ...] = ()
    notes: tuple[Message, ...] = ()
    aligned: Aligned = Aligned(Parts((), ("",)), Parts((), ("",)), ())


def caveat(model: Model) -> Message | None:
    """What a person should know before trusting this model's translations, or None."""
    if model.kind != "causal" or model.parameters >= 10**9:
        return None
    return message("reason.translation_rough", model=model.name)


def translate(
    engine: Engine,
    text: str,
    target: str = "",
    source: str = "",
    *,
    glossary: Iterable[Sequence[str]] = (),
    known: MutableMapping[str, Written] | None = None,
    onward: Engine | None = None,
) -> Iterator[TranslationUpdate]:
    """Translate; languages and what is raised as `directions` has it. `glossary` holds rows of `Term`.

    `known` remembers sentences from one call to the next: what stands in it is not asked for again.
    `onward` translates to the target what `engine` translates to English, where no model does both.
    The first update comes before any sentence is translated; closing stops after the batch at work.
    """
    blocks = paragraphs(text)
    way = directions(engine.info.model, blocks, target, source, onward.info.model if onward else None)
    parts, tongues = _segments(engine, blocks, way.each, LONGEST // 2 if onward else LONGEST)
    segments = [*zip(parts, tongues, strict=True)]
    desk = _Desk(engine, onward, way.target, terms(glossary, way.target), {} if known is None else known)
    ready = {each: Written(each[0]) for each in segments if each[1] in way.kept or not has_letters(each[0])}
    ready |= desk.remembered(each for each in segments if each not in ready)
    state = _State(parts, Parts(parts.texts, _respaced(parts.gaps, tongues, way)), segments, way.notes)
    start = TranslationUpdate("", 0, len(parts), way.source, way.target, way.detection, notes=_notes(engine, onward))
    yield state.update(start, ready)
    for batch in _batches(segments, ready):
        ready |= desk.written(batch)
        yield state.update(start, ready)


@dataclass(frozen=True)
class _Desk:
    """Asks an engine, or two in a row, for sentences, checks what came, and remembers it."""

    engine: Engine
    onward: Engine | None
    target: str
    glossary: tuple[Term, ...]
    known: MutableMapping[str, Written]

    def remembered(self, segments: Iterable[Segment]) -> dict[Segment, Written]:
        """What was translated before by the same model with the same terms."""
        return {each: self.known[key] for each in segments if (key := self._key(each)) in self.known}

    def written(self, batch: Sequence[Segment]) -> dict[Segment, Written]:
        """Translations of sentences in one language."""
        found = [standing_in(text, self.glossary) for text, _ in batch]
        first = self._asked(batch, found)
        again = [i for i, each in enumerate(first) if missed(each.text, found[i])]
        if again:
            masks = [hidden(batch[i][0], found[i]) for i in again]
            repeated = self._asked([(mask.text, batch[0][1]) for mask in masks], [()] * len(masks))
            for i, mask, answer in zip(again, masks, repeated, strict=True):
                first[i] = _better(batch[i][0], first[i], mask.revealed(answer.text), answer)
        done = {each: _checked(each[0], one, wanted) for each, one, wanted in zip(batch, first, found, strict=True)}
        self.known.update({self._key(each): one for each, one in done.items()})
        return done

    def _asked(self, batch: Sequence[Segment], found: Sequence[Sequence[Term]]) -> list[Written]:
        """Each answer on one line. Where nothing came, the sentence stays."""
        written = [Written(text) for text, _ in batch]
        left = [*range(len(batch))]
        legs = self._legs(batch[0][1])
        for engine, pair in legs:
            # On the way to English a term is what it was: only a model that goes all the way is told.
            told = [found[i] if len(legs) == 1 else () for i in left]
            asked = [request(engine, written[i].text, pair, terms) for i, terms in zip(left, told, strict=True)]
            answers = engine.generate_batch(asked) if asked else []
            for i, one, answer in zip(left, asked, answers, strict=True):
                written[i] = _judged(engine, batch[i][0], answer, one.sampling.max_new_tokens)
            left = [i for i, answer in zip(left, answers, strict=True) if answer.strip()]
        return written

    def _legs(self, language: str) -> list[tuple[Engine, tuple[str, str]]]:
        if self.onward is None or self.target == PIVOT:
            return [(self.engine, (language, self.target))]
        last = (self.onward, (PIVOT, self.target))
        return [last] if language == PIVOT else [(self.engine, (language, PIVOT)), last]

    def _key(self, segment: Segment) -> str:
        found = standing_in(segment[0], self.glossary)
        makers = [engine.info.facts() for engine, _ in self._legs(segment[1])]
        return repr((makers, segment, self.target, found))


def _judged(engine: Engine, sentence: str, answer: str, limit: int) -> Written:
    text = " ".join(answer.split())
    if not text:
        return Written(sentence, (message("reason.translation_empty", sentence=quoted(sentence)),))
    if engine.count_tokens(text) >= limit:
        return Written(text, (message("reason.translation_endless", sentence=quoted(sentence)),))
    return Written(text)


def _notes(engine: Engine, onward: Engine | None) -> tuple[Message, ...]:
    """What a person should know of the models that translate."""
    models = [each.info.model for each in (engine, onward) if each]
    rough = [note for model in models if (note := caveat(model))]
    if onward is None:
        return tuple(rough)
    return (message("reason.translation_pivot", first=models[0].name, second=models[1].name), *rough)


def _better(sentence: str, first: Written, repeated: str | None, answer: Written) -> Written:
    """The translation with the terms put in, where nothing else is worse for it."""
    if repeated is None or answer.alarms or len(alarms(sentence, repeated)) > len(alarms(sentence, first.text)):
        return first
    return Written(repeated)


def _checked(sentence: str, written: Written, wanted: Sequence[Term]) -> Written:
    """With all alarms: what it said itself, else how it compares to its source; and terms that are not there."""
    found = written.alarms or tuple(a for a in alarms(sentence, written.text) if not _as_wished(sentence, a, wanted))
    lost = missed(written.text, wanted)
    named = [message("reason.glossary_missed", term=t.term, wanted=t.wanted, sentence=quoted(sentence)) for t in lost]
    return replace(written, alarms=(*found, *named))


def _as_wished(sentence: str, alarm: Message, wanted: Sequence[Term]) -> bool:
    """A sentence that is nothing but terms to leave alone is right as it is."""
    rest = hidden(sentence, (t for t in wanted if not t.translation))
    for sign in rest.wanted:
        rest = replace(rest, text=rest.text.replace(sign, ""))
    return alarm.code == "reason.translation_same" and not has_letters(rest.text)


@dataclass(frozen=True)
class _State:
    """The text in its parts: what an update is made of."""

    source: Parts
    target: Parts
    segments: Sequence[Segment]
    warnings: tuple[Message, ...]

    def update(self, start: TranslationUpdate, ready: Mapping[Segment, Written]) -> TranslationUpdate:
        """`start` with what is ready; a sentence that stands there twice is warned of once."""
        done = [each in ready for each in self.segments]
        first = [*done, False].index(False)
        found = [ready[each] for each in self.segments[:first]]
        target = Parts(tuple(each.text for each in found), self.target.gaps[: first + 1])
        source = Parts(self.source.texts[:first], self.source.gaps[: first + 1])
        named = chain.from_iterable(ready[each].alarms for each in dict.fromkeys(self.segments) if each in ready)
        return replace(
            start,
            text=target.join(),
            done=sum(done),
            warnings=(*self.warnings, *named),
            aligned=Aligned(source, target, tuple(each.alarms for each in found)),
        )


def _segments(engine: Engine, blocks: Parts, each: Sequence[str], longest: int) -> tuple[Parts, list[str]]:
    """Sentences of every line, pieces of those that are longer than is written in one go; and their languages."""
    budget = min(longest, engine.info.model.context // 4)
    tongues: list[str] = []
    coming = iter(each)

    def cut(block: str) -> Parts:
        language = next(coming)
        by_sentence = lines(block).split(cells).split(lambda cell: sentences(cell, language))
        found = by_sentence.split(lambda one: pieces(one, budget, engine.count_tokens, language))
        tongues.extend([language] * len(found))
        return found

    return blocks.split(cut), tongues


def _respaced(gaps: tuple[str, ...], tongues: Sequence[str], way: Directions) -> tuple[str, ...]:
    """Gaps between the sentences of one line as the target writes them; all that hold a line end stay."""
    after = "" if way.target in SPACELESS else " "
    changed = list(gaps)
    for place, (one, other) in enumerate(pairwise(tongues), start=1):
        before = "" if one in SPACELESS else " "
        if one == other and one not in way.kept and gaps[place] == before:
            changed[place] = after
    return tuple(changed)


def _batches(segments: Iterable[Segment], ready: Mapping[Segment, Written]) -> Iterator[list[Segment]]:
    """What is still to do, each sentence once: in the text's order by window, by length inside one, by language."""
    todo = list(dict.fromkeys(each for each in segments if each not in ready))
    for start in range(0, len(todo), WINDOW):
        window = sorted(todo[start : start + WINDOW], key=lambda each: len(each[0]))
        for language in dict.fromkeys(language for _, language in window):
            alike = [each for each in window if each[1] == language]
            for first in range(0, len(alike), BATCH):
                yield alike[first : first + BATCH]
