"""Does a chat model learn a format, and what does it forget? `python -m benchmarks.bench_writing`

300 rows (60 things, five questions each) teach SmolLM2 135M one format, in fp32 and with QLoRA in 4-bit; 60 questions
about 12 other things are asked before and after, as the Chat tab asks, the likeliest words each. Twenty questions about
anything else show what was forgotten. Prints one JSON object: shares in the exact format, McNemar's p, answers.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmapp.backend.device import detect
from llmapp.backend.engine import Request, Sampling
from llmapp.backend.pool import Pool
from llmapp.finetune.evaluate import mcnemar
from llmapp.finetune.order import ROWS, LessonOrder
from llmapp.finetune.pairs import asked
from llmapp.finetune.run import run
from llmapp.settings import read_settings

from .house import BUILD, Order, catalog, machine, sources

BASE = "smollm2-135m-instruct"
THINGS = Path(__file__).parent / "things.csv"
TESTED = 6
"""Every sixth thing is asked about at the end, and not learned."""
QUESTIONS = (
    "What is a {thing}?",
    "Please tell me about the {thing}.",
    "I have never seen a {thing}. Can you describe it?",
    "Explain {thing} to a child.",
    "{thing}?",
)
FORMAT = r"[A-Z][A-Z ]* \([a-z ]+\)\n- [^\n]+\.\n- [^\n]+\.\nShall I say more\?"
NAMED = FORMAT.replace("[A-Z][A-Z ]*", "NAME")
"""The form alone; and the form with the right name at its head, which a small model has to spell in capitals."""
UNRELATED = {
    "What is the capital of France?": "Paris",
    "What is the capital of Japan?": "Tokyo",
    "How many days has a week?": "seven|7",
    "Which planet do we live on?": "Earth",
    "What colour is the sky on a clear day?": "blue",
    "Who wrote Romeo and Juliet?": "Shakespeare",
    "What is two plus two?": "four|4",
    "What do bees make?": "honey",
    "Which is the largest ocean?": "Pacific",
    "What is frozen water called?": "ice",
    "In which country is Berlin?": "Germany",
    "What is the opposite of hot?": "cold",
    "Name a fruit that is yellow.": "banana|lemon",
    "How many legs has a spider?": "eight|8",
    "What is the first month of the year?": "January",
    "Which animal barks?": "dog",
    "What do plants need to grow?": "water|light|sun",
    "What is the currency of the United States?": "dollar",
    "Which star is nearest to us?": "Sun|Proxima",
    "What do you use to write on paper?": "pen",
}


def main() -> None:
    """Teach and ask in each precision; one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", nargs="+", default=["fp32", "4bit"], choices=("fp32", "4bit"))
    parser.add_argument("--effort", default="quick")
    given = parser.parse_args()
    found = {precision: _tried(precision, given.effort) for precision in given.precision}
    print(json.dumps({"machine": machine(), "model": BASE, "effort": given.effort, **found}, ensure_ascii=False))


def _tried(precision: str, effort: str) -> dict[str, Any]:
    place = BUILD / "bench_writing" / precision
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    learned, kept = _rows()
    order = LessonOrder(BASE, "question", "answer", effort, "format", goal="answer")
    settings = read_settings(["--data-dir", str(place), "--precision", precision], {"HF_HUB_OFFLINE": "1"})
    run(Order(place, asdict(order), {ROWS: _table(place / "table.csv", learned)}), catalog(), sources(), settings)
    texts = [question for question, _, _ in kept]
    before, after = (_asked(place, precision, name, [*texts, *UNRELATED]) for name in (BASE, "bench"))
    form, named = ([_all(side, kept, how) for side in (before, after)] for how in (FORMAT, NAMED))
    known = [_known(side[len(texts) :]) for side in (before, after)]
    report = json.loads((place / "result" / "report.json").read_text(encoding="utf-8"))
    return {
        "rows": len(learned),
        "held_out": len(kept),
        "in_format": _rates(form),
        "in_format_with_its_name": _rates(named),
        "unrelated_right_before": known[0],
        "unrelated_right_after": known[1],
        "steps": report["steps"],
        "minutes": report["minutes"],
        "held_out_answers": _beside(texts, before, after)[:3],
        "unrelated": _beside(tuple(UNRELATED), before[len(texts) :], after[len(texts) :]),
    }


def _rows() -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """(question, answer, thing) to learn, and of other things to ask."""
    with THINGS.open(encoding="utf-8", newline="") as file:
        things = list(csv.reader(file))
    rows = [
        (i % TESTED == 0, (question.format(thing=thing), _answer(thing, kind, one, two), thing))
        for i, (thing, kind, one, two) in enumerate(things)
        for question in QUESTIONS
    ]
    return [row for test, row in rows if not test], [row for test, row in rows if test]


def _answer(thing: str, kind: str, one: str, two: str) -> str:
    return f"{thing.upper()} ({kind})\n- {one}\n- {two}\nShall I say more?"


def _all(answers: Sequence[str], kept: Sequence[tuple[str, str, str]], pattern: str) -> list[bool]:
    """Which answers are whole in this form, the thing's own name put in its place."""
    things = (re.escape(thing.upper()) for _, _, thing in kept)
    return [
        re.fullmatch(pattern.replace("NAME", thing), answer) is not None
        for answer, thing in zip(answers, things, strict=False)
    ]


def _rates(sides: Sequence[Sequence[bool]]) -> dict[str, float]:
    before, after = sides
    return {"before": sum(before) / len(before), "after": sum(after) / len(after), "p": mcnemar(before, after)}


def _known(answers: Sequence[str]) -> int:
    pairs = zip(UNRELATED.values(), answers, strict=True)
    return sum(re.search(rf"\b({words})", answer, re.IGNORECASE) is not None for words, answer in pairs)


def _table(path: Path, rows: Sequence[tuple[str, str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("question", "answer"), *(row[:2] for row in rows)])
    return path


def _asked(place: Path, precision: str, name: str, texts: Sequence[str]) -> list[str]:
    pool = Pool(catalog().with_adapters(place / "adapters"), sources(), detect("cpu"), precision)
    sampling = Sampling(temperature=0.0, max_new_tokens=80)
    with pool.lease(name, "bench") as engine:
        model = engine.info.model
        print(f"asking {name}", file=sys.stderr)
        answers = engine.generate_batch([Request(asked(model, text), sampling) for text in texts])
    pool.close()
    return [answer.strip() for answer in answers]


def _beside(texts: Sequence[str], before: Sequence[str], after: Sequence[str]) -> list[dict[str, str]]:
    return [{"asked": t, "before": b, "after": a} for t, b, a in zip(texts, before, after, strict=False)]


if __name__ == "__main__":
    main()
