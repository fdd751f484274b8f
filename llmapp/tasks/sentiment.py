"""Judge texts: positive or negative, or by labels that a person names; probabilities, not only a word.

A classifier answers with its own labels, a causal model by how likely each label is to follow, an encoder by
how near a text is to what describes each label. Long texts are read in windows, all of them. Knows no weights
and no page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..backend.engine import Engine, ScoreRequest
from ..errors import BadInput
from ..messages import Message, message
from .language import detect, foreign
from .splitting import chunks

WINDOW = 256
"""Tokens judged at once; a longer text gets the mean of its windows, weighted by their length."""

SPECIAL = 8
"""Tokens that a tokenizer may put around a text."""

BATCH = 16
"""Texts judged together; between two batches the work can be stopped."""

SCALE = 20.0
"""What cosines are multiplied by to become logits: what sentence-transformers trains such encoders with."""

# Shown to a causal model before the text; from several fields, so that the field itself is no hint.
SHOWN = (
    ("The hotel was clean and the staff were kind.", "positive"),
    ("The battery died after two days.", "negative"),
    ("I would not recommend this to anyone.", "negative"),
    ("Not perfect, yet I enjoyed every minute of it.", "positive"),
)
# Half of them are positive: what a model favours over all of them, it favours for no reason.
REFERENCES = (
    "What a wonderful evening, I enjoyed every minute.",
    "The service was friendly and quick.",
    "A clever, warm and funny story.",
    "It works perfectly and I am glad I bought it.",
    "What a dreadful evening, I was bored all the time.",
    "The service was rude and slow.",
    "A silly, cold and tedious story.",
    "It broke after a day and I regret buying it.",
)
# For an encoder without a head, which continues no examples.
FEELINGS = {
    "positive": "The author is happy and full of praise.",
    "negative": "The author is unhappy and complains.",
}
CONTENT_FREE = ("N/A", "...", "This is a text.")

Scores = dict[str, float]
Score = Callable[[Sequence[str]], list[Scores]]


@dataclass(frozen=True)
class Judgement:
    """How one text was judged. `scores` sum to 1; with `multi_label` each is a probability of its own.

    `label` is the likeliest; `windows` how many pieces the text was read in; `notes` what to know about it.
    """

    label: str
    scores: Mapping[str, float]
    windows: int = 1
    notes: tuple[Message, ...] = ()


def sentiment(engine: Engine, texts: Sequence[str]) -> list[Judgement]:
    """`sentiment_each` as a list."""
    return list(sentiment_each(engine, texts))


def sentiment_each(engine: Engine, texts: Sequence[str], batch: int = BATCH, warn: bool = True) -> Iterator[Judgement]:
    """Judge texts one after another: with the labels of a classifier or adapter, else `positive`, `negative`.

    `warn`: look at the language of each, and note where the model was not made for it.

    A causal model sees the examples of `SHOWN`, and its log-probabilities lose their mean over `REFERENCES`:
    contextual calibration (Zhao et al. 2021, arXiv:2102.09690) with balanced references in place of a
    content-free input, much as batch calibration takes the inputs themselves (Zhou et al. 2023,
    arXiv:2309.17249). Raises BadInput for a blank text, CanNotRun for a model that only writes.
    """
    if _has_labels(engine):
        return _each(engine, texts, _own(engine), 0, batch, warn)
    if engine.info.model.kind == "encoder":
        return _each(engine, texts, _nearest(engine, FEELINGS), 0, batch, warn)
    labels = ("positive", "negative")
    shown = "".join(f"{_task(text, 'Sentiment')} {label}\n\n" for text, label in SHOWN)
    return _each(engine, texts, *_following(engine, shown, "Sentiment", labels, REFERENCES), batch, warn)


def classify(
    engine: Engine, texts: Sequence[str], labels: Sequence[str] = (), multi_label: bool = False
) -> list[Judgement]:
    """`classify_each` as a list."""
    return list(classify_each(engine, texts, labels, multi_label))


def classify_each(
    engine: Engine,
    texts: Sequence[str],
    labels: Sequence[str] = (),
    multi_label: bool = False,
    batch: int = BATCH,
    warn: bool = True,
) -> Iterator[Judgement]:
    """Sort texts into labels that the model was never taught; without labels, as `sentiment_each` does.

    `batch`: texts read ahead and judged together; many are faster, for they are sorted by length. `warn` as there.

    A causal model continues "Category:" with each label, calibrated by `CONTENT_FREE` (Zhao et al. 2021); an
    encoder compares with "This text is about LABEL.". With `multi_label` each label stands against its own
    negation. Raises BadInput for one label alone, for others than a classifier has, or for a blank text.
    """
    wanted = tuple(dict.fromkeys(label.strip() for label in labels if label.strip()))
    if not wanted:
        return sentiment_each(engine, texts, batch, warn)
    if len(wanted) == 1 and not multi_label:
        raise BadInput("labels_one", label=wanted[0])
    if _has_labels(engine):
        return _each(engine, texts, _among(engine, wanted, multi_label), 0, batch, warn)
    if engine.info.model.kind == "encoder":
        near = _each_alone(engine, wanted) if multi_label else _nearest(engine, _about(wanted))
        return _each(engine, texts, near, 0, batch, warn)
    if multi_label:
        return _each(engine, texts, *_yes_or_no(engine, wanted), batch, warn)
    shown = f"Categories: {', '.join(wanted)}\n\n"
    return _each(engine, texts, *_following(engine, shown, "Category", wanted, CONTENT_FREE), batch, warn)


def labels_of(engine: Engine, labels: Sequence[str] = ()) -> tuple[str, ...]:
    """What `classify_each` with these labels answers with."""
    return tuple(labels) or engine.info.labels or tuple(FEELINGS)


def _has_labels(engine: Engine) -> bool:
    """True for a classifier, and for what an adapter made one."""
    return engine.info.model.kind == "classifier" or bool(engine.info.labels)


def _each(
    engine: Engine, texts: Sequence[str], score: Score, overhead: int, size: int, warn: bool
) -> Iterator[Judgement]:
    """Windows of all texts scored in batches, and the mean for each text. `overhead`: tokens beside a window."""
    budget = min(WINDOW, engine.info.model.context - overhead)
    for start in range(0, len(texts), size):
        batch = texts[start : start + size]
        windows = [_windows(engine, text, budget) for text in batch]
        scored = iter(score([window for each in windows for window in each]))
        for text, each in zip(batch, windows, strict=True):
            weights = [engine.count_tokens(window) for window in each] if len(each) > 1 else [1]
            judgement = _judgement([next(scored) for _ in each], weights)
            warning = foreign(detect(text), engine.info.model) if warn else None
            yield replace(judgement, notes=(*judgement.notes, warning)) if warning else judgement


def _windows(engine: Engine, text: str, budget: int) -> list[str]:
    if not text.strip():
        raise BadInput("prompt_empty", model=engine.info.model.name)
    if len(text.encode()) + SPECIAL <= budget:  # no token is shorter than a byte
        return [" ".join(text.split())]
    pieces = chunks(text, budget, engine.count_tokens)
    return [" ".join(piece.split()) for piece in pieces if piece.strip()]


def _judgement(scores: list[Scores], weights: list[int]) -> Judgement:
    total = sum(weights)
    mean = {
        label: sum(score[label] * weight for score, weight in zip(scores, weights, strict=True)) / total
        for label in scores[0]
    }
    notes = [message("reason.read_in_windows", windows=len(scores))] if len(scores) > 1 else []
    return Judgement(max(mean, key=mean.__getitem__), mean, len(scores), tuple(notes))


def _own(engine: Engine) -> Score:
    return lambda windows: engine.score([ScoreRequest(window) for window in windows])


def _among(engine: Engine, wanted: tuple[str, ...], multi_label: bool) -> Score:
    """A classifier's probabilities of some of its labels, which it must have."""

    def score(windows: Sequence[str]) -> list[Scores]:
        rows = _own(engine)(windows)
        has = rows[0].keys()
        if multi_label or not has >= set(wanted):
            raise BadInput("labels_fixed", model=engine.info.model.name, labels=", ".join(has))
        return [_shares({label: row[label] for label in wanted}) for row in rows]

    return score


def _task(text: str, question: str) -> str:
    return f"Text: {text}\n{question}:"


def _following(
    engine: Engine, shown: str, question: str, labels: tuple[str, ...], references: Sequence[str]
) -> tuple[Score, int]:
    """How likely each label is to follow the question, over how likely it is for the references.

    And how many tokens a prompt has beside the text.
    """
    candidates = tuple(f" {label}" for label in labels)

    def ask(texts: Sequence[str]) -> list[Scores]:
        requests = [ScoreRequest(shown + _task(text, question), candidates) for text in texts]
        rows = engine.score(requests)
        return [dict(zip(labels, (row[each] for each in candidates), strict=True)) for row in rows]

    usual = ask(references)
    overhead = engine.count_tokens(shown + _task("", question)) + max(map(engine.count_tokens, candidates))
    return lambda windows: [_calibrated(row, usual) for row in ask(windows)], overhead


def _yes_or_no(engine: Engine, labels: tuple[str, ...]) -> tuple[Score, int]:
    """Each label by itself: how likely "yes" is to follow the question whether the text is about it."""
    questions = {label: f"Is this text about {label}? Answer" for label in labels}
    asks = {label: _following(engine, "", q, ("yes", "no"), CONTENT_FREE) for label, q in questions.items()}

    def score(windows: Sequence[str]) -> list[Scores]:
        found = {label: ask(windows) for label, (ask, _) in asks.items()}
        return [{label: found[label][i]["yes"] for label in labels} for i in range(len(windows))]

    return score, max(overhead for _, overhead in asks.values())


def _calibrated(row: Scores, references: Sequence[Scores]) -> Scores:
    """p(label) over its geometric mean for the references, as shares: log-probabilities less their mean."""
    usual = {label: sum(_log(r[label]) for r in references) / len(references) for label in row}
    return _shares({label: math.exp(_log(p) - usual[label]) for label, p in row.items()})


def _log(probability: float) -> float:
    return math.log(max(probability, 1e-12))


def _shares(weights: Scores) -> Scores:
    total = sum(weights.values())
    return {label: weight / total for label, weight in weights.items()}


def _about(labels: Sequence[str]) -> dict[str, str]:
    return {label: f"This text is about {label}." for label in labels}


def _nearest(engine: Engine, descriptions: Mapping[str, str]) -> Score:
    """Softmax over cosines with each label's description."""

    def score(windows: Sequence[str]) -> list[Scores]:
        vectors = engine.encode([*descriptions.values(), *windows])
        cosines = vectors[len(descriptions) :] @ vectors[: len(descriptions)].T
        exponents = [[math.exp(SCALE * cosine) for cosine in row] for row in cosines.tolist()]
        return [_shares(dict(zip(descriptions, row, strict=True))) for row in exponents]

    return score


def _each_alone(engine: Engine, labels: Sequence[str]) -> Score:
    """Each label against a text about something else."""
    pairs = {
        label: _nearest(engine, {"yes": about, "no": "This text is about something else."})
        for label, about in _about(labels).items()
    }

    def score(windows: Sequence[str]) -> list[Scores]:
        found = {label: near(windows) for label, near in pairs.items()}
        return [{label: found[label][i]["yes"] for label in labels} for i in range(len(windows))]

    return score
