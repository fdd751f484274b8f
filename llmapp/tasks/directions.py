"""From which language each paragraph of a text is translated, and to which.

Knows what a model offers and how languages are told apart; translates nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..catalog import Model
from ..errors import BadInput
from ..messages import Message, message
from .alarms import quoted
from .examples import PARALLEL
from .language import NAMES, UNDETERMINED, Detection, detect, normalise

PIVOT = "en"
"""What two models in a row have in common."""


@dataclass(frozen=True)
class Directions:
    """`source` is what most of the text is in, `each` what each paragraph is in; `kept` are languages that stay.

    `detection` tells how the source was found, None if it was given. `notes` say what a person must know of it.
    """

    source: str
    target: str
    each: tuple[str, ...]
    kept: frozenset[str]
    detection: Detection | None
    notes: tuple[Message, ...]


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


def reach(model: Model, onward: Model | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`sides` of two models in a row: the first writes English, and `onward` translates that."""
    if onward is None:
        return sides(model)
    return (*dict.fromkeys((*sides(model)[0], PIVOT)),), sides(onward)[1]


def directions(
    model: Model, paragraphs: Sequence[str], target: str, source: str, onward: Model | None = None
) -> Directions:
    """Languages are BCP-47; an empty source is found, paragraph by paragraph; an empty target is `default_target`.

    A paragraph that is surely in another language than most is translated from it; one too short to tell goes with the
    others. With `onward`, two models go by way of English (`reach`).
    Raises BadInput for an unknown language, one the model lacks, or a text whose language can not be told.
    """
    froms, tos = reach(model, onward)
    offers = tuple(dict.fromkeys((*froms, *tos)))
    wanted = normalise(target) if target else ""
    alone = [] if source else [detect(each) for each in paragraphs]
    detection = None if source else _whole(paragraphs, alone)
    main = normalise(source) if detection is None else _best_guess(detection, offers, wanted, paragraphs)
    pair = (main, wanted or default_target(main))
    _check(model, pair, offers)
    each = tuple(found.language if found.certain else main for found in alone) or (main,) * len(paragraphs)
    kept = frozenset(tag for tag in each if tag == pair[1] or tag not in froms)
    return Directions(*pair, each, kept, detection, _notes(model, paragraphs, pair, each, kept, detection))


def has_letters(text: str) -> bool:
    """False for numbers, rules and bullets, which are the same in every language."""
    return any(letter.isalpha() for letter in text)


def _whole(paragraphs: Sequence[str], alone: Sequence[Detection]) -> Detection:
    """The language of a text; of a mixed one that of which it has most: as a whole it can look like a third one."""
    letters: Counter[str] = Counter()
    for text, each in zip(paragraphs, alone, strict=True):
        if each.certain:
            letters[each.language] += len(text)
    found = detect("\n\n".join(paragraphs))
    if not letters or (found.certain and set(letters) == {found.language}):
        return found
    most = max(letters, key=lambda tag: letters[tag])
    return detect("\n\n".join(text for text, each in zip(paragraphs, alone, strict=True) if each.language == most))


def _check(model: Model, pair: tuple[str, str], offers: tuple[str, ...]) -> None:
    for tag in pair:
        if tag not in offers and pair[0] != pair[1]:
            language = Message(f"language.{tag}")
            raise BadInput("translation_language", language=language, model=model.name, offers=", ".join(offers))
    if model.one_way and pair == offers[::-1]:
        first, second = (Message(f"language.{tag}") for tag in offers)
        raise BadInput("translation_one_way", model=model.name, source=first, target=second)


def _best_guess(detection: Detection, offers: Sequence[str], target: str, paragraphs: Sequence[str]) -> str:
    """The source to take: what is certain, else the likeliest that the model has, else English."""
    possible = [tag for tag, _ in detection.candidates if tag in offers and tag != target]
    if detection.certain or detection.language in possible:
        return detection.language
    if target != "en" or not any(map(has_letters, paragraphs)):
        return "en"
    if possible:
        return possible[0]
    raise BadInput("language_unsure", text=quoted("\n\n".join(paragraphs)))


def _notes(
    model: Model,
    paragraphs: Sequence[str],
    pair: tuple[str, str],
    each: Sequence[str],
    kept: Collection[str],
    detection: Detection | None,
) -> tuple[Message, ...]:
    counts = Counter(tag for tag, text in zip(each, paragraphs, strict=True) if has_letters(text))
    if not counts:
        return ()
    if set(counts) == {pair[1]}:
        return (message("reason.translation_not_needed", language=Message(f"language.{pair[1]}")),)
    asides = [(tag, count) for tag, count in counts.items() if tag != pair[0] or tag == pair[1]]
    notes = [_aside(model, tag, count, pair[1], tag in kept) for tag, count in asides]
    if detection is not None and not detection.certain:
        notes.append(message("reason.language_unsure", language=Message(f"language.{pair[0]}")))
    return tuple(notes)


def _aside(model: Model, tag: str, count: int, target: str, stays: bool) -> Message:
    """What became of the paragraphs in another language than most, or in the target's."""
    language = Message(f"language.{tag}")
    if tag == target:
        return message("reason.paragraphs_kept", language=language, count=count)
    if stays:
        return message("reason.paragraphs_left", language=language, count=count, model=model.name)
    return message("reason.paragraphs_from", language=language, count=count)
