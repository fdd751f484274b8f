"""Starts the page: what Gradio is told, what is refused from outside, and what goes on behind the page."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from ..errors import BadInput, LlmappError
from . import http, shell
from .model_choice import AUTO, resolve
from .models import load
from .services import Services
from .theme import theme
from .words import page_words

log = logging.getLogger(__name__)
HERE = Path(__file__).parent


def warm_up(services: Services) -> None:
    """Behind the page: is the Hub in reach, and make ready what chat will ask for first."""
    services.sources.start_hub_check()
    services.supervisor.reconcile()
    try:
        load(services, resolve(services, "chat", AUTO, ""), "")
    except LlmappError as error:
        log.warning("no model could be made ready: %s", error)


def serve(services: Services) -> None:
    """Launch and block until the process is told to end."""
    settings = services.settings
    demo = shell.build(services)
    demo.queue(default_concurrency_limit=8, max_size=64)
    threading.Thread(target=warm_up, args=(services,), name="warm-up", daemon=True).start()
    try:
        demo.launch(
            server_name=settings.host,
            server_port=settings.port,
            inbrowser=settings.browser,
            share=False,
            show_error=False,
            theme=theme(),
            css_paths=[HERE / "page.css"],
            head=f"<script>{(HERE / 'page.js').read_text(encoding='utf-8')}</script>",
            i18n=page_words(),
            allowed_paths=[],
            max_file_size=settings.max_upload_mb * 1_000_000,
            strict_cors=True,
            ssr_mode=False,
            pwa=False,
            enable_monitoring=False,
            mcp_server=http.mcp_wanted(settings),
            footer_links=["api"],
            app_kwargs=http.app_options(services),
        )
    except OSError as problem:
        raise BadInput("port_taken", port=settings.port, problem=str(problem)) from problem
    finally:
        services.close()
