"""``automl search``: run a job, or go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl_cli.commands.front import ROWS, front_summary, print_front
from automl_cli.console import print_json, print_result, report_progress
from automl_cli.options import JsonOption, NameOption, OverwriteOption, RunsOption

if TYPE_CHECKING:
    from automl.job_config import JobConfig

__all__ = ["announce", "run_resolved", "search", "show_run"]


def search(
    job: Annotated[
        Path | None, typer.Argument(metavar="JOB", help="Job file in YAML; options are laid over it.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(metavar="SPACE", help="Search space: an installed one or a YAML file.")
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="DATA", help="Built-in data such as digits, or a path.")] = None,
    task: Annotated[str | None, typer.Option(metavar="TASK", help="Task; otherwise the one that fits.")] = None,
    objective: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Quantity to minimise; repeat for several.")
    ] = None,
    constraint: Annotated[
        list[str] | None, typer.Option(metavar="BOUND", help="Such as 'latency<=2ms'; repeat for several.")
    ] = None,
    searcher: Annotated[
        str | None, typer.Option(metavar="NAME", help="Such as portfolio, evolution or optuna:SAMPLER.")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How the supernet is trained, such as sandwich, sorted or mixture."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of supernet training.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Number of architectures to measure.")] = None,
    time_budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Measure no new architectures after 90s, 10m, 1h30m.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="TRIALS", help="End when so many trials in a row add less than --gain to the hypervolume."
        ),
    ] = None,
    gain: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Smallest gain that --patience accepts, such as 0.1% or 0.001.")
    ] = None,
    warm_start: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN", help="Measure first: the front of an earlier run, 'ends', 'stratified'; repeatable."
        ),
    ] = None,
    candidates: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KINDS",
            help="Kinds of network in the front, with commas between: subnets,stitches,tickets,finalists; subnets.",
        ),
    ] = None,
    memory_limit: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Most memory of a training step, such as 2GB; larger families are left out."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of everything.")] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the job, such as training.learning_rate=0.01."),
    ] = None,
    name: NameOption = None,
    overwrite: OverwriteOption = False,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Train a supernet, search it, and write the front and a report.

    The same command again goes on where it stopped, after Ctrl-C, a crash or a power cut. A larger --trials, --time-budget
    or --patience extends a finished run.
    """
    from automl.job_config import resolve_job
    from automl_cli.run_names import run_folder

    settings: dict[str, Any] = {
        "space": space,
        "data": data,
        "task": task,
        "objectives": objective,
        "constraints": constraint,
        "searcher": searcher,
        "strategy": strategy,
        "trials": trials,
        "time_budget": time_budget,
        "warm_start": warm_start,
        "memory_limit": memory_limit,
        "candidates": [word for text in candidates or [] for word in text.replace(",", " ").split()],
        "seed": seed,
    }
    given = {key: value for key, value in settings.items() if value is not None and value != []}
    shorthand = [
        f"{key}={value}"
        for key, value in (("training.epochs", epochs), ("patience.trials", patience), ("patience.gain", gain))
        if value is not None
    ]
    resolved = resolve_job(job, settings=given, assignments=[*shorthand, *(assignments or [])])
    folder = run_folder(name if name is not None else resolved.default_name(), runs)
    announce(resolved, folder, overwrite=overwrite)
    run_resolved(resolved, folder, overwrite=overwrite)
    show_run(folder, runs, as_json=as_json)


def announce(job: JobConfig, folder: Path, *, overwrite: bool) -> None:
    """Says whether a run starts or goes on."""
    from automl.run_folder import Run

    if overwrite or not (folder / "job.yaml").is_file():
        report_progress(f"Starting a run in {folder}")
    elif Run.open(folder).job.default_name() == job.default_name():
        report_progress(f"Going on with the run in {folder}: what is done there is not done again")


def run_resolved(job: JobConfig, folder: Path, *, overwrite: bool) -> None:
    """Runs a job, or goes on with it, with its progress shown; Ctrl-C stops it cleanly."""
    from automl_cli.interruption import stop_on_interrupt
    from automl_cli.progress_bars import show_progress

    with stop_on_interrupt() as stop, show_progress() as progress:
        from automl.host import Host
        from automl.job import run_job

        run_job(job, folder, host=Host.load(), overwrite=overwrite, progress=progress, stop=stop)


def show_run(folder: Path, runs: Path, *, as_json: bool, **further: Any) -> None:
    """Prints the front of a finished run, and what can be done with it; as JSON with ``further`` entries.

    Raises:
        AutomlError: the front is empty; it is printed all the same.
    """
    from automl.errors import AutomlError
    from automl.report import read_run

    record = read_run(folder, trials=False)
    page, knee = folder / "report.html", record.member(None)
    if as_json:
        print_json(
            {"run": folder.name, "folder": str(folder), "report": str(page), "front": front_summary(record), **further}
        )
    else:
        print_front(record, limit=ROWS)
        if knee is not None:
            print_result(f"Knee:   {knee.id}")
        print_result(f"Report: {page}")
    if knee is None:
        raise AutomlError(f"{folder}: the front is empty: {_why_empty(record.summary['trials'])}.")
    if not as_json:
        name = folder.name if runs == Path("runs") else str(folder)
        print_result(f"Next:   automl export {name} --pick knee --to onnx,pt2")
        print_result(f"        automl measure {name} --pick all-front --runtime onnxruntime")


def _why_empty(trials: Mapping[str, Any]) -> str:
    if not trials["complete"]:
        return f"all {trials['failed']} candidates failed; the notes tell why"
    return (
        f"none of {trials['complete']} measured candidates met all constraints; loosen them under another --name, or raise "
        "--trials"
    )
