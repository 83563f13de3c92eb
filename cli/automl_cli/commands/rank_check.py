"""``automl rank-check``: does the supernet order subnetworks as training each of them alone does?"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl_cli.console import print_json, print_result, print_table
from automl_cli.options import JsonOption, RunArgument, RunsOption

if TYPE_CHECKING:
    from automl.job.rank_agreement import RankCorrelation
    from automl.job.rank_check import RankCheck

__all__ = ["rank_check"]


def rank_check(
    run: RunArgument,
    subnets: Annotated[int, typer.Option(min=3, help="Random subnetworks to train alone.")] = 20,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of each; otherwise as many as the supernet was trained.")
    ] = None,
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Train random subnetworks alone, and compare their order with that of the supernet.

    Prints Kendall's tau and Spearman's rho with 95 % bootstrap intervals: 1 is the same order, 0 is chance. Each result is kept
    in the run folder at once: the same command goes on after an interruption, and a larger --subnets adds to what is there.
    """
    from automl_cli.run_names import find_run

    folder = find_run(run, runs)

    from automl.host import Host
    from automl.run_folder import Run
    from automl_cli.progress_bars import show_progress

    with show_progress() as progress:
        from automl.job import check_ranks

        found = check_ranks(Run.open(folder), Host.load(), subnets=subnets, epochs=epochs, progress=progress)
    if as_json:
        print_json(_document(found))
    else:
        _print(found)


def _document(found: RankCheck) -> dict[str, Any]:
    return {
        "epochs": found.epochs,
        "kendall_tau": _interval(found.kendall),
        "spearman_rho": _interval(found.spearman),
        "subnets": [
            {
                "id": subnet.architecture.id,
                "architecture": dict(subnet.architecture),
                "supernet_error": subnet.supernet_error,
                "standalone_error": subnet.standalone_error,
            }
            for subnet in found.subnets
        ],
    }


def _interval(correlation: RankCorrelation) -> dict[str, float | None]:
    values = {"value": correlation.value, "low": correlation.low, "high": correlation.high}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _print(found: RankCheck) -> None:
    from automl.objectives.units import format_value

    rows = [
        (s.architecture.id, format_value("error", s.supernet_error), format_value("error", s.standalone_error))
        for s in sorted(found.subnets, key=lambda s: s.standalone_error)
    ]
    title = (
        f"Validation error of {len(rows)} subnetworks, the best of those trained alone ({found.epochs} epochs) first"
    )
    print_table(title, ["id", "with the supernet's weights", "trained alone"], rows, right=[1, 2])
    for name, one in (("Kendall tau: ", found.kendall), ("Spearman rho:", found.spearman)):
        if math.isnan(one.value):
            print_result(f"{name} none, as one of the two orders holds only ties")
        else:
            print_result(f"{name} {one.value:.3f}, 95 % interval {one.low:.3f} to {one.high:.3f}")
