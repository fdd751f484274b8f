"""How often the alarms of the Translate tab ring for translations by people: `python -m benchmarks.bench_alarms`.

Prints one JSON object: for each text set and language how many texts, the share with any alarm, and the share of each;
then how often one rings where it should: for translations cut in their middle, and for those said twice. Runs no model.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from llmapp.tasks.alarms import alarms, size

from .parallel import LANGUAGES, Pair, debian_descriptions, gnome_help

LONG = 60


def main() -> None:
    """Print the shares of both sets."""
    sets = {"gnome_help": gnome_help, "debian_descriptions": debian_descriptions}
    found = {name: {tag: shares(rebuilt(tag)) for tag in LANGUAGES} for name, rebuilt in sets.items()}
    print(json.dumps(found, indent=2))


def shares(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Texts, and which share of them raised an alarm."""
    rung = [[alarm.code for alarm in alarms(*pair)] for pair in pairs]
    each = Counter(code.removeprefix("reason.translation_") for codes in rung for code in codes)
    rates = {code: round(count / len(pairs), 4) for code, count in each.most_common()}
    halved = [(source, text[: len(text) // 2]) for source, text in pairs]
    doubled = [(source, f"{text} {text}") for source, text in pairs]
    return {
        "texts": len(pairs),
        "any": round(sum(map(bool, rung)) / len(pairs), 4),
        **rates,
        "rings_when_halved": ringing(halved),
        "rings_when_doubled": ringing(doubled),
    }


def ringing(pairs: Sequence[Pair]) -> float:
    """The share of texts of 60 letters and more that raise an alarm."""
    long = [pair for pair in pairs if size(pair[0]) >= LONG]
    return round(sum(bool(alarms(*pair)) for pair in long) / len(long), 2)


if __name__ == "__main__":
    main()
