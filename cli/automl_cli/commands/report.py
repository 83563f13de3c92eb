"""``automl report``: the page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from automl_cli.console import print_json, print_result
from automl_cli.options import JsonOption, RunArgument, RunsOption

__all__ = ["report"]


def report(
    run: RunArgument,
    pick: Annotated[
        str | None,
        typer.Option(metavar="MEMBER", help="Model whose architecture is shown first: knee, best:OBJECTIVE or an id."),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Write report.html and front.png anew, from what the run folder holds; works while a search is running."""
    from automl.report import write_report
    from automl_cli.run_names import find_run

    folder = find_run(run, runs)
    page = write_report(folder, picked=pick)
    picture = folder / "front.png"
    if as_json:
        print_json({"report": str(page), "picture": str(picture) if picture.is_file() else None})
    else:
        print_result(str(page))
    if open_it:
        typer.launch(page.resolve().as_uri())
