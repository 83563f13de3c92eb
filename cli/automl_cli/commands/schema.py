"""``automl schema``: JSON schemas for editors."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from automl.errors import ConfigError
from automl_cli.console import print_json
from automl_cli.options import JsonOption

__all__ = ["schema"]


class Document(StrEnum):
    """What there is a schema of."""

    job = "job"
    space = "space"


def schema(
    document: Annotated[Document, typer.Argument(metavar="job|space", help="Kind of file.")],
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Kind of search space file, such as stitched; left out: a graph of slots."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the JSON schema of job files or search space files, for completion and checks in an editor."""
    if kind is not None and document is not Document.space:
        raise ConfigError(
            f"--kind {kind}: only search space files have kinds; write 'automl schema space --kind {kind}'."
        )
    if document is Document.job:
        from automl.job_config import JobConfig

        content = JobConfig.model_json_schema(by_alias=True)
    elif kind is not None:
        from automl.host import Host

        content = Host.load().find("space-kind", kind, where="--kind").load().model_json_schema(by_alias=True)
    else:
        from automl.supernet.schema import Skeleton

        content = Skeleton.model_json_schema(by_alias=True)
    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **content})
