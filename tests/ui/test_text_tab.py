"""What the text tabs show while they work, as Gradio's page gets it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from llmapp.ui.text_tab import Given, with_buttons


def given() -> Given:
    with gr.Blocks():
        return Given(gr.Textbox(), gr.UploadButton(), gr.Dropdown(), gr.Button(), gr.Button())


def test_the_last_moment_holds_all_that_was_shown() -> None:
    """The page may lose a value that is followed at once by an update without it; Gradio empties what it was given."""
    page, bars, said = given(), gr.Label(), gr.HTML()
    moments: list[dict[Any, Any]] = []
    for moment in with_buttons(page, iter([{bars: gr.update(value={"good": 0.9}, visible=True)}, {said: "done"}])):
        moments.append({widget: dict(value) if isinstance(value, dict) else value for widget, value in moment.items()})
        for value in moment.values():
            if isinstance(value, dict):
                value.clear()
    assert moments[0][page.stop]["visible"] is True
    last = moments[-1]
    assert last[bars]["value"] == {"good": 0.9}
    assert last[said] == "done"
    assert last[page.run]["interactive"] is True
    assert last[page.stop]["visible"] is False
