"""Starts the page: what Gradio is told, what is refused from outside, and what goes on behind the page."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import gradio as gr

from ..errors import BadInput, LlmappError
from ..messages import say
from ..settings import AppSettings
from ..tasks.language import detect
from . import http, shell
from .model_choice import AUTO, resolve
from .models import load
from .services import Services
from .theme import theme
from .words import page_words

LOOK_EVERY_S = 0.02
"""How often Gradio's queue looks for work. Its own choice, 1 ms, took a twentieth of a core when idle and of the speed
of writing on two cores; 20 ms is nobody's wait."""

PAGE_FIRST_S = 10.0
"""So long the first page has the machine for itself, unless it is there before or somebody asks for a model."""

log = logging.getLogger(__name__)
HERE = Path(__file__).parent


def warm_up(services: Services) -> None:
    """Behind the page: is the Hub in reach, and make ready what chat will ask for first."""
    services.sources.start_hub_check()
    services.supervisor.reconcile()
    services.drafts.sweep()
    services.turns.wait_for_a_page(PAGE_FIRST_S)
    try:
        load(services, resolve(services, "chat", AUTO, ""), "")
    except LlmappError as error:
        log.warning("no model could be made ready: %s", error)
    detect("The first text takes a second longer: now rather than under somebody's first question.")


def manager_link(settings: AppSettings, key: str) -> str:
    """The address that makes a browser the manager's: the Space's, or this machine's."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    place = f"https://{settings.space_host.split(',')[0]}" if settings.space_host else f"http://{host}:{settings.port}"
    return f"{place}/?key={key}"


def serve(services: Services) -> None:
    """Launch and block until the process is told to end."""
    settings = services.settings
    if not (settings.private or settings.strangers_manage):
        print(say("server.manager_link", url=manager_link(settings, services.manager_key)), flush=True)
    try:
        demo = _launch(services)
        print(say("server.address", url=demo.local_url), flush=True)
        # Only now: it shares the interpreter with what makes the page.
        threading.Thread(target=warm_up, args=(services,), name="warm-up", daemon=True).start()
        demo.block_thread()
    finally:
        services.close()


def _launch(services: Services) -> gr.Blocks:
    """The page, answering. Raises BadInput when the port is taken."""
    settings, mcp = services.settings, http.mcp_wanted(services.settings)
    demo = shell.build(services)
    # Closed to direct calls, which would pass by the queue and its limits.
    demo.queue(default_concurrency_limit=8, max_size=64, api_open=False)
    demo._queue.sleep_when_free = demo._queue.progress_update_sleep_when_free = LOOK_EVERY_S
    try:
        demo.launch(
            server_name=settings.host,
            server_port=settings.port,
            inbrowser=settings.browser,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
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
            mcp_server=mcp,
            run_history=False,
            footer_links=["api"],
            app_kwargs=http.app_options(services),
        )
    except OSError as problem:
        raise BadInput("port_taken", port=settings.port, problem=str(problem)) from problem
    return demo
