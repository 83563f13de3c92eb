"""``automl front``: the front of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl_cli.console import print_json, print_result, print_table, results
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
    nested: Annotated[
        bool,
        typer.Option(
            "--sorted", help="Measure the nested subnetworks of the trained supernet instead: sizes without a search."
        ),
    ] = False,
    sub_models: Annotated[
        int | None, typer.Option(min=2, max=1000, help="Most subnetworks of --sorted; otherwise as it was trained.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="BOUND", help="Largest subnetwork of --sorted within it, such as 'macs<=100k'."),
    ] = None,
    families: Annotated[
        bool,
        typer.Option(
            "--families", help="Print instead how each block family was trained, measured and did, slot by slot."
        ),
    ] = False,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Print the models of the front, the cheapest first, and what limited the search.

    With --sorted, print the nested subnetworks of a run of the strategy 'sorted' with measured quality and cost, the share of
    the full model's quality that they keep, and the largest one within a budget.
    """
    from automl.errors import ConfigError, RunError
    from automl.report import read_run
    from automl_cli.run_names import find_run

    if watch and as_json:
        raise ConfigError("--watch and --json exclude each other; --watch is for people.")
    if watch and nested:
        raise ConfigError("--watch and --sorted exclude each other; --sorted follows no search.")
    if not nested and (budget is not None or sub_models is not None):
        raise ConfigError(f"{'--budget' if budget is not None else '--sub-models'} belongs to --sorted; add it.")
    if families and (watch or nested):
        raise ConfigError(f"--families and {'--watch' if watch else '--sorted'} exclude each other.")
    folder = find_run(run, runs)
    if nested:
        from automl_cli.sorted_view import show_sorted

        show_sorted(folder, sub_models=sub_models, budget=budget, show_all=show_all, as_json=as_json)
        return
    if watch:
        from automl_cli.watching import watch_run

        if not watch_run(folder, every):
            return
    record = read_run(folder, trials=False)
    if not record.summary:
        raise RunError(f"{folder}: the run has no front yet; 'automl search' with the same options goes on with it.")
    if families:
        show_families(record, as_json=as_json)
    elif as_json:
        print_json(front_summary(record))
    else:
        print_front(record, limit=None if show_all else ROWS)


def print_front(record: RunRecord, *, limit: int | None) -> None:
    """Prints the table of a front and the notes of its search."""
    from automl.report import front_table
    from automl.report.finalists import compare_finalists
    from automl.report.stitching import compare_stitches, stitch_table

    results().print(front_table(record, limit=limit))
    comparison = compare_stitches(record)
    if comparison is not None:
        results().print(stitch_table(comparison, record.axes))
        print_result(f"Line:   {comparison.sentence}")
    finalists = compare_finalists(record)
    if finalists is not None:
        print_table("Finalists, trained alone", finalists.heads, finalists.rows, right=finalists.numbers)
    for note in record.notes:
        print_result(f"Note:   {note}")


def show_families(record: RunRecord, *, as_json: bool) -> None:
    """Prints the families of a run side by side.

    Raises:
        RunError: no slot of its space has several.
    """
    from automl.errors import RunError
    from automl.report.families import TEXT_COLUMNS, family_rows

    if as_json:
        print_json(record.summary.get("families") or [])
        return
    titles, rows = family_rows(record)
    if not rows:
        raise RunError(f"{record.folder}: in no slot of its space do several families compete.")
    print_table("Families", titles, rows, right=range(TEXT_COLUMNS, len(titles)))


def front_summary(record: RunRecord) -> dict[str, Any]:
    """Returns the front as JSON values, for stitched networks with their comparison, and all that was trained alone."""
    from automl.report.stitching import compare_stitches

    comparison = compare_stitches(record)
    stitching = {"stitching": comparison.to_json()} if comparison is not None else {}
    return {**record.summary, **stitching, **({"finalists": record.finalists} if record.finalists else {})}
