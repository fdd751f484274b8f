"""Words for the page: keys that the browser translates, and sentences in the language of a request.

Labels travel as keys and follow the browser; what a handler says is filled on the server in the same language.
"""

from __future__ import annotations

import gradio as gr
from gradio.i18n import I18nData
from starlette.requests import cookie_parser

from ..messages import LANGUAGES, say, words

LANGUAGE_COOKIE = "llmapp_language"
SWITCH_LANGUAGE = f"""(language) => {{
  document.cookie = "{LANGUAGE_COOKIE}=" + language + "; path=/; max-age=31536000; samesite=lax";
  location.reload();
}}"""


def page_words() -> gr.I18n:
    """All words in all languages, for `launch(i18n=...)`."""
    return gr.I18n(**{language: dict(words(language)) for language in LANGUAGES})


def w(key: str) -> I18nData:
    """A label the browser translates. Raises KeyError for a key that no word file has."""
    if key not in words("en"):
        raise KeyError(key)
    return I18nData(key)


def language_of(request: gr.Request | None) -> str:
    """`en` or `zh`: what was chosen on the page, else what the browser asks for first."""
    headers = request.headers if request else None
    if not headers:
        return "en"
    chosen = cookie_parser(headers.get("cookie", "")).get(LANGUAGE_COOKIE)
    wanted = chosen or headers.get("accept-language", "")
    return "zh" if wanted.lower().startswith("zh") else "en"


def tell(request: gr.Request | None, code: str, **values: object) -> str:
    """The sentence for a code in the language of this request."""
    return say(code, language_of(request), **values)
