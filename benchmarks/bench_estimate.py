"""How near a training comes to what was told before it: `python -m benchmarks.bench_estimate`

Six short trainings through the app's own loop, each in a process of its own as the app has it: the packaged encoder
sorts film snippets, SmolLM2 135M writes the short descriptions of Debian's packages from the long ones; each with three
sizes of batch and lengths of rows. Told: by the rehearsal; reckoned: before anything is loaded. Measured: the most
memory of the process, and the minutes from the first try to the last step, of which the rehearsal is a part.

Prints one JSON object: `cases`, each with {"reckoned_mb", "told", "measured", "ratio"} in MB and minutes, where a ratio
is what was told over what was measured; `worst_mb` and `worst_minutes` are those farthest from 1, which shall stay
within 15 % and 30 %. To be run alone: less than 15 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from llmapp.backend.device import available_memory, detect
from llmapp.backend.loader import load_for_training
from llmapp.backend.tokens import Tokens
from llmapp.finetune.batching import Encoded
from llmapp.finetune.course import compute
from llmapp.finetune.estimate import Rows, estimate
from llmapp.finetune.goals import SORTER, WRITER, settings_for
from llmapp.finetune.objective import Objective, Sorting, Writing
from llmapp.finetune.pairs import Pairs, encoded
from llmapp.finetune.settings import LoraSettings
from llmapp.finetune.train import train, with_lora

from .bench_train import FP32, LABELS, SEED
from .data import debian_descriptions, movie_snippets
from .house import catalog, machine, packaged

HELD = 24


@dataclass(frozen=True)
class Case:
    """One training: how many rows a step has, how long they may be, and how many steps are made."""

    base: str
    batch: int
    tokens: int
    steps: int


CASES = (
    Case(SORTER, 16, 32, 60),
    Case(SORTER, 32, 64, 40),
    Case(SORTER, 8, 128, 60),
    Case(WRITER, 2, 128, 20),
    Case(WRITER, 4, 256, 12),
    Case(WRITER, 8, 192, 8),
)
TINY = Case(SORTER, 4, 32, 6)


def ran(case: Case) -> dict[str, Any]:
    """One training in this process, and what was told of it."""
    hardware = detect("cpu")
    torch.set_num_threads(max(1, hardware.cores - 1))
    torch.manual_seed(0)
    goal = "sort" if case.base == SORTER else "answer"
    settings = settings_for(goal, {"batch": case.batch, "max_tokens": case.tokens})
    loaded = load_for_training(
        packaged(case.base), catalog().model(case.base), FP32, LABELS if goal == "sort" else None
    )
    objective = sorting(loaded.tokenizer, case) if goal == "sort" else writing(loaded.tokenizer, case)
    model = with_lora(loaded.model, settings, loaded.fresh, "SEQ_CLS" if goal == "sort" else "CAUSAL_LM")
    with tempfile.TemporaryDirectory() as place:
        outcome = train(
            model,
            objective,
            settings,
            case.steps,
            Path(place),
            lambda _: None,
            lambda: False,
            compute(hardware),
            lambda: available_memory(hardware),
        )
    cost = outcome.cost()
    told, measured = cost["estimate"], {"mb": cost["peak_mb"], "minutes": outcome.seconds / 60}
    return {
        **asdict(case),
        "reckoned_mb": reckoned(case, objective, settings),
        "told": {"mb": told["peak_mb"], "minutes": told["minutes"], "parts": told["parts"]},
        "measured": {"mb": measured["mb"], "minutes": round(measured["minutes"], 2)},
        "ratio": {
            "mb": round(told["peak_mb"] / measured["mb"], 3),
            "minutes": round(outcome.rehearsal.seconds / outcome.seconds, 3) if outcome.rehearsal else None,
        },
    }


def sorting(tokenizer: Any, case: Case) -> Objective:
    """Film snippets, cut where they are longer; short ones are joined until rows are as long as they may be."""
    snippets = movie_snippets()
    random.Random(SEED).shuffle(snippets)
    joined = case.tokens // 24 + 1
    count = HELD + case.batch * case.steps
    rows = [snippets[at : at + joined] for at in range(0, len(snippets) - joined, joined)]
    rows = [rows[i % len(rows)] for i in range(count)]
    ids = tokenizer([" ".join(s.text for s in row) for row in rows], truncation=True, max_length=case.tokens)[
        "input_ids"
    ]
    truth = [LABELS.index(row[0].label) for row in rows]
    return Sorting(Encoded(ids[HELD:], truth[HELD:]), Encoded(ids[:HELD], truth[:HELD]), 2)


def writing(tokenizer: Any, case: Case) -> Objective:
    """Packages described in one line, of those whose row is no longer than it may be."""
    packages = debian_descriptions()
    random.Random(SEED).shuffle(packages)
    asked = tuple(f"In one line: {package.text}" for package in packages)
    pairs = Pairs(asked, tuple(p.summary for p in packages), tuple(range(len(packages))), ())
    count = HELD + case.batch * case.steps
    rows = list(encoded(Tokens(tokenizer, catalog().model(WRITER)), pairs, range(20 * count), case.tokens).values())
    return Writing(rows[HELD:count], rows[:HELD], lambda _: [])


def reckoned(case: Case, objective: Objective, settings: LoraSettings) -> int:
    """MB that are told before anything is loaded, of these rows."""
    lengths, answers = objective.lengths, objective.answers
    said = 0 if case.base == SORTER else max(answers)
    rows = Rows(len(lengths), sum(lengths) / len(lengths), max(lengths), said)
    return estimate(catalog().model(case.base), rows, "quick", settings, detect("cpu"), 0).needs // 10**6


def in_its_own_process(case: Case) -> dict[str, Any]:
    """What the process of one training says."""
    command = [sys.executable, "-m", "benchmarks.bench_estimate", "--case", json.dumps(asdict(case))]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
    print(found, file=sys.stderr)
    return dict(found)


def worst(found: Sequence[dict[str, Any]], what: str) -> float:
    """The ratio farthest from 1."""
    return float(max((each["ratio"][what] for each in found), key=lambda ratio: max(ratio, 1 / ratio)))


def main() -> None:
    """All cases, or a tiny one; one JSON object."""
    parser = argparse.ArgumentParser(description="What a training costs, beside what was told before it.")
    parser.add_argument("--tiny", action="store_true", help="one case of some seconds, to see that it works")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        print(json.dumps(ran(Case(**json.loads(given.case)))))
        return
    found = [in_its_own_process(case) for case in ((TINY,) if given.tiny else CASES)]
    result = {"cases": found, "worst_mb": worst(found, "mb"), "worst_minutes": worst(found, "minutes")}
    print(json.dumps({**result, "machine": machine(), "torch": torch.__version__}))


if __name__ == "__main__":
    main()
