"""``automl assemble``: a network for some classes and a budget, generated instead of searched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl_cli.console import print_json, print_result, print_table
from automl_cli.options import JsonOption, RunArgument, RunsOption

if TYPE_CHECKING:
    from automl.export import ExportResult

__all__ = ["assemble"]


def assemble(
    run: RunArgument,
    constraint: Annotated[
        list[str] | None,
        typer.Option(metavar="BOUND", help="Upper bound on a cost, such as 'latency<=2ms'; repeat for several."),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Classes to tell apart, with commas between; all if left out."),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="FORMATS", help="Also export, with commas between: onnx,pt2,safetensors."),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Also measure what the run offers without the assembler: its ledger, and chance."
        ),
    ] = False,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Assemble a network of a finished run for some of its classes, within limits. Nothing is trained for it.

    The first call of a run surveys its supernet and trains the assembler of the limited objective, once; later ones answer in
    seconds. The network is extracted, proven equal to the subnetwork of the supernet, and measured.
    """
    from automl.assembling import assemble as assemble_network
    from automl.assembling import export_assembled
    from automl.host import Host
    from automl.run_folder import Run
    from automl_cli.commands.export import describe_exports, print_exports, wanted_formats
    from automl_cli.progress_bars import show_progress
    from automl_cli.run_names import find_run

    opened, host = Run.open(find_run(run, runs)), Host.load()
    formats = wanted_formats(to) if to else []
    with show_progress() as progress:
        assembled = assemble_network(
            opened, constraint or [], classes or [], host=host, progress=progress, compare=compare
        )
    exported = [export_assembled(opened, assembled, formats, host=host)] if formats else []
    if as_json:
        print_json({**assembled.result, "exports": describe_exports(exported)})
        return
    _print(assembled.result, exported)
    if exported:
        print_exports(exported)


def _print(result: dict[str, Any], exported: list[ExportResult]) -> None:
    from automl.objectives.units import format_value

    rows = [(name, format_value(name, cost["value"], cost["unit"])) for name, cost in result["costs"].items()]
    rows += [(f"{part} error", f"{metrics['error']:.2%}") for part, metrics in result["quality"].items()]
    print_table(f"Assembled for the classes {', '.join(result['classes'])}", ["measured", ""], rows, right=[1])
    if "controls" in result:
        _print_controls(result)
    seconds = result["seconds"]
    print_result(f"Network:    {result['id']} ({result['source']})")
    print_result(f"Limits:     {', '.join(result['constraints'])}")
    print_result(f"Difference: {result['difference']:.1e} from the subnetwork of the supernet")
    print_result(
        f"Time:       {seconds['generating']:.2f} s to generate, {seconds['measuring']:.2f} s to measure, "
        f"{result['strategies']['within_limits']} of {result['strategies']['assembled']} strategies within the limits"
    )
    if not exported:
        print_result("Next:       the same command with --to onnx,pt2 writes it")


def _print_controls(result: dict[str, Any]) -> None:
    ledger, random = result["controls"]["ledger"], result["controls"]["random"]
    rows = [("assembled", *(f"{result['quality'][part]['error']:.2%}" for part in ("validation", "test")))]
    if ledger is not None:
        rows.append((f"best of the ledger, {ledger['id']}", *_errors(ledger)))
    if random is not None:
        rows.append((f"{random['networks']} random networks, mean", *_errors(random)))
    print_table(
        "Within the limits, without the assembler", ["network", "validation error", "test error"], rows, right=[1, 2]
    )


def _errors(control: dict[str, Any]) -> tuple[str, str]:
    return f"{control['errors']['validation']:.2%}", f"{control['errors']['test']:.2%}"
