"""`python -m tests.finetune.worker JOB_DIR`: the real fine-tuning, with the tiny base of `DATA_DIR/catalog`.

Checkpoints come many times a second, so that a test can kill in between.
"""

from __future__ import annotations

import sys
from pathlib import Path

from llmapp.backend.sources import Sources
from llmapp.catalog import Catalog
from llmapp.finetune import train
from llmapp.finetune.run import run
from llmapp.jobs.work import Outcome, Work
from llmapp.settings import read_settings
from llmapp.worker import run_job

COMMAND = (sys.executable, "-m", "tests.finetune.worker")


def finetune(work: Work) -> Outcome:
    """As `llmapp.worker.finetune` does, with the test's catalog."""
    settings = read_settings([])
    catalog = Catalog.read(settings.data_dir / "catalog", settings.data_dir / "adapters")
    return run(work, catalog, Sources(settings.data_dir / "models", settings), settings)


if __name__ == "__main__":
    train.SAVE_EVERY_S = 0.2
    run_job(Path(sys.argv[1]), {"finetune": finetune}, COMMAND)
