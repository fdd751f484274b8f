"""One sentence set apart on the page: the same look in every tab."""

from __future__ import annotations

from html import escape


def notice(sentence: str, kind: str = "") -> str:
    """HTML for a sentence; `kind` is "bad", "good" or nothing. Nothing to say gives nothing."""
    if not sentence:
        return ""
    return f'<p class="{f"notice {kind}".strip()}">{escape(sentence)}</p>'
