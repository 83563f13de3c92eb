"""``automl front``: the front of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from automl_cli.console import print_json, results
from automl_cli.options import JsonOption, RunArgument, RunsOption

__all__ = ["front"]

ROWS = 25


def front(
    run: RunArgument,
    show_all: Annotated[bool, typer.Option("--all", help=f"All members instead of {ROWS} evenly spaced ones.")] = False,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Print the models of the front, the cheapest first."""
    from automl.errors import RunError
    from automl.report import front_table, read_run
    from automl_cli.run_names import find_run

    folder = find_run(run, runs)
    record = read_run(folder, trials=False)
    if not record.summary:
        raise RunError(f"{folder}: the run has no front yet; 'automl search' with the same options goes on with it.")
    if as_json:
        print_json(record.summary)
    else:
        results().print(front_table(record, limit=None if show_all else ROWS))
