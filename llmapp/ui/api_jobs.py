"""The public endpoints for long work: begin it, watch it, stop it, go on, take out what it made.

What a docstring says here is what API pages and MCP clients read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from ..errors import NotFound
from ..finetune.goals import check_goal
from ..finetune.order import LessonOrder
from ..finetune.take_along import FORMS
from ..tasks.summarize import SummaryOptions
from ..transcripts import clean
from . import finetune as finetune_tab
from . import sentiment_table
from . import summarize as summarize_tab
from . import translate_file as translate_file_tab
from .downloads import offer
from .glossary import rows_of
from .job_panel import result_file
from .owners import owner_of
from .push import Asked, push_job
from .services import Services
from .take_along import whole_file


def finetune(
    services: Services,
    dataset: gr.FileData,
    text: str = "",
    label: str = "",
    name: str = "",
    effort: str = "quick",
    goal: str = "sort",
    base: str = "auto",
    settings: dict[str, float] | None = None,
    second: str = "",
    system: str = "",
    request: gr.Request | None = None,
) -> str:
    """Teach a small model to sort texts or to write answers, from a table; returns a job id at once.

    Args:
        dataset: a CSV, TSV, Excel or OpenDocument file whose first row names the columns
        text: column that holds the texts; empty guesses
        label: column that holds the labels, or the answers to be learned; empty guesses
        name: what the result is called
        effort: quick, balanced or thorough
        goal: sort (into labels), answer or rewrite
        base: id of the model that learns; auto takes one that comes with the app
        settings: may hold rank, alpha, dropout, learning_rate, batch, max_tokens and seed
        second: column of a second input, which is put below the text with a blank line between; guessed where text is
            empty, else none, but `input` for the `instruction` of Alpaca's records
        system: column of what the system says before each text, where answers are learned; guessed where text is
            empty, else what it usually says
    """
    wish = LessonOrder(base, text, label, effort, name, settings or {}, goal=check_goal(goal))
    order = replace(wish, second=second or None, system=system)
    return finetune_tab.start_job(services, request, _uploaded(dataset), order)


def sentiment_file(
    services: Services,
    file: gr.FileData,
    column: str = "",
    labels: list[str] | None = None,
    model: str = "auto",
    truth: str = "",
    date: str = "",
    group: str = "",
    multi_label: bool = False,
    request: gr.Request | None = None,
) -> str:
    """Judge every row of a table; returns a job id at once. The result has the columns label, score and error more.

    Args:
        file: a CSV, TSV, Excel or OpenDocument file whose first row names the columns
        column: the one that holds the texts; empty guesses
        labels: categories of one's own to sort into; none judges sentiment
        model: an id that `models` lists, an adapter of one's own, or "auto"
        truth: column of true labels to compare with; `job_report` has accuracy, F1 and the confusion matrix then
        date: column of dates; `job_report` counts the labels over time then
        multi_label: true where several labels may fit; the result has a column of probabilities for each then
        group: column of few values; `job_report` counts the labels of each then
    """
    services.guard.request(request)
    more = {"truth": clean(truth), "date": clean(date), "group": clean(group)}
    path, own = _uploaded(file), tuple(dict.fromkeys(map(clean, labels or ())))
    return sentiment_table.start_job(services, request, path, clean(column), own, model, more, multi_label)


def summarize_file(
    services: Services,
    file: gr.FileData,
    length: str = "short",
    form: str = "paragraph",
    focus: str = "",
    language: str = "",
    model: str = "auto",
    method: str = "auto",
    request: gr.Request | None = None,
) -> str:
    """Summarize a whole document; returns a job id at once. `job_export` gives the summary as a text file.

    Args:
        file: a text, Markdown, HTML, PDF, Word (DOCX), subtitle, CSV, TSV, Excel or OpenDocument file
        length: sentence, short, medium, long, or a number of words such as "120"
        form: paragraph, bullets or headline
        focus: what the summary should be about
        language: of the summary, such as "en" or "zh"; empty takes the document's own
        model: an id that `models` lists, or "auto"
        method: written by the model, taken from the text as it stands, or "auto": what was measured to be better
    """
    services.guard.request(request)
    options = SummaryOptions(length=length, form=form, focus=clean(focus), language=language)
    return summarize_tab.start_job(services, request, _uploaded(file), model, options, method)


def translate_file(
    services: Services,
    file: gr.FileData,
    target: str = "",
    source: str = "",
    model: str = "auto",
    glossary: dict[str, str | None] | None = None,
    columns: list[str] | None = None,
    request: gr.Request | None = None,
) -> str:
    """Translate a whole document; returns a job id at once. `job_export` gives it in its own format.

    Args:
        file: a text, Markdown, HTML, Word (DOCX), SRT, WebVTT, CSV or TSV file; of a PDF or a workbook comes its text
        target: language to translate to, such as "de"; empty makes Chinese of English and English of all else
        source: language the document is in; empty finds out, paragraph by paragraph
        model: an id that `models` lists, or "auto"
        glossary: terms with their translations, {"file": "Datei"}; an empty translation leaves a term alone
        columns: those of a table (CSV, TSV) to translate; none takes those that hold prose
    """
    services.guard.request(request)
    wish = translate_file_tab.Wish(model, target, source, rows_of(glossary), columns or ())
    return translate_file_tab.start_job(services, request, _uploaded(file), wish)


def job(services: Services, job_id: str, request: gr.Request | None = None) -> dict[str, Any]:
    """Tell how a job is: {id, kind, state, phase, step, steps, eta_s, error}.

    Args:
        job_id: what the endpoint that began it returned
    """
    return services.supervisor.status(job_id, asker(services, request)).facts()


def job_stop(services: Services, job_id: str, request: gr.Request | None = None) -> dict[str, Any]:
    """Ask a job to stop; what it has done is kept.

    Args:
        job_id: what the endpoint that began it returned
    """
    owner = asker(services, request)
    services.supervisor.stop(job_id, owner)
    return services.supervisor.status(job_id, owner).facts()


def job_resume(services: Services, job_id: str, request: gr.Request | None = None) -> dict[str, Any]:
    """Go on with a job that was stopped or interrupted.

    Args:
        job_id: what the endpoint that began it returned
    """
    owner = asker(services, request)
    services.guard.job(request, services.supervisor.status(job_id, owner).kind)
    services.supervisor.resume(job_id, owner)
    return services.supervisor.status(job_id, owner).facts()


def job_report(services: Services, job_id: str, request: gr.Request | None = None) -> dict[str, Any]:
    """What came of a job that is done: scores on held-out rows, shares of labels, a summary, how a translation begins.

    Args:
        job_id: what the endpoint that began it returned
    """
    return dict(services.supervisor.report(job_id, asker(services, request)))


def job_export(services: Services, job_id: str, file: str = "", request: gr.Request | None = None) -> dict[str, Any]:
    """Take out a file that a job made, also one that was stopped; gradio_client saves it and returns its path.

    Args:
        job_id: what the endpoint that began it returned
        file: csv or xlsx of a table, text of a document, adapter of a training; empty takes the first there is.
            Of a training that taught a model to write also merged (the whole model as safetensors) and gguf (for
            llama.cpp and Ollama), which are made when they are first asked for: that takes minutes
    """
    owner = asker(services, request)
    whole = next((form for form in FORMS if form == file), None)
    path = (
        whole_file(services, job_id, whole, request, lambda _: None)
        if whole
        else result_file(services, job_id, owner, file)
    )
    given = offer(services, request, path.name, path)
    return dict(gr.FileData(path=given, orig_name=path.name).model_dump())


def job_push(
    services: Services,
    job_id: str,
    name: str = "",
    file: str = "adapter",
    public: bool = False,
    token: str = "",
    request: gr.Request | None = None,
) -> dict[str, Any]:
    """Push what a training made to the Hugging Face Hub, with its model card: {repo, url, private, commit}.

    Waits until it is there. Pushed again, what has changed is one more commit.

    Args:
        job_id: what `finetune` returned
        name: of the repository, or owner/name; empty takes the name of the training
        file: adapter, or merged (the whole model) of one that learned to write
        public: true for everybody to see
        token: an access token with the right to write; empty takes the app's own, for the owner of the app
    """
    services.guard.request(request)
    return asdict(push_job(services, job_id, Asked(name, file, public), token, request, lambda _: None))


def jobs(services: Services, request: gr.Request | None = None) -> list[dict[str, Any]]:
    """List one's own jobs, newest first."""
    return [status.facts() for status in services.supervisor.jobs(asker(services, request))]


def asker(services: Services, request: gr.Request | None) -> str:
    """Who asks; the request is counted."""
    services.guard.request(request)
    return owner_of(services.settings, request)


def _uploaded(file: Any) -> Path:
    """The path of an uploaded file; a path of the server's own disk is refused, whoever names it."""
    path = Path(str(file.get("path", "")) if isinstance(file, Mapping) else "").resolve()
    if not path.is_relative_to(Path(get_upload_folder()).resolve()) or not path.is_file():
        raise NotFound("api_file", name=path.name)
    return path


ENDPOINTS = (
    finetune,
    summarize_file,
    translate_file,
    sentiment_file,
    job,
    job_stop,
    job_resume,
    job_report,
    job_export,
    job_push,
    jobs,
)
