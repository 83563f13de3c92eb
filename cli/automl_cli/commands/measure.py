"""``automl measure``: latency of members of the front on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from automl_cli.console import print_json, print_table
from automl_cli.options import JsonOption, PickOption, RunArgument, RunsOption

__all__ = ["measure"]


def measure(
    run: RunArgument,
    pick: PickOption = "knee",
    runtime: Annotated[str, typer.Option(metavar="NAME", help="Runtime: eager or onnxruntime.")] = "eager",
    batch: Annotated[int | None, typer.Option(min=1, help="Samples in one forward.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of one forward.")] = None,
    repeats: Annotated[int | None, typer.Option(min=3, help="Timed visits to each model.")] = None,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Measure how long one forward takes, all picked models interleaved, here and now."""
    from automl.host import Host
    from automl.run_folder import Run
    from automl_cli.progress_bars import show_progress
    from automl_cli.run_names import find_run

    opened = Run.open(find_run(run, runs))
    host = Host.load()
    host.find("runtime", runtime, where="--runtime")
    settings: dict[str, Any] = {"batch_size": batch, "threads": threads, "repeats": repeats}
    with show_progress() as progress:
        from automl.job import measure_picked

        options = {key: value for key, value in settings.items() if value is not None}
        measured = measure_picked(opened, pick, runtime, host=host, options=options, progress=progress)
    if as_json:
        print_json(measured)
    else:
        _print(measured, runtime)
    if any("failure" in entry for entry in measured):
        raise typer.Exit(1)


def _print(measured: list[dict[str, Any]], runtime: str) -> None:
    from automl.objectives.units import format_value

    rows = []
    for entry in measured:
        if "failure" in entry:
            rows.append((entry["id"], "failed", "", entry["failure"].strip().splitlines()[-1]))
            continue
        bounds = [format_value("latency", entry.get(key)) for key in ("value", "low", "high")]
        context = entry.get("context", {})
        facts = ", ".join(f"{key} {context[key]}" for key in ("threads", "batch_size", "dtype") if key in context)
        rows.append((entry["id"], bounds[0], f"{bounds[1]} to {bounds[2]}", facts))
    print_table(f"Latency in {runtime}", ["model", "median", "95 % interval", "measured with"], rows, right=[1, 2])
