"""``automl init-plugin``: a new plugin distribution."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from automl_cli.console import print_json, print_result
from automl_cli.options import JsonOption

__all__ = ["init_plugin"]


def init_plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the distribution, such as automl-wavelets.")],
    into: Annotated[
        Path | None, typer.Option("--into", metavar="DIR", help="Folder to make; otherwise NAME in the current folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a complete plugin: one block, a search space that uses it, and tests that pass at once."""
    from automl.host.scaffold import write_plugin

    folder = into if into is not None else Path(name)
    files = write_plugin(name, folder)
    if as_json:
        print_json({"folder": str(folder), "files": [str(path) for path in files]})
        return
    for path in files:
        print_result(f"wrote {path}")
    print_result(f"Next: pip install -e {folder} && pytest {folder}")
