"""``automl reduce``: a narrower search space from the history of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from automl_cli.console import print_json, print_result, print_table
from automl_cli.options import JsonOption, RunArgument, RunsOption

__all__ = ["reduce"]


def reduce(
    run: RunArgument,
    threshold: Annotated[
        float, typer.Option(metavar="SHARE", help="Leave out choices whose share is at most this; 0: never seen ones.")
    ] = 0.01,
    output: Annotated[Path, typer.Option(metavar="FILE", help="Search space file to write.")] = Path("reduced.yaml"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Write a narrower search space without the choices that are rare where a run gathered.

    The measured architectures are clustered by density; what lies in no cluster does not count. Use the file for a related
    job, such as the same task on another device: 'automl search --space FILE'.
    """
    from automl.atomic_write import write_atomically
    from automl.errors import ConfigError
    from automl_cli.run_names import find_run

    folder = find_run(run, runs)
    if output.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"--output {output}: a search space file ends in .yaml.")
    if output.exists() and not overwrite:
        raise ConfigError(f"--output {output}: there is such a file; choose another name, or --overwrite.")

    from automl.host import Host
    from automl.job.narrowing import narrow_space
    from automl.run_folder import Run

    found = narrow_space(Run.open(folder), Host.load(), threshold=threshold)
    write_atomically(output, found.text)
    reduction = found.reduction
    if as_json:
        print_json(
            {
                "output": str(output),
                "measured": found.measured,
                "clusters": reduction.clusters,
                "noise": reduction.noise,
                "removed": reduction.removed,
                "kept": reduction.kept,
                "size_before": found.size_before,
                "size_after": found.size_after,
            }
        )
        return
    if reduction.removed:
        rows = [
            (
                name,
                _shares(reduction.removed[name], reduction.frequencies[name]),
                _shares(kept, reduction.frequencies[name]),
            )
            for name, kept in reduction.kept.items()
        ]
        print_table(f"{len(rows)} dimensions lose choices", ["dimension", "left out", "kept"], rows)
    else:
        print_result(
            f"No choice is as rare as {threshold:g}; the space stays as it is. A larger --threshold leaves out more."
        )
    counted = found.measured - reduction.noise
    print_result(f"Counted: {counted} of {found.measured} measured architectures, in {reduction.clusters} clusters")
    print_result(f"Size:    {found.size_before:,} → {found.size_after:,} architectures")
    print_result(f"Written: {output}")
    print_result(f"Next:    automl search --space {output}")


def _shares(choices: list[int | float | str | bool], shares: dict[int | float | str | bool, float]) -> str:
    return ", ".join(f"{choice} ({shares[choice]:.1%})" for choice in choices)
