"""``automl ticket``: what a ticket says, and tickets applied to weights or drawn from a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from automl_cli.commands.export import describe_exports, print_exports, wanted_formats
from automl_cli.console import print_json, print_result, print_table
from automl_cli.options import JsonOption, PickOption, RunArgument, RunsOption

__all__ = ["ticket"]

ticket = typer.Typer(name="ticket", no_args_is_help=True, help="Read, apply and draw tickets: which weights are kept.")

ToOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="FORMATS", help="Formats to export to, with commas between: onnx,pt2,safetensors."),
]
FileArgument: TypeAlias = Annotated[Path, typer.Argument(metavar="FILE", help="A ticket, as 'automl prune' writes it.")]


@ticket.command()
def info(file: FileArgument, as_json: JsonOption = False) -> None:
    """Print where a ticket comes from and how much each layer keeps."""
    from automl.tickets import Ticket

    read = Ticket.load(file)
    layers = [
        {"name": name, "shape": list(mask.shape), "kept": int(mask.sum()), "weights": mask.numel()}
        for name, mask in read.masks.items()
    ]
    if as_json:
        print_json(
            {
                "about": read.about,
                "base": read.base,
                "weights": read.weights,
                "sparsity": read.sparsity,
                "layers": layers,
            }
        )
        return
    rows = [
        (name, " × ".join(map(str, mask.shape)), f"{int(mask.sum()):,}", f"{1 - mask.float().mean():.1%}")
        for name, mask in read.masks.items()
    ]
    print_table(f"{len(rows)} masked weights", ["weight", "shape", "kept", "sparsity"], rows, right=[1, 2, 3])
    print_result(f"Sparsity: {read.sparsity:.2%}")
    for key in ("run", "id", "kind"):
        if key in read.about:
            print_result(f"{key.capitalize() + ':':<10}{read.about[key]}")
    method = read.about.get("method", {})
    print_result(f"Method:   {', '.join(f'{k} {v}' for k, v in method.items() if v not in (None, []))}")
    print_result(f"Base:     {read.base}")


@ticket.command()
def apply(
    file: FileArgument,
    target: Annotated[
        str, typer.Argument(metavar="RUN|WEIGHTS", help="The run of the ticket, or a safetensors file of its base.")
    ],
    output: Annotated[Path, typer.Option(metavar="FILE", help="File for the masked weights.")] = Path(
        "masked.safetensors"
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Write the weights that a ticket belongs to with zeros where it keeps nothing.

    The weights must be those that the ticket was drawn from, or those that were trained with it.
    """
    from automl.errors import ConfigError
    from automl.tickets import Ticket

    read = Ticket.load(file)
    if output.exists() and not overwrite:
        raise ConfigError(f"--output {output}: there is such a file; choose another name, or --overwrite.")
    from automl.job.tickets import apply_to_run, apply_to_weights

    if Path(target).is_file() or target.endswith(".safetensors"):
        applied = apply_to_weights(read, Path(target), output)
    else:
        from automl.host import Host
        from automl.run_folder import Run
        from automl_cli.run_names import find_run

        applied = apply_to_run(read, Run.open(find_run(target, runs)), output, host=Host.load())
    if as_json:
        print_json({"output": str(output), "zeros": applied.zeros, "validation": applied.errors})
        return
    print_result(f"Written: {output}, {applied.zeros:,} weights are zero because of the ticket")
    if applied.errors is not None:
        before, after = applied.errors["before"]["error"], applied.errors["after"]["error"]
        print_result(f"Validation error of the base: {before:.2%}; with zeros, not trained: {after:.2%}")


@ticket.command()
def draw(
    run: RunArgument,
    pick: PickOption = "knee",
    to: ToOption = None,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Write tickets of models of a run whose supernet was pruned in its training (compressor: supertickets)."""
    from automl.host import Host
    from automl.run_folder import Run
    from automl_cli.run_names import find_run

    opened, host = Run.open(find_run(run, runs)), Host.load()
    formats = wanted_formats(to) if to else []
    from automl.job import export_ticket
    from automl.job.tickets import draw_tickets

    drawn = draw_tickets(opened, pick, host=host)
    exported = [export_ticket(opened, path, formats, host=host) for path, _, _ in drawn] if formats else []
    if as_json:
        files = [{n: str(p) for n, p in one.paths.items()} for one in exported] or [{} for _ in drawn]
        print_json(
            [
                {"ticket": str(p), "sparsity": t.sparsity, "storage": s.to_json(), "exported": written}
                for (p, t, s), written in zip(drawn, files, strict=True)
            ]
        )
        return
    rows = [(t.about["id"], f"{t.sparsity:.1%}", f"{s.parameters:,}", f"{s.nonzero:,}", str(p)) for p, t, s in drawn]
    heads = ["model", "sparsity", "parameters", "not zero", "ticket"]
    print_table("Tickets of a pruned supernet", heads, rows, right=[1, 2, 3])
    if exported:
        print_exports(exported)


@ticket.command()
def export(
    file: FileArgument,
    run: RunArgument,
    to: ToOption = None,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Export the network of a ticket of a run: pruned, drawn or moved to other data.

    Every file is loaded in a fresh process and compared with that network; a difference is an error, and leaves no file.
    """
    from automl.host import Host
    from automl.run_folder import Run
    from automl_cli.run_names import find_run

    formats, opened = wanted_formats(to), Run.open(find_run(run, runs))
    from automl.job import export_ticket

    exported = [export_ticket(opened, file, formats, host=Host.load())]
    if as_json:
        print_json(describe_exports(exported))
    else:
        print_exports(exported)


@ticket.command()
def transfer(
    file: FileArgument,
    run: RunArgument,
    data: Annotated[str, typer.Option(metavar="DATA", help="The other data: built-in, or a path.")],
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of training; 20.")] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Setting of the training, such as training.learning_rate=0.01."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Seed; that of the run if left out.")] = None,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Train a ticket on other data: same architecture, mask and weights, but a new head.

    The same command again goes on where it stopped.
    """
    from automl.errors import ConfigError
    from automl.host import Host
    from automl.run_folder import Run
    from automl_cli.assignments import split_assignments
    from automl_cli.interruption import stop_on_interrupt
    from automl_cli.progress_bars import show_progress
    from automl_cli.run_names import find_run

    others, training = split_assignments(assignments or [])
    if others:
        raise ConfigError(
            f"--set {next(iter(others))}: a transfer has settings of the training only, 'training.KEY=VALUE'."
        )
    training |= {} if epochs is None else {"epochs": epochs}
    opened = Run.open(find_run(run, runs))
    with stop_on_interrupt() as stop, show_progress() as progress:
        from automl.job.transfer import transfer_ticket

        host = Host.load()
        result = transfer_ticket(
            opened, file, data, host=host, training=training, seed=seed, progress=progress, stop=stop
        )
    if as_json:
        print_json(result)
        return
    after, storage = result["after"], result["storage"]
    print_result(
        f"Error on {data}: validation {after['validation']['error']:.2%}, test {after['test']['error']:.2%}, with "
        f"{storage['nonzero']:,} of {storage['parameters']:,} parameters not zero"
    )
    print_result(f"Ticket: {opened.path('tickets') / result['id'] / 'ticket.safetensors'}")
