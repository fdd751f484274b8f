"""Translate a text sentence by sentence, in batches; lines, blank lines and indentation stay as they are.

Three kinds of model get three kinds of request: examples to continue (base), an instruction (chat), language
codes (sequence to sequence). Knows no page and no weights; what went wrong with a sentence becomes a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..backend.engine import Engine, Request, Sampling, Turn
from ..catalog import Model
from ..errors import BadInput
from ..messages import Message, message
from .alarms import alarms, quoted
from .examples import PARALLEL
from .language import NAMES, UNDETERMINED, Detection, detect, name, normalise
from .splitting import Parts, cells, lines, pieces, sentences

WINDOW = 32
"""Sentences sorted by length among themselves: so many, that the first ones appear soon."""

BATCH = 8
"""Sentences an engine writes at once; between two batches the work can be stopped."""

LONGEST = 256
"""Tokens of source written in one go; a longer sentence is cut into pieces between words."""

SPARE = 24
"""Tokens a translation may have beyond twice its source, which it practically never needs."""

_SPACELESS = ("zh", "zh-Hant", "ja")


@dataclass(frozen=True)
class TranslationUpdate:
    """The translation so far: `text` up to the first missing sentence, the whole when `done == total`.

    Counted in sentences. `source` is what was translated from; `detection` how it was found, None if given.
    `warnings` are about the text, `notes` about the model.
    """

    text: str
    done: int
    total: int
    source: str
    target: str
    detection: Detection | None
    warnings: tuple[Message, ...] = ()
    notes: tuple[Message, ...] = ()


def default_target(source: str) -> str:
    """English for all languages but English, which goes to Chinese; the undetermined is taken for English."""
    return "zh" if source in ("en", UNDETERMINED) else "en"


def offered(model: Model) -> tuple[str, ...]:
    """Languages a model translates between; a base model only those that there are examples of."""
    known = PARALLEL if model.kind == "causal" and not model.chat else NAMES
    return tuple(tag for tag in model.languages if tag in known)


def sides(model: Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Languages a model translates from, and those it translates to."""
    offers = offered(model)
    return (offers[:1], offers[1:]) if model.one_way else (offers, offers)


def caveat(model: Model) -> Message | None:
    """What a person should know before trusting this model's translations, or None."""
    if model.kind != "causal" or model.parameters >= 10**9:
        return None
    return message("reason.translation_rough", model=model.name)


def translate(engine: Engine, text: str, target: str = "", source: str = "") -> Iterator[TranslationUpdate]:
    """Translate; languages are BCP-47, an empty source is detected, an empty target is `default_target`.

    The first update comes before any sentence is translated; closing stops after the batch at work.
    Raises BadInput for an unknown language, one the model lacks, or a text whose language can not be told.
    """
    pair, detection = _languages(engine.info.model, text, target, source)
    segments = _segments(engine, text, pair[0])
    warnings = _first_warnings(pair, detection, segments)
    ready = {each: each for each in segments if pair[0] == pair[1] or not _has_letters(each)}
    parts = Parts(segments.texts, _respaced(segments.gaps, pair))
    rough = caveat(engine.info.model)
    notes = (rough,) if rough else ()
    start = TranslationUpdate("", 0, len(segments), *pair, detection, warnings, notes)
    yield _update(start, parts, ready)
    for batch in _batches(segments, ready):
        requests = [_request(engine, each, pair) for each in batch]
        for each, asked, answer in zip(batch, requests, engine.generate_batch(requests), strict=True):
            ready[each], found = _judged(engine, each, answer, asked.sampling.max_new_tokens)
            warnings += found
        yield _update(replace(start, warnings=warnings), parts, ready)


def _languages(model: Model, text: str, target: str, source: str) -> tuple[tuple[str, str], Detection | None]:
    """The pair to translate between, and how its first was found."""
    offers = offered(model)
    wanted = normalise(target) if target else ""
    detection = None if source else detect(text)
    came_from = normalise(source) if detection is None else _best_guess(detection, offers, wanted, text)
    pair = (came_from, wanted or default_target(came_from))
    for tag in pair:
        if tag not in offers and pair[0] != pair[1]:
            language = Message(f"language.{tag}")
            raise BadInput("translation_language", language=language, model=model.name, offers=", ".join(offers))
    if model.one_way and pair == offers[::-1]:
        first, second = (Message(f"language.{tag}") for tag in offers)
        raise BadInput("translation_one_way", model=model.name, source=first, target=second)
    return pair, detection


def _best_guess(detection: Detection, offers: Sequence[str], target: str, text: str) -> str:
    """The source to take: what is certain, else the likeliest that the model has, else English."""
    possible = [tag for tag, _ in detection.candidates if tag in offers and tag != target]
    if detection.certain or detection.language in possible:
        return detection.language
    if target != "en" or not _has_letters(text):
        return "en"
    if possible:
        return possible[0]
    raise BadInput("language_unsure", text=quoted(text))


def _first_warnings(pair: tuple[str, str], detection: Detection | None, segments: Parts) -> tuple[Message, ...]:
    language = Message(f"language.{pair[0]}")
    if not any(map(_has_letters, segments)):
        return ()
    if pair[0] == pair[1]:
        return (message("reason.translation_not_needed", language=language),)
    if detection is not None and not detection.certain:
        return (message("reason.language_unsure", language=language),)
    return ()


def _segments(engine: Engine, text: str, language: str) -> Parts:
    """Sentences of every line, and pieces of those that are longer than is written in one go."""
    budget = min(LONGEST, engine.info.model.context // 4)
    by_sentence = lines(text).split(cells).split(lambda cell: sentences(cell, language))
    return by_sentence.split(lambda each: pieces(each, budget, engine.count_tokens, language))


def _respaced(gaps: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    """Gaps between the sentences of one line as the target writes them; all that hold a line end stay."""
    dense = [tag in _SPACELESS for tag in pair]
    if dense[0] == dense[1]:
        return gaps
    before, after = ("", " ") if dense[0] else (" ", "")
    return (gaps[0], *(after if gap == before else gap for gap in gaps[1:-1]), *gaps[1:][-1:])


def _batches(segments: Parts, ready: Mapping[str, str]) -> Iterator[list[str]]:
    """What is still to do, each sentence once: in the text's order by window, by length inside one."""
    todo = list(dict.fromkeys(each for each in segments if each not in ready))
    for start in range(0, len(todo), WINDOW):
        window = sorted(todo[start : start + WINDOW], key=len)
        for first in range(0, len(window), BATCH):
            yield window[first : first + BATCH]


def _request(engine: Engine, sentence: str, pair: tuple[str, str]) -> Request:
    model = engine.info.model
    sampling = Sampling(temperature=0.0, max_new_tokens=2 * engine.count_tokens(sentence) + SPARE)
    if model.kind == "seq2seq":
        return Request(sentence, sampling, languages=pair)
    names = (name(pair[0]), name(pair[1]))
    if model.chat:
        wish = f"Translate this from {names[0]} to {names[1]}. Write the translation only.\n\n{sentence}"
        return Request((Turn("user", wish),), sampling)
    shown = zip(PARALLEL[pair[0]], PARALLEL[pair[1]], strict=True)
    examples = "".join(f"{names[0]}: {a}\n{names[1]}: {b}\n\n" for a, b in shown)
    return Request(f"{examples}{names[0]}: {sentence}\n{names[1]}:", sampling, stop=("\n",))


def _judged(engine: Engine, sentence: str, answer: str, limit: int) -> tuple[str, tuple[Message, ...]]:
    """The translation on one line, and what is wrong with it. Where nothing came, the sentence stays."""
    text = " ".join(answer.split())
    if not text:
        return sentence, (message("reason.translation_empty", sentence=quoted(sentence)),)
    if engine.count_tokens(text) >= limit:
        return text, (message("reason.translation_endless", sentence=quoted(sentence)),)
    return text, alarms(sentence, text)


def _update(start: TranslationUpdate, parts: Parts, ready: Mapping[str, str]) -> TranslationUpdate:
    done = [each in ready for each in parts]
    first = [*done, False].index(False)
    texts = [ready[each] for each in parts[:first]]
    upto = Parts(parts.texts[:first], parts.gaps[: first + 1])
    return replace(start, text=upto.join(texts), done=sum(done))


def _has_letters(text: str) -> bool:
    return any(letter.isalpha() for letter in text)
