"""The fine-tune tab: what shall be learned and a table in, an adapter out, proven on rows it never saw.

Starts jobs and reads their folders; what trains is a process of its own and does not know this page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import BadInput
from ..finetune.dataset import Table, read_table, validate
from ..finetune.doctor import Finding, Row, examine, examine_pairs
from ..finetune.edits import Edits, edited, together
from ..finetune.goals import AUTO, GOALS, SORTER, WRITER, Goal, check_base, settings_for
from ..finetune.lengths import lengths_by
from ..finetune.order import KIND as JOB
from ..finetune.order import MOST_PROMPTS, ROWS, LessonOrder, guess_for, order_for
from ..finetune.pairs import pair_up
from ..finetune.records import ENDINGS
from ..finetune.settings import EFFORTS
from . import lesson_view
from .doctor_view import Doctor, Patient, Steps, build_doctor, wire_doctor
from .events import QUIET, bind
from .job_panel import Kind, Panel, build_panel, look, wire_panel
from .keeping import kept_table
from .model_choice import must_be_here
from .notice import notice, quiet
from .owners import owner_of
from .services import Services
from .table_input import FILE_TYPES, Given, TableInput, build_table, wire_table
from .training_view import curves, shown, story
from .words import language_of, tell, w


@dataclass(frozen=True)
class Page:
    """The tab's widgets."""

    goal: gr.Radio
    about: gr.HTML
    samples: Mapping[Goal, gr.DownloadButton]
    table: TableInput
    doctor: Doctor
    mine: gr.Button
    prompts: gr.Textbox
    name: gr.Textbox
    effort: gr.Radio
    start: gr.Button
    panel: Panel


def build(services: Services, _demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it."""
    gr.Markdown(w("finetune.intro"), elem_classes="quiet")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            goal = gr.Radio(
                [(w(f"finetune.goal_{each}"), each) for each in GOALS],
                value=GOALS[0],
                label=w("finetune.goal"),
                elem_id="finetune-goal",
            )
            about = gr.HTML(elem_id="finetune-about", padding=False)
            samples = {each: _sample(each) for each in GOALS}
            mine = gr.Button(w("keep.shelf"), visible=False, size="sm", elem_id="finetune-mine")
            table = build_table("finetune", ("text", "label"), file_types=(*FILE_TYPES, *ENDINGS, ".zip"))
            doctor = build_doctor()
            prompts = gr.Textbox(
                "",
                label=w("finetune.prompts"),
                info=w("finetune.prompts_info"),
                lines=2,
                max_lines=MOST_PROMPTS,
                max_length=2000,
                visible=False,
                elem_id="finetune-prompts",
            )
            name = gr.Textbox("", label=w("finetune.name"), placeholder=w("finetune.name_info"), max_length=60)
            effort = gr.Radio(
                [(w(f"finetune.{effort}"), effort) for effort in EFFORTS],
                value=EFFORTS[0],
                label=w("finetune.effort"),
            )
            start = gr.Button(w("finetune.start"), variant="primary", interactive=False, elem_id="finetune-start")
        with gr.Column(min_width=320):
            panel = build_panel(KIND)
            view = lesson_view.build()
    _wire(services, tab.select, Page(goal, about, samples, table, doctor, mine, prompts, name, effort, start, panel))
    lesson_view.wire(services, tab.select, panel, view)


SAMPLES: Mapping[Goal, Path] = {goal: Path(__file__).parent / "samples" / f"{goal}.csv" for goal in GOALS}


def _sample(goal: Goal) -> gr.DownloadButton:
    """A table of the kind that this goal takes; only the first is in sight at first."""
    path, shown = str(SAMPLES[goal]), goal == GOALS[0]
    return gr.DownloadButton(
        w("finetune.sample"), value=path, visible=shown, size="sm", elem_id=f"finetune-sample-{goal}"
    )


def _wire(services: Services, opened: Callable[..., Any], page: Page) -> None:
    found, goal = page.table.found, page.goal
    guessed = wire_table(page.table, page.start, read_table, partial(_guess, page), partial(_checked, page), goal)
    fresh = (*(event.then for event in guessed), *(column.input for column in page.table.columns))
    patient = Patient(partial(_rows, page), partial(_examined, services, page), partial(_settled, page))
    wire_doctor(page.doctor, [goal, *page.table.inputs()], fresh, patient, [found, page.start], found)
    aimed = [page.about, *page.samples.values(), *page.table.columns, page.mine, page.prompts]
    guessed[-1].then(bind(_aimed, services, page, said=found), [goal], aimed, **QUIET)  # both change the columns
    page.mine.click(bind(_mine, services, page, said=found), None, [page.table.file, found], **QUIET)
    opened(bind(_aimed, services, page, said=found), [goal], aimed, **QUIET)
    page.start.click(
        bind(_start, services, page, said=found),
        {goal, *page.table.inputs(), page.prompts, page.name, page.effort, page.doctor.steps},
        [found, *page.panel.outputs()],
        **QUIET,
    )
    wire_panel(services, opened, page.panel)


def _aimed(services: Services, page: Page, goal: Goal, request: gr.Request) -> dict[Any, Any]:
    """What can be learned and what not, a sample of it, what the columns are called, and what one has kept for it."""
    sort = goal == "sort"
    count = services.examples.count(owner_of(services.settings, request), "sentiment") if sort else 0
    names = ("text", "label") if sort else ("input", "answer")
    columns = zip(page.table.columns, names, strict=True)
    named = {column: gr.update(label=tell(request, f"finetune.{name}")) for column, name in columns}
    samples = {button: gr.update(visible=each == goal) for each, button in page.samples.items()}
    return (
        named
        | samples
        | {
            page.about: quiet(tell(request, f"finetune.about_{goal}")),
            page.mine: gr.update(value=tell(request, "keep.shelf_of", count=count), visible=count > 0),
            page.prompts: gr.update(visible=not sort),
        }
    )


def _mine(services: Services, page: Page, request: gr.Request) -> dict[Any, Any]:
    """Kept examples become the table, as if they had been uploaded."""
    return {page.table.file: kept_table(services, request, "sentiment"), page.table.found: ""}


def _guess(page: Page, table: Table, given: Given) -> tuple[str, str]:
    return guess_for(given[page.goal], table)


def _checked(page: Page, table: Table, chosen: Sequence[str], given: Given, request: gr.Request) -> str:
    """How much can be learned from, and what a person should know about the rest."""
    text, label = chosen
    if given[page.goal] == "sort":
        rows = validate(table, text, label)
        sentence = tell(request, "finetune.found", rows=len(rows.texts), labels=", ".join(rows.classes))
    else:
        pairs = pair_up(table, text, label)
        sentence = tell(request, "finetune.found_pairs", rows=len(pairs.inputs))
    return notice(sentence, "good") + _not_taken(table, request)


def _not_taken(table: Table, request: gr.Request) -> str:
    return notice(tell(request, "training.untaken", exchanges=table.untaken)) if table.untaken else ""


def _rows(page: Page, given: Given, edits: Edits) -> list[Row]:
    """The rows of the table on the page, with these edits; none before there is one, or while its columns are none."""
    path, (text, label) = given[page.table.file], (given[column] for column in page.table.columns)
    if not path:
        return []
    table = read_table(Path(path))
    if not {text, label} <= set(table.columns):
        text, label = _guess(page, table, given)
    table = edited(table, text, label, edits)
    cells = zip(table.numbers, table.column(text), table.column(label), strict=True)
    return [Row(number, cell, " ".join(name.split())) for number, cell, name in cells]


def _examined(services: Services, page: Page, given: Given, rows: Sequence[Row]) -> list[Finding]:
    """What is wrong with them; how long they are is told by the base's own tokenizer, where it is here."""
    goal: Goal = given[page.goal]
    local = services.sources.where(services.catalog.model(SORTER if goal == "sort" else WRITER))
    look = examine if goal == "sort" else examine_pairs
    return look(rows, lengths_by(local.folder if local else None), settings_for(goal, {}).max_tokens)


def _settled(page: Page, given: Given, edits: Edits, request: gr.Request) -> dict[Any, Any]:
    """What can be learned from the table as it is now."""
    text, label = (given[column] for column in page.table.columns)
    table = edited(read_table(Path(given[page.table.file])), text, label, edits)
    try:
        said = _checked(page, table, (text, label), given, request)
    except BadInput as problem:
        return {
            page.table.found: notice(problem.text(language_of(request)), "bad"),
            page.start: gr.update(interactive=False),
        }
    return {page.table.found: said, page.start: gr.update(interactive=True)}


def start_job(services: Services, request: gr.Request | None, path: Path, wish: LessonOrder) -> str:
    """Start a training and return its job id at once. Raises BadInput, NotFound, Refused."""
    services.guard.job(request, JOB)
    services.guard.size(request, path.stat().st_size)
    order = order_for(path, wish)
    base = services.catalog.model(order.base)
    check_base(order.goal, base)
    if wish.base != AUTO:
        must_be_here(services, base, request)
    return services.supervisor.start(JOB, owner_of(services.settings, request), asdict(order), {ROWS: path})


def _start(services: Services, page: Page, given: Given, request: gr.Request) -> dict[Any, Any]:
    steps: Steps = given[page.doctor.steps]
    text, label = (given[column] for column in page.table.columns)
    prompts = tuple(line.strip() for line in given[page.prompts].splitlines() if line.strip())
    wish = LessonOrder(
        text=text,
        label=label,
        effort=given[page.effort],
        name=given[page.name],
        edits=together(steps),
        goal=given[page.goal],
        prompts=prompts,
    )
    return look(services, page.panel, start_job(services, request, Path(given[page.table.file]), wish), request)


def _told(events: Sequence[Mapping[str, Any]], ended: bool, language: str) -> str:
    """What happened so far and what it says by now; once it has ended the curves alone."""
    drawn = curves(events, language)
    return drawn if ended else story(events, language) + shown(events, language) + drawn


KIND = Kind(JOB, ("adapter",), lesson_view.card, _told)
