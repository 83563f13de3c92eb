"""``automl prune``: members of the front, pruned while they are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from automl_cli.console import print_json, print_result, print_table
from automl_cli.options import JsonOption, PickOption, RunArgument, RunsOption

__all__ = ["prune"]


def prune(
    run: RunArgument,
    pick: PickOption = "knee",
    sparsity: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Share of the weights that ends up zero; 0.9 if left out.")
    ] = None,
    schedule: Annotated[
        str, typer.Option(metavar="NAME", help="Compressor: gradual, one-shot, iterative or supertickets.")
    ] = "gradual",
    criterion: Annotated[
        str | None, typer.Option(metavar="NAME", help="What is pruned first: magnitude, gradient or random.")
    ] = None,
    granularity: Annotated[
        str | None, typer.Option(metavar="NAME", help="What is pruned together: unstructured, channel, or N:M as 2:4.")
    ] = None,
    scope: Annotated[
        str | None, typer.Option(metavar="NAME", help="global: all layers ranked together; layer: each by itself.")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Weights that stay dense, such as '*.stem.*'; repeatable."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of training, pruning included; 20.")] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Option of the schedule, such as end=8, or of the training, such as training.learning_rate=0.01.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Seed; that of the run if left out.")] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="FORMATS", help="Also export, with commas between: onnx,pt2,safetensors."),
    ] = None,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Prune models of a finished run while they are trained on; write tickets and weights.

    Masked weights are zeros: they make a model smaller to store, not faster to run. Only --granularity channel and the penalty
    of the schedule supertickets take parts out, proven not to change the masked model. The same command again goes on where it
    stopped.
    """
    from automl.host import Host
    from automl.run_folder import Run
    from automl_cli.assignments import split_assignments
    from automl_cli.interruption import stop_on_interrupt
    from automl_cli.progress_bars import show_progress
    from automl_cli.run_names import find_run

    options, training = split_assignments(assignments or [])
    chosen = {
        "sparsity": sparsity,
        "criterion": criterion,
        "granularity": granularity,
        "scope": scope,
        "exclude": exclude or None,
    }
    options |= {key: value for key, value in chosen.items() if value is not None}
    training |= {} if epochs is None else {"epochs": epochs}
    opened, host = Run.open(find_run(run, runs)), Host.load()
    host.find("compressor", schedule, where="--schedule")
    formats = list(dict.fromkeys(word for text in to or [] for word in text.replace(",", " ").split()))
    for name in formats:
        host.find("exporter", name, where="--to")
    with stop_on_interrupt() as stop, show_progress() as progress:
        from automl.job import PruneRequest, export_pruned, prune_picked

        request = PruneRequest(schedule, options, training, seed)
        results = prune_picked(opened, pick, request, host=host, progress=progress, stop=stop)
        exported = export_pruned(opened, results, formats, host=host) if formats else []
    files = [str(path) for one in exported for path in one.paths.values()]
    if as_json:
        print_json({"pruned": results, "exported": files})
        return
    _print(results, opened.path("tickets"), files)


def _print(results: list[dict[str, Any]], folder: Path, files: list[str]) -> None:
    from automl.objectives.units import format_value

    rows = []
    for result in results:
        storage, before, after = result["storage"], result["before"], result["after"]
        rows.append(
            (
                result["id"],
                f"{result['sparsity']:.1%}",
                f"{before['validation']['error']:.2%} → {after['validation']['error']:.2%}",
                f"{before['test']['error']:.2%} → {after['test']['error']:.2%}",
                f"{storage['parameters']:,} → {storage['nonzero']:,}",
                format_value("size", storage["dense_bytes"]),
                format_value("size", storage["sparse_bytes"]),
            )
        )
    heads = ["ticket", "sparsity", "validation error", "test error", "not zero", "dense size", "sparse size"]
    print_table("Pruned: zeros, not speed", heads, rows, right=[1, 2, 3, 4, 5, 6])
    for result in results:
        if (channels := result["channels"]) is not None:
            print_result(
                f"Channels of {result['id']} taken out: {result['storage']['parameters']:,} → {channels['parameters']:,} "
                f"parameters, {format_value('size', channels['bytes'])}; outputs differ by {channels['difference']:.1e}"
            )
        path = folder / result["id"] / "ticket.safetensors"
        print_result(f"Ticket: {path} ({format_value('size', result['ticket_bytes'])})")
    for file in files:
        print_result(f"Export: {file}")
