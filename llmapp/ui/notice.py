"""One sentence set apart on the page, or facts in a quiet line: the same look in every tab."""

from __future__ import annotations

from html import escape


def notice(sentence: str, kind: str = "") -> str:
    """HTML for a sentence; `kind` is "bad", "good" or nothing. Nothing to say gives nothing."""
    if not sentence:
        return ""
    return f'<p class="{f"notice {kind}".strip()}">{escape(sentence)}</p>'


def quiet(*parts: str) -> str:
    """HTML for facts, one after another, for who wants to know. No facts give nothing."""
    facts = " · ".join(filter(None, parts))
    return f'<p class="quiet">{escape(facts)}</p>' if facts else ""
