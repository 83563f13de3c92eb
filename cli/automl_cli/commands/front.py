"""``automl front``: the front of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl_cli.console import print_json, print_result, results
from automl_cli.options import JsonOption, RunArgument, RunsOption

if TYPE_CHECKING:
    from automl.report.record import RunRecord

__all__ = ["front"]

ROWS = 25


def front(
    run: RunArgument,
    show_all: Annotated[bool, typer.Option("--all", help=f"All members instead of {ROWS} evenly spaced ones.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow a running search until it ends; disturbs it in no way.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Pause between two looks of --watch.")] = 1.0,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Print the models of the front, the cheapest first, and what limited the search."""
    from automl.errors import ConfigError, RunError
    from automl.report import read_run
    from automl_cli.run_names import find_run

    if watch and as_json:
        raise ConfigError("--watch and --json exclude each other; --watch is for people.")
    folder = find_run(run, runs)
    if watch:
        from automl_cli.watching import watch_run

        if not watch_run(folder, every):
            return
    record = read_run(folder, trials=False)
    if not record.summary:
        raise RunError(f"{folder}: the run has no front yet; 'automl search' with the same options goes on with it.")
    if as_json:
        print_json(front_summary(record))
    else:
        print_front(record, limit=None if show_all else ROWS)


def print_front(record: RunRecord, *, limit: int | None) -> None:
    """Prints the table of a front and the notes of its search."""
    from automl.report import front_table
    from automl.report.stitching import compare_stitches, stitch_table

    results().print(front_table(record, limit=limit))
    comparison = compare_stitches(record)
    if comparison is not None:
        results().print(stitch_table(comparison, record.axes))
        print_result(f"Line:   {comparison.sentence}")
    for note in record.notes:
        print_result(f"Note:   {note}")


def front_summary(record: RunRecord) -> dict[str, Any]:
    """Returns the front as JSON values, for stitched networks with their comparison."""
    from automl.report.stitching import compare_stitches

    comparison = compare_stitches(record)
    return {**record.summary, **({"stitching": comparison.to_json()} if comparison is not None else {})}
