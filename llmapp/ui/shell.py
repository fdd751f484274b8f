"""The page: header, model bar, six tabs. The only file that knows all tabs."""

from __future__ import annotations

import gradio as gr

from ..messages import words
from . import api, chat, finetune, models, sentiment, sentiment_table, shared_job, summarize, translate, translate_file
from .events import QUIET, bind
from .model_bar import model_bar
from .owners import may_manage
from .services import Services
from .words import SWITCH_LANGUAGE, language_of, w

# (tab id, words, builder): the order people see.
TABS = (
    ("chat", "tab.chat", chat.build),
    ("summarize", "tab.summarize", summarize.build),
    ("translate", "tab.translate", translate.build),
    ("sentiment", "tab.sentiment", sentiment.build),
    ("finetune", "tab.finetune", finetune.build),
    ("models", "tab.models", models.build),
)
# Kinds of long work that a private link may open.
KINDS = (summarize.KIND, translate_file.KIND, sentiment_table.KIND, finetune.KIND)


def build(services: Services) -> gr.Blocks:
    """The whole page and the public endpoints, ready to launch."""
    with gr.Blocks(
        title=words("en")["header.title"],
        analytics_enabled=False,
        delete_cache=(3600, 86400),
        fill_width=True,
    ) as demo:
        _header(services, demo)
        shared_job.build(services, demo, {kind.name: kind for kind in KINDS})
        with gr.Tabs(elem_id="tabs"):
            for tab_id, key, build_tab in TABS:
                with gr.Tab(w(key), id=tab_id, elem_id=f"tab-{tab_id}") as tab:
                    build_tab(services, demo, tab)
        api.build(services)
    return demo


def _header(services: Services, demo: gr.Blocks) -> None:
    with gr.Row(elem_id="header"):
        with gr.Column(scale=3, min_width=240):
            gr.HTML(f"<div id='brand'><h1>{words('en')['header.title']}</h1></div>", padding=False)
        with gr.Column(scale=4, min_width=280):
            bar = gr.HTML(elem_id="model-bar", padding=False)
        language = gr.Dropdown(
            [("English", "en"), ("中文", "zh")],
            value="en",
            show_label=False,
            label=w("header.language"),
            elem_id="language",
            container=False,
            filterable=False,
        )
        if services.settings.owners == "login":
            gr.LoginButton(size="sm", min_width=120)
    notice = gr.HTML(visible=False, padding=False)
    language.input(None, [language], js=SWITCH_LANGUAGE, **QUIET)
    opened = bind(_opened, services, language, bar, notice)
    demo.load(opened, None, [language, bar, notice], **QUIET)
    gr.Timer(3).tick(bind(model_bar, services), None, [bar], **QUIET)


def _opened(
    services: Services, language: gr.Dropdown, bar: gr.HTML, notice: gr.HTML, request: gr.Request
) -> dict[object, object]:
    # They name files and folders of this machine.
    told = may_manage(services.settings, services.manager_key, request)
    said = [note.text(language_of(request)) for note in (services.notices if told else ())]
    return {
        language: language_of(request),
        bar: model_bar(services, request),
        notice: gr.update(value="".join(f"<p class='notice'>{s}</p>" for s in said), visible=bool(said)),
    }
