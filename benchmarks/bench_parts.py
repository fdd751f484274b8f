"""The parts of a long text read eight at a time, beside one at a time: the first round of a summary, turn about.

`python -m benchmarks.bench_parts` prints one JSON object:
  ratio      seconds one at a time over seconds together, median of pairs of eight parts
  ratios     the pairs
  seconds    for a part, together and alone
"""

from __future__ import annotations

import json
import statistics
import time
from itertools import takewhile
from pydoc_data.topics import topics
from unittest.mock import patch

from llmapp.backend.engine import Engine
from llmapp.tasks import summarize as work

from .bench_chat import MODEL
from .house import leased, machine

PAIRS, TOGETHER = 3, work.TOGETHER
CHARACTERS = 4 * work.PART * TOGETHER


def main() -> None:
    book = "\n\n".join(topics[name] for name in sorted(topics))
    together, alone = [], []
    with leased(MODEL) as engine:
        for i in range(PAIRS):
            text = book[i * CHARACTERS : (i + 1) * CHARACTERS]
            together.append(seconds_a_part(engine, text, TOGETHER))
            alone.append(seconds_a_part(engine, text, 1))
    ratios = [one / eight for one, eight in zip(alone, together, strict=True)]
    found = {
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "seconds": {"together": round(statistics.median(together), 1), "alone": round(statistics.median(alone), 1)},
        "model": MODEL,
        "machine": machine(),
    }
    print(json.dumps(found))


def seconds_a_part(engine: Engine, text: str, together: int) -> float:
    """Of the first round alone, which is where the time of a long text goes."""
    with patch.object(work, "TOGETHER", together):
        updates = work.summarize(engine, text)
        parts = next(updates).parts - 1
        began = time.perf_counter()
        read = sum(1 for _ in takewhile(lambda update: update.done_parts < parts, updates))
    assert read
    return (time.perf_counter() - began) / parts


if __name__ == "__main__":
    main()
