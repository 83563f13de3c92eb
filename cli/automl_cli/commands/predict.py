"""``automl predict``: what the measurements of a run say about one more architecture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl_cli.console import print_json, print_result, print_table
from automl_cli.options import JsonOption, RunArgument, RunsOption

if TYPE_CHECKING:
    from automl.job.prediction import ArchitecturePrediction

__all__ = ["predict"]


def predict(
    run: RunArgument,
    arch: Annotated[
        str,
        typer.Option(
            metavar="JSON|ID|FILE",
            help="Architecture: a JSON object of its dimensions, a file that holds one, or the id of a measured one.",
        ),
    ],
    runs: RunsOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Predict the objectives of an architecture from the measurements of a run, with 95 % intervals.

    Nothing is trained, measured or written. The rank correlation (Kendall's tau on held-out measurements: 1 perfect, 0 chance)
    says how far to trust a prediction; predictors that do not beat the size-only baseline have learnt little.
    """
    from automl_cli.run_names import find_run

    folder = find_run(run, runs)

    from automl.host import Host
    from automl.job.prediction import predict_architecture
    from automl.run_folder import Run

    found = predict_architecture(Run.open(folder), arch, Host.load())
    if as_json:
        print_json(_document(found))
    else:
        _print(found)


def _document(found: ArchitecturePrediction) -> dict[str, Any]:
    from automl.search.predictors import SizeOnly

    measured = found.measurement
    return {
        "id": found.architecture.id,
        "architecture": dict(found.architecture),
        "objectives": {
            name: {
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "unit": found.units[name],
                "predictors": list(one.score.chosen),
                "rank_correlation": one.score.correlation,
                "size_only_rank_correlation": one.score.each[SizeOnly.name],
                "rank_correlations": one.score.each,
            }
            for name, one in found.predicted.items()
        },
        "learnt_from": found.learnt_from,
        "measured": None
        if measured is None
        else {
            "number": measured.number,
            "values": None if measured.values is None else dict(zip(found.predicted, measured.values, strict=True)),
            "fidelity": measured.fidelity,
            "feasible": measured.feasible,
            "failure": measured.failure,
        },
    }


def _print(found: ArchitecturePrediction) -> None:
    from automl.objectives.units import format_value
    from automl.search.predictors import SizeOnly

    measured = found.measurement
    values = measured.values if measured is not None else None
    rows = []
    for position, (name, one) in enumerate(found.predicted.items()):
        low, value, high = (format_value(name, number, found.units[name]) for number in (one.low, one.value, one.high))
        own = [format_value(name, values[position], found.units[name])] if values is not None else []
        taus = f"{one.score.correlation:.2f}", f"{one.score.each[SizeOnly.name]:.2f}"
        rows.append((name, value, f"{low} to {high}", *own, *taus, " + ".join(one.score.chosen)))
    heads = ["objective", "predicted", "95 % interval", *(["measured"] if values is not None else [])]
    heads += ["tau", "tau of size only", "predictors"]
    print_table(f"Prediction for {found.architecture.id}", heads, rows, right=range(1, len(heads) - 1))
    print_result(f"Learnt from: {found.learnt_from} measurements")
    if measured is not None and measured.values is None:
        print_result(f"Measured:    failed as trial {measured.number}: {_last_line(measured.failure)}")
    elif measured is not None:
        part = "" if measured.complete else f", stopped after {measured.fidelity:.0%} of the samples"
        print_result(f"Measured:    as trial {measured.number}{part}; the predictors have not seen it")


def _last_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[-1] if (text or "").strip() else "no reason recorded"
