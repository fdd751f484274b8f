"""The fine-tune tab's steps, as a person walks them."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

SORT, ANSWER, REWRITE = "Sort texts into my categories", "Answer, or write in my style", "Rewrite one text as another"


def give_table(page: Page, table: Path, goal: str = SORT) -> None:
    """From the first step to the second, and a table."""
    page.locator("#finetune-goal").get_by_text(goal).click()
    page.locator("#finetune-next").click()
    page.locator("#finetune-file input[type=file]").set_input_files(str(table))


def teach(page: Page, name: str, *asked: str) -> None:
    """On from a table that will do, and start; `asked` are texts to ask it while it learns."""
    page.locator("#finetune-ready").click()
    page.get_by_label("Name of what it learns").fill(name)
    if asked:
        page.get_by_label("Ask it while it learns").fill("\n".join(asked))
    page.locator("#finetune-start").click()
