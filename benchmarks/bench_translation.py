"""What Gemma 3 270M makes of GNOME's help, beside people's translations and beside copying the source.

`python -m benchmarks.bench_translation [--languages de fr] [--lines 200]`: that many titles and paragraphs of each
language, drawn by a seed, each a line of one text, translated as the Translate tab does it. The examples in its prompt
are of other texts. Prints one JSON object, for each language:
  chrf, bleu     of the lines, by sacrebleu
  copied_chrf    of the source as it stands
  s_a_sentence   seconds for a sentence, several at once
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

from llmapp.backend.engine import Engine
from llmapp.tasks.bleu import compare
from llmapp.tasks.language import normalise
from llmapp.tasks.translate import translate

from .house import leased, machine
from .parallel import LANGUAGES, Pair, gnome_help

MODEL = "gemma-3-270m"
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--languages", nargs="+", default=LANGUAGES)
    parser.add_argument("--lines", type=int, default=200)
    given = parser.parse_args()
    found = {}
    with leased(MODEL) as engine:
        for tag in given.languages:
            found[tag] = measured(engine, drawn(tag, given.lines), normalise(tag))
            print(tag, found[tag], file=sys.stderr)
        facts = engine.info.facts()
    print(json.dumps({**found, "made": facts, "machine": machine()}))


def drawn(tag: str, lines: int) -> list[Pair]:
    """Pairs of one line each."""
    pairs = [(" ".join(source.split()), " ".join(text.split())) for source, text in gnome_help(tag)]
    return random.Random(SEED).sample(pairs, lines)


def measured(engine: Engine, pairs: Sequence[Pair], target: str) -> dict[str, Any]:
    """The figures of one language."""
    source, trusted = ("\n".join(side) for side in zip(*pairs, strict=True))
    began = time.perf_counter()
    *_, last = translate(engine, source, target, "en")
    seconds = time.perf_counter() - began
    near, copied = compare(last.text, trusted, target), compare(source, trusted, target)
    return {
        "chrf": round(near.chrf, 1),
        "copied_chrf": round(copied.chrf, 1),
        "bleu": round(near.bleu, 1),
        "lines": near.lines,
        "sentences": last.total,
        "s_a_sentence": round(seconds / last.total, 2),
    }


if __name__ == "__main__":
    main()
