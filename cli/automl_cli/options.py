"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = ["JsonOption", "NameOption", "OverwriteOption", "PickOption", "RunArgument", "RunsOption"]

JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON document to standard output instead of tables.")
]
NameOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAME", help="Name of the run; otherwise made from the job.")
]
OverwriteOption: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", help="Remove the run of that name first and start anew.")
]
RunArgument: TypeAlias = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run, or the path of its folder.")]
RunsOption: TypeAlias = Annotated[
    Path, typer.Option("--runs", metavar="DIR", envvar="AUTOML_RUNS", help="Folder that holds the runs.")
]
PickOption: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="MEMBER", help="Member of the front: knee, best:OBJECTIVE, an id or its beginning, or all-front."
    ),
]
