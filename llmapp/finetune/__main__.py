"""`python -m llmapp.finetune`: the same trainings as on the page, from the command line.

Works on the job folders of the app's data folder, whether the app runs or not, as the person at the keyboard. Results
go to the output, words to the error output. Ends with 0, with 1 where something failed, with 2 for bad input.
Imports no torch: a training is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog import Catalog, Model
from ..errors import BadInput, LlmappError, NotFound
from ..jobs.job import ENDED, JobStatus, unpack
from ..jobs.supervisor import HOME, STOP_GRACE_S, Supervisor
from ..messages import say
from ..settings import ONE_PERSON, AppSettings, read_settings
from .dataset import read_table
from .goals import AUTO, GOALS, check_base, check_goal
from .order import KIND, ROWS, LessonOrder, order_for, with_columns
from .settings import EFFORTS, check_effort

if TYPE_CHECKING:
    from ..backend.sources import Sources
    from .bases import Bases

LOOK_S = 0.5
WELL_ENDED = ("done", "stopped")


def main(argv: Sequence[str] | None = None) -> int:
    """Do one command; what goes wrong is one sentence."""
    given = _parser().parse_args(argv)
    command: Callable[[Supervisor, argparse.Namespace, AppSettings], int] = given.command
    try:
        settings = read_settings(_app_flags(given))
        return command(Supervisor(settings.data_dir / "jobs", settings), given, settings)
    except LlmappError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, (BadInput, NotFound)) and error.code != "no_report" else 1


def start(supervisor: Supervisor, given: argparse.Namespace, settings: AppSettings) -> int:
    """Begin a training; prints its id."""
    wish = replace(_wish(given), base=given.base, name=given.name, prompts=tuple(given.ask))
    check = _bases(supervisor, settings).check_auto if given.base == AUTO else None
    order = order_for(given.data, wish, check)
    base = Catalog.read(HOME / "models", settings.data_dir / "adapters").model(order.base)
    check_base(order.goal, base)
    taken = "`, `".join(filter(None, (order.system, order.text, order.second)))
    print(supervisor.start(KIND, ONE_PERSON, asdict(order), {ROWS: given.data}), flush=True)
    print(say("finetune.cli_started", text=taken, label=order.label, base=base.name), file=sys.stderr)
    return 0


def bases(supervisor: Supervisor, given: argparse.Namespace, settings: AppSettings) -> int:
    """Print every base that can learn this: whether it fits, GB, the least of them where it is lowered, minutes."""
    wish, table = _wish(given), read_table(given.data)
    wish, reckoned = with_columns(wish, table), _bases(supervisor, settings)
    found = [
        {
            "id": offer.model.id,
            "name": offer.model.name,
            "badge": offer.cost.badge,
            "gb": round(offer.cost.needs / 1e9, 2),
            "least_gb": round(offer.cost.least / 1e9, 2),
            "minutes": round(offer.cost.minutes, 1),
            "rough": not reckoned.rate,
            "auto": offer.auto,
        }
        for offer in reckoned.offers(wish, table)
    ]
    _print(found)
    return 0


def _wish(given: argparse.Namespace) -> LessonOrder:
    """What is asked of the table. Raises BadInput for a file, a goal or an effort that there is not."""
    if not given.data.is_file():
        raise BadInput("no_such_file", file=str(given.data))
    goal, effort = check_goal(given.goal), check_effort(given.effort)
    columns = {"text": given.text, "label": given.label, "second": given.second or None, "system": given.system}
    return LessonOrder(effort=effort, goal=goal, **columns)


def _bases(supervisor: Supervisor, settings: AppSettings) -> Bases:
    """What costs what on this machine."""
    from ..backend.device import available_memory, detect
    from ..backend.sources import Sources
    from .bases import Bases

    hardware, catalog = detect(settings.device), Catalog.read(HOME / "models")
    sources, reports = Sources(settings.data_dir / "models", settings), supervisor.reports(KIND, ONE_PERSON)
    return Bases(catalog, sources.where, hardware, available_memory(hardware), reports)


def status(supervisor: Supervisor, given: argparse.Namespace, _: AppSettings) -> int:
    """Print how a training stands, as JSON."""
    _print(_plain(supervisor.status(given.id, ONE_PERSON)))
    return 0


def watch(supervisor: Supervisor, given: argparse.Namespace, _: AppSettings) -> int:
    """Print a line whenever something happens, until it has ended; what is said of it goes to the error output."""
    shown, seen = "", 0
    while True:
        found = supervisor.status(given.id, ONE_PERSON)
        for event in supervisor.events(given.id, ONE_PERSON, seen):
            seen = event["seq"]
            if event["kind"] == "say":
                print(unpack(event).text(), file=sys.stderr, flush=True)
        line = _line(found)
        if line != shown:
            print(line, flush=True)
        shown = line
        if found.state in ENDED:
            break
        time.sleep(LOOK_S)
    if found.problem:
        print(found.problem.text(), file=sys.stderr)
    return 0 if found.state in WELL_ENDED else 1


def stop(supervisor: Supervisor, given: argparse.Namespace, _: AppSettings) -> int:
    """Stop a training, which keeps what it has; waits until it has, and prints how it stands."""
    supervisor.stop(given.id, ONE_PERSON)
    until = time.monotonic() + 2 * STOP_GRACE_S
    while (found := supervisor.status(given.id, ONE_PERSON)).state not in ENDED and time.monotonic() < until:
        time.sleep(LOOK_S)
    _print(_plain(found))
    return 0 if found.state in ENDED else 1


def resume(supervisor: Supervisor, given: argparse.Namespace, _: AppSettings) -> int:
    """Go on with a training; prints how it stands."""
    supervisor.resume(given.id, ONE_PERSON)
    _print(_plain(supervisor.status(given.id, ONE_PERSON)))
    return 0


def report(supervisor: Supervisor, given: argparse.Namespace, _: AppSettings) -> int:
    """Print what came of a training, as JSON, fractions of 1."""
    _print(supervisor.report(given.id, ONE_PERSON))
    return 0


def export(supervisor: Supervisor, given: argparse.Namespace, settings: AppSettings) -> int:
    """Write a training's adapter, or the whole model, as a zip file; prints its place."""
    report, result = _made(supervisor, given.id)
    adapter = result / report["files"]["adapter"]
    path = adapter if given.form == "adapter" else _whole(given.form, result, report, settings)
    print(shutil.copyfile(path, given.to or path.name))
    return 0


def push(supervisor: Supervisor, given: argparse.Namespace, settings: AppSettings) -> int:
    """Send a training's adapter, or the whole model, to the Hub; prints where it is."""
    from .to_hub import Wish, check_push_form, push_training

    report, result = _made(supervisor, given.id)
    wish = Wish(supervisor.name(given.id, ONE_PERSON), check_push_form(given.form), given.to, given.public)
    done = push_training(wish, result, report, *_base(report, settings), settings, lambda _: None)
    print(done.url)
    return 0


def _made(supervisor: Supervisor, job: str) -> tuple[Mapping[str, Any], Path]:
    """The report of a training that made an adapter, and its result folder."""
    report = supervisor.report(job, ONE_PERSON)
    files = report.get("files", {})
    if "adapter" not in files:
        raise NotFound("job_no_file", job=job, file="adapter", files=", ".join(files) or "-")
    return report, supervisor.result_path(job, ONE_PERSON)


def _whole(form: str, result: Path, report: Mapping[str, Any], settings: AppSettings) -> Path:
    """The zip of the whole model in a form; made by a process of its own, as trainings are."""
    from .take_along import check_form, take_along

    return take_along(check_form(form), result, report, *_base(report, settings), lambda _: None)


def _base(report: Mapping[str, Any], settings: AppSettings) -> tuple[Model, Sources]:
    """What a training stands on, and where it lies."""
    from ..backend.sources import Sources

    return Catalog.read(HOME / "models").model(report["base"]), Sources(settings.data_dir / "models", settings)


def list_all(supervisor: Supervisor, _given: argparse.Namespace, _: AppSettings) -> int:
    """Print a line for each training, newest first: id, how it stands, name."""
    for found in supervisor.jobs(ONE_PERSON):
        if found.kind == KIND:
            print(f"{_line(found)}  {supervisor.name(found.id, ONE_PERSON)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m llmapp.finetune", description=say("finetune.cli_about"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, does: Callable[..., int], of_one: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=say(f"finetune.cli_{name}"), description=say(f"finetune.cli_{name}"))
        added.set_defaults(command=does)
        if of_one:
            added.add_argument("id", metavar="ID", help=say("finetune.cli_id"))
        for flag in ("--data-dir", "--device", "--precision"):
            added.add_argument(flag, default=None)
        added.add_argument("--offline", action="store_true")
        return added

    begin, reckon = command("start", start, of_one=False), command("bases", bases, of_one=False)
    for each in (begin, reckon):
        each.add_argument("--data", type=Path, required=True, help=say("finetune.cli_data"))
        for flag in ("--text", "--second", "--system", "--label"):
            each.add_argument(flag, default="", help=say(f"finetune.cli_{flag[2:]}"))
        each.add_argument("--goal", default=GOALS[0], help=say("finetune.cli_goal", goals=", ".join(GOALS)))
        each.add_argument("--effort", default=EFFORTS[0], help=", ".join(EFFORTS))
    begin.add_argument("--name", default="", help=say("finetune.cli_name"))
    begin.add_argument("--base", default=AUTO, help=say("finetune.cli_base"))
    begin.add_argument("--ask", action="append", default=[], help=say("finetune.cli_ask"))
    for name, does in (("status", status), ("watch", watch), ("stop", stop), ("resume", resume), ("report", report)):
        command(name, does)
    out = command("export", export)
    out.add_argument("--to", default="", help=say("finetune.cli_to"))
    out.add_argument("--as", dest="form", default="adapter", help=say("finetune.cli_as", forms="adapter, merged, gguf"))
    away = command("push", push)
    away.add_argument("--to", default="", metavar="NAME", help=say("finetune.cli_push_to"))
    away.add_argument("--as", dest="form", default="adapter", help=say("finetune.cli_push_as"))
    away.add_argument("--public", action="store_true", help=say("finetune.cli_push_public"))
    command("list", list_all, of_one=False)
    return parser


def _app_flags(given: argparse.Namespace) -> list[str]:
    """The flags that are the app's own."""
    named = {"--data-dir": given.data_dir, "--device": given.device, "--precision": given.precision}
    flags = [part for flag, value in named.items() if value for part in (flag, value)]
    return [*flags, *(["--offline"] if given.offline else [])]


def _plain(found: JobStatus) -> dict[str, Any]:
    return {**found.facts(), "pid": found.pid}


def _line(found: JobStatus) -> str:
    """`0198... running Learning ... 40/120`."""
    phase = say(f"job.phase_{found.phase}") if found.state == "running" and found.phase else ""
    steps = f"{found.step}/{found.steps}" if found.steps else ""
    return " ".join(filter(None, (found.id, found.state, phase, steps)))


def _print(data: Any) -> None:
    print(json.dumps(data, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    sys.exit(main())
