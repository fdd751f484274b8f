"""How each kind of model is asked for a translation: examples to continue, an instruction, language codes."""

from __future__ import annotations

from collections.abc import Sequence

from ..backend.engine import Engine, Request, Sampling, Turn
from .examples import PARALLEL
from .glossary import Term
from .language import name

SPARE = 24
"""Tokens a translation may have beyond twice its source, which it practically never needs."""


def request(engine: Engine, sentence: str, pair: tuple[str, str], terms: Sequence[Term] = ()) -> Request:
    """What to ask for one sentence; `terms` are those that stand in it, of which a translation model learns nothing."""
    model = engine.info.model
    sampling = Sampling(temperature=0.0, max_new_tokens=2 * engine.count_tokens(sentence) + SPARE)
    if model.kind == "seq2seq":
        return Request(sentence, sampling, languages=pair)
    names = (name(pair[0]), name(pair[1]))
    if model.chat:
        return Request((Turn("user", _wish(sentence, names, terms)),), sampling)
    shown = [*zip(PARALLEL[pair[0]], PARALLEL[pair[1]], strict=True), *((t.term, t.wanted) for t in terms)]
    examples = "".join(f"{names[0]}: {a}\n{names[1]}: {b}\n\n" for a, b in shown)
    return Request(f"{examples}{names[0]}: {sentence}\n{names[1]}:", sampling, stop=("\n",))


def _wish(sentence: str, names: tuple[str, str], terms: Sequence[Term]) -> str:
    fixed = "".join(f'Translate "{t.term}" as "{t.wanted}". ' for t in terms)
    return f"Translate this from {names[0]} to {names[1]}. {fixed}Write the translation only.\n\n{sentence}"
