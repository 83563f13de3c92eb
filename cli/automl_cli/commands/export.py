"""``automl export``: members of the front as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl_cli.console import print_json, print_table
from automl_cli.options import JsonOption, PickOption, RunArgument, RunsOption

if TYPE_CHECKING:
    from automl.export import ExportResult

__all__ = ["describe_exports", "export", "export_members", "print_exports", "wanted_formats"]


def export(
    run: RunArgument,
    pick: PickOption = "knee",
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="FORMATS", help="Formats, with commas between: onnx,pt2,safetensors."),
    ] = None,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Export models as files that need no automl.

    Every file is loaded in a fresh process and compared with the subnetwork; a difference is an error, and leaves no file.
    """
    from automl_cli.run_names import find_run

    formats = wanted_formats(to)
    exported = export_members(find_run(run, runs), pick, formats)
    if as_json:
        print_json(describe_exports(exported))
    else:
        print_exports(exported)


def wanted_formats(to: list[str] | None) -> list[str]:
    """Returns the names of the formats that the option ``--to`` lists; refuses unknown ones."""
    from automl.host import Host

    formats = list(dict.fromkeys(word for text in to or ["pt2"] for word in text.replace(",", " ").split()))
    host = Host.load()
    for name in formats:
        host.find("exporter", name, where="--to")
    return formats


def export_members(folder: Path, pick: str, formats: list[str]) -> list[ExportResult]:
    """Exports picked members of the front of a run, with its progress shown."""
    from automl.host import Host
    from automl.run_folder import Run
    from automl_cli.progress_bars import show_progress

    with show_progress() as progress:
        from automl.job import export_picked

        return export_picked(Run.open(folder), pick, formats, host=Host.load(), progress=progress)


def describe_exports(exported: list[ExportResult]) -> list[dict[str, Any]]:
    """Returns what was exported as JSON values."""
    return [
        {
            "id": one.folder.name,
            "folder": str(one.folder),
            "files": {name: str(path) for name, path in one.paths.items()},
            "manifest": one.manifest,
        }
        for one in exported
    ]


def print_exports(exported: list[ExportResult]) -> None:
    """Prints a table of what was exported."""
    from automl.objectives.units import format_value

    rows = []
    for one in exported:
        for name, path in one.paths.items():
            proof = one.manifest["files"][name]
            rows.append((name, format_value("size", proof["bytes"]), f"{proof['max_abs_error']:.1e}", str(path)))
    heads = ["format", "size", "largest difference", "file"]
    print_table("Exported, and compared with the subnetwork in a fresh process", heads, rows, right=[1, 2])
