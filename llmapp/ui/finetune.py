"""The fine-tune tab: what shall be learned and a table in, an adapter out, proven on rows it never saw.

Starts jobs and reads their folders; what trains is a process of its own and does not know this page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import Dependency

from ..errors import BadInput, Refused
from ..finetune.conversations import CONVERSATION
from ..finetune.dataset import Table, read_table
from ..finetune.doctor import Finding, Row, examine, examine_pairs
from ..finetune.edits import Edits, together
from ..finetune.goals import AUTO, KINDS, SORTER, WRITER, Goal, check_base, settings_for
from ..finetune.lengths import lengths_by
from ..finetune.order import KIND as JOB
from ..finetune.order import ROWS, LessonOrder, guess_for, order_for
from . import blind, lesson_compare, lesson_view, push, take_along
from .doctor_view import Patient, wire_doctor
from .events import QUIET, bind
from .finetune_costs import bases, costs
from .finetune_draft import COLUMNS, NOTHING, edits_of, keep, restore, start_anew
from .finetune_form import Page, build_page
from .job_panel import Kind, look, wire_panel
from .keeping import kept_table
from .model_choice import model_choices, must_be_here
from .notice import notice, quiet
from .owners import owner_of
from .services import Services
from .table_input import Given, wire_table
from .training_settings import changed_knobs, usual_knobs
from .training_view import curves, shown, story
from .words import language_of, tell, w

COSTLY = ("rank", "batch", "max_tokens")
"""Knobs that change what a training costs."""


def build(services: Services, _demo: gr.Blocks, tab: gr.Tab) -> None:
    """Lay the tab out and wire it."""
    gr.Markdown(w("finetune.intro"), elem_classes="quiet")
    page = build_page(KIND)
    _wire(services, tab.select, page)
    lesson_view.wire(services, tab.select, page.panel, page.view)
    take_along.wire(services, tab.select, page.panel, page.whole)
    push.wire(services, tab.select, page.panel, page.away)
    blind.wire(services, tab.select, page.panel, page.blind)
    lesson_compare.wire(services, tab.select, page.panel, page.compare)


def _wire(services: Services, opened: Callable[..., Any], page: Page) -> None:
    found, goal, kept = page.table.found, page.goal, page.kept
    guessed = wire_table(page.table, page.ready, read_table, partial(_guess, page), partial(_checked, page), goal, kept)
    fresh = (*(event.then for event in guessed), *(column.input for column in page.table.columns))
    patient = Patient(
        partial(_rows, page), partial(_examined, services, page), partial(_settled, page), partial(edits_of, page)
    )
    looked = wire_doctor(page.doctor, [goal, kept, *page.table.inputs()], fresh, patient, [found, page.ready], found)
    aimed, outputs = bind(_aimed, services, page, said=found), _aims(page)
    guessed[-1].then(aimed, [goal, kept], outputs, **QUIET)  # both change the columns
    page.mine.click(bind(_mine, services, page, said=found), None, [page.table.file, found], **QUIET)
    back = opened(bind(restore, services, page, said=found), [page.begun], _drafted(page), **QUIET)
    anew = page.fresh.click(bind(start_anew, services, page, said=found), None, _drafted(page), **QUIET)
    for event in (back, anew):
        event.then(aimed, [goal, kept], outputs, **QUIET).then(**_reckoned(services, page))
    page.start.click(
        bind(_start, services, page, said=page.refused),
        {*page.form(), page.doctor.steps},
        [page.refused, page.way.walk, *page.panel.outputs()],
        **QUIET,
    )
    wire_panel(services, opened, page.panel)
    _wire_draft(services, page, looked)


def _wire_draft(services: Services, page: Page, looked: Sequence[Dependency]) -> None:
    """Whatever is changed is kept; the steps lead on and back."""
    for button, number in page.way.go:
        button.click(partial(gr.Walkthrough, selected=number), None, [page.way.walk], **QUIET)
    kept = {
        "fn": bind(keep, services, page, said=page.refused),
        "inputs": {*page.form(), page.doctor.steps, page.way.at, page.kept},
        "outputs": [page.kept, page.refused],
        **QUIET,
    }
    costing = [page.effort, *(page.knobs[name] for name in COSTLY), page.way.steps[2]]
    for number, step in enumerate(page.way.steps, start=1):
        event = step.select(partial(_same, number), None, [page.way.at], **QUIET).then(**kept)
        if step in costing:
            event.then(**_reckoned(services, page))
    for event in looked:
        event.then(**kept)
    for widget in (page.base, page.effort, page.name, page.prompts, *page.knobs.values()):
        event = widget.input(**kept, trigger_mode="always_last")
        if widget in costing:
            event.then(**_reckoned(services, page))


def _reckoned(services: Services, page: Page) -> dict[str, Any]:
    """What each base costs, as an event."""
    shown = bind(_costs, services, page, said=page.costs)
    return {"fn": shown, "inputs": {*page.form(), page.doctor.steps}, "outputs": [page.costs], **QUIET}


def _costs(services: Services, page: Page, given: Given, request: gr.Request) -> dict[Any, Any]:
    """Nothing for a stranger, who can not train here: it takes some seconds of the machine."""
    try:
        services.guard.manage(request)
    except Refused:
        return {page.costs: ""}
    file, owner = given[page.table.file] or "", owner_of(services.settings, request)
    offered = [name for _, name in _bases(services, given[page.goal], owner, language_of(request))]
    return {page.costs: costs(services, file, _wished(page, given), offered, request)}


def _same(number: int) -> int:
    return number


def _drafted(page: Page) -> list[Any]:
    """What a draft fills in."""
    own = [page.goal, *page.table.inputs(), page.effort, page.name, page.prompts, page.doctor.steps]
    return [*own, page.way.walk, page.way.at, page.ready, page.kept, page.begun, page.table.found]


def _aims(page: Page) -> list[Any]:
    """What follows from the goal."""
    own = [page.about, *page.samples.values(), *page.table.columns, page.mine, page.to_runs, page.prompts, page.base]
    return [*own, *page.knobs.values(), page.table.found]


def _aimed(services: Services, page: Page, goal: Goal, kept: Mapping[str, Any], request: gr.Request) -> dict[Any, Any]:
    """What can be learned and what not, a sample of it, what the columns are called, what one has kept for it, and
    which models learn it in which way.
    """
    sort, owner = goal == "sort", owner_of(services.settings, request)
    count = services.examples.count(owner, "sentiment") if sort else 0
    text, label, _, system = page.table.columns
    names = zip((text, label), ("text", "label") if sort else ("input", "answer"), strict=True)
    named = {column: gr.update(label=tell(request, f"finetune.{name}")) for column, name in names}
    samples = {button: gr.update(visible=each == goal) for each, button in page.samples.items()}
    draft = kept if kept.get("goal") == goal else NOTHING
    bases = _bases(services, goal, owner, language_of(request))
    base = draft["base"] if draft["base"] in {name for _, name in bases} else AUTO
    taught = any(status.kind == JOB for status in services.supervisor.jobs(owner))
    return (
        named
        | {system: gr.update(visible=not sort)}
        | samples
        | usual_knobs(page.knobs, goal, draft["settings"], request)
        | {
            page.about: quiet(tell(request, f"finetune.about_{goal}")),
            page.mine: gr.update(value=tell(request, "keep.shelf_of", count=count), visible=count > 0),
            page.to_runs: gr.update(visible=taught),
            page.prompts: gr.update(visible=not sort),
            page.base: gr.update(choices=bases, value=base),
        }
    )


def _bases(services: Services, goal: Goal, owner: str, language: str) -> list[tuple[str, str]]:
    """(label, id) of the models that can learn this, Auto first."""
    able = {model.id for model in services.catalog.models("finetune") if model.kind in KINDS[goal]}
    choices, _ = model_choices(services, "finetune", owner, language)
    return [choice for choice in choices if choice[1] in {AUTO, *able}]


def _mine(services: Services, page: Page, request: gr.Request) -> dict[Any, Any]:
    """Kept examples become the table, as if they had been uploaded."""
    return {page.table.file: kept_table(services, request, "sentiment"), page.table.found: ""}


def _guess(page: Page, table: Table, given: Given) -> tuple[str, ...]:
    """The columns as they were picked last for this goal, where the table has them; else what they look like."""
    draft = given[page.kept]
    picked = tuple(str(draft.get(name, "")) for name in COLUMNS)
    known = {*picked[:2]} <= {*table.columns} and {*picked} <= {*table.columns, ""}
    if draft.get("goal") == given[page.goal] and known:
        return picked
    guessed = guess_for(given[page.goal], table)
    return guessed.text, guessed.label, guessed.second, guessed.system


def _checked(page: Page, table: Table, chosen: Sequence[str], given: Given, request: gr.Request) -> str:
    """How much can be learned from, and what a person should know about the rest."""
    return _found(_wish(page, given, chosen), table, request)


def _wish(page: Page, given: Given, chosen: Sequence[str], edits: Edits | None = None) -> LessonOrder:
    """What these columns and edits would teach; what the system says to what sorts is nothing."""
    text, label, second, system = chosen
    goal: Goal = given[page.goal]
    kept = "" if goal == "sort" else system
    return LessonOrder(text=text, label=label, second=second, system=kept, goal=goal, edits=edits or Edits())


def _found(wish: LessonOrder, table: Table, request: gr.Request) -> str:
    if wish.goal == "sort":
        rows = wish.rows_of(table)
        sentence = tell(request, "finetune.found", rows=len(rows.texts), labels=", ".join(rows.classes))
    else:
        pairs = wish.pairs_of(table)
        answers = sum(len(pairs.said(i)) // 2 for i in range(len(pairs.inputs)))
        code = "found_conversations" if pairs.histories else "found_pairs"
        sentence = tell(request, f"finetune.{code}", rows=len(pairs.inputs), answers=answers)
    return notice(sentence, "good") + _not_taken(table, wish, request)


def _chosen(page: Page, given: Given) -> tuple[str, ...]:
    """The columns as they are picked, empty for none."""
    return tuple(given[column] or "" for column in page.table.columns)


def _not_taken(table: Table, wish: LessonOrder, request: gr.Request) -> str:
    """That what follows the first answers is left out, where it is."""
    if not table.untaken or wish.text == CONVERSATION:
        return ""
    return notice(tell(request, "training.untaken", exchanges=table.untaken))


def _rows(page: Page, given: Given, edits: Edits) -> list[Row]:
    """The rows of the table on the page, with these edits; none before there is one, or while its columns are none."""
    if not given[page.table.file]:
        return []
    table, chosen = read_table(Path(given[page.table.file])), _chosen(page, given)
    if not (all(chosen[:2]) and {*chosen} <= {*table.columns, ""}):
        chosen = _guess(page, table, given)
    wish = _wish(page, given, chosen, edits)
    table = wish.teaching(table)
    cells = zip(table.numbers, table.column(wish.text), table.column(wish.label), strict=True)
    return [Row(number, cell, " ".join(name.split())) for number, cell, name in cells]


def _examined(services: Services, page: Page, given: Given, rows: Sequence[Row]) -> list[Finding]:
    """What is wrong with them; how long they are is told by the base's own tokenizer, where it is here."""
    goal: Goal = given[page.goal]
    local = services.sources.where(services.catalog.model(SORTER if goal == "sort" else WRITER))
    look = examine if goal == "sort" else examine_pairs
    return look(rows, lengths_by(local.folder if local else None), settings_for(goal, {}).max_tokens)


def _settled(page: Page, given: Given, edits: Edits, request: gr.Request) -> dict[Any, Any]:
    """What can be learned from the table as it is now."""
    wish = _wish(page, given, _chosen(page, given), edits)
    try:
        said = _found(wish, read_table(Path(given[page.table.file])), request)
    except BadInput as problem:
        return {
            page.table.found: notice(problem.text(language_of(request)), "bad"),
            page.ready: gr.update(interactive=False),
        }
    return {page.table.found: said, page.ready: gr.update(interactive=True)}


def start_job(services: Services, request: gr.Request | None, path: Path, wish: LessonOrder) -> str:
    """Start a training and return its job id at once. Raises BadInput, NotFound, Refused."""
    services.guard.job(request, JOB)
    services.guard.size(request, path.stat().st_size)
    order = order_for(path, wish, bases(services, request).check_auto)
    base = services.catalog.model(order.base)
    check_base(order.goal, base)
    if wish.base != AUTO:
        must_be_here(services, base, request)
    return services.supervisor.start(JOB, owner_of(services.settings, request), asdict(order), {ROWS: path})


def _start(services: Services, page: Page, given: Given, request: gr.Request) -> dict[Any, Any]:
    """Start what is filled in, and show it."""
    if not given[page.table.file]:
        raise BadInput("no_table")
    job = start_job(services, request, Path(given[page.table.file]), _wished(page, given))
    return look(services, page.panel, job, request) | {page.refused: "", page.way.walk: gr.Walkthrough(selected=4)}


def _wished(page: Page, given: Given) -> LessonOrder:
    """What is filled in."""
    columns = _wish(page, given, _chosen(page, given), together(given[page.doctor.steps]))
    prompts = tuple(line.strip() for line in given[page.prompts].splitlines() if line.strip())
    return replace(
        columns,
        base=given[page.base],
        effort=given[page.effort],
        name=given[page.name],
        settings=changed_knobs(page.knobs, given[page.goal], given),
        prompts=prompts,
    )


def _told(events: Sequence[Mapping[str, Any]], ended: bool, language: str) -> str:
    """What happened so far and what it says by now; once it has ended the curves alone."""
    drawn = curves(events, language)
    return drawn if ended else story(events, language) + shown(events, language) + drawn


KIND = Kind(JOB, ("adapter",), lesson_view.card, _told)
