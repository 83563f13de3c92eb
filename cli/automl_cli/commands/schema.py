"""``automl schema``: JSON schemas for editors."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from automl_cli.console import print_json
from automl_cli.options import JsonOption

__all__ = ["schema"]


class Document(StrEnum):
    """What there is a schema of."""

    job = "job"
    space = "space"


def schema(
    document: Annotated[Document, typer.Argument(metavar="job|space", help="Kind of file.")],
    as_json: JsonOption = False,
) -> None:
    """Print the JSON schema of job files or search space files, for completion and checks in an editor."""
    if document is Document.job:
        from automl.job_config import JobConfig

        content = JobConfig.model_json_schema(by_alias=True)
    else:
        from automl.supernet.schema import Skeleton

        content = Skeleton.model_json_schema(by_alias=True)
    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **content})
