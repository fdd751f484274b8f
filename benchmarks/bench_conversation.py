"""How long a long conversation makes one wait: with what was read last kept, and with it forgotten, turn about.

`python -m benchmarks.bench_conversation` prints one JSON object: seconds to the first token of the next answer of a
conversation of some 2,000 tokens, both ways (median of 5), and their ratio.
"""

from __future__ import annotations

import json
import statistics
import time
from contextlib import closing

from llmapp.backend.engine import Engine, Request, Sampling, Turn

from .bench_chat import MODEL
from .house import leased, machine

TURNS = 5
SAID = "The keeper climbed the stairs, lit the lamp, and looked out at the sea, which was calm that night. " * 12
SAMPLING = Sampling(temperature=0, max_new_tokens=4)


def main() -> None:
    turns = tuple(Turn("user" if i % 2 == 0 else "assistant", f"{i}. {SAID}") for i in range(7))
    kept, forgotten = [], []
    with leased(MODEL) as engine:
        tokens = engine.count_tokens(turns)
        for i in range(TURNS):
            first_token(engine, (Turn("user", f"{i}. {SAID}"),))  # what was read last is something else now
            forgotten.append(first_token(engine, (*turns, Turn("user", f"And in chapter {i}?"))))
            kept.append(first_token(engine, (*turns, Turn("user", f"And in verse {i}?"))))
    found = {
        "ratio": round(statistics.median(f / k for f, k in zip(forgotten, kept, strict=True)), 1),
        "kept_s": round(statistics.median(kept), 2),
        "forgotten_s": round(statistics.median(forgotten), 2),
        "tokens": tokens,
        "model": MODEL,
        "machine": machine(),
    }
    print(json.dumps(found))


def first_token(engine: Engine, prompt: tuple[Turn, ...]) -> float:
    began = time.perf_counter()
    with closing(engine.stream(Request(prompt, SAMPLING))) as pieces:
        next(piece for piece in pieces if piece.text)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
