"""What users do with a finished run: pick members of its front, export them, measure them elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from automl.errors import ExportError
from automl.export import ExportResult, export_model
from automl.host import Host
from automl.job.candidates.all_kinds import rebuild_member
from automl.job.candidates.kind import measure_networks
from automl.job.front import pick_members
from automl.job.opened import open_run
from automl.objectives.build import build_objective
from automl.progress import Progress, SilentProgress
from automl.run_folder import Run

__all__ = ["export_picked", "measure_picked", "pick"]


def pick(run: Run, expression: str) -> list[dict[str, Any]]:
    """Returns the members of the front of a run that an expression names; see ``pick_members``."""
    return pick_members(run.read_json("front.json"), expression)


def export_picked(
    run: Run, expression: str, formats: Sequence[str], *, host: Host, progress: Progress | None = None
) -> list[ExportResult]:
    """Exports picked members of any kind; each file is proven equal to the network that was measured.

    The proof starts before the files: the extracted, calibrated model must show the same validation quality as the ledger
    recorded, or it is not the model that was searched.

    Raises:
        ExportError: the model is not the one that was searched, or a file does not reproduce it; nothing is left behind.
    """
    progress = progress or SilentProgress()
    front = run.read_json("front.json")
    members = pick_members(front, expression)
    for name in formats:
        host.find("exporter", name, where="--to").load()
    opened = open_run(run, host)
    exact = [o for o in opened.parts.objectives if o.repeatable]
    results = []
    progress.begin("exporting", len(members), "model")
    try:
        for member in members:
            network = rebuild_member(opened, member)
            (again,) = measure_networks(opened.evaluator, [network], exact)
            if isinstance(again, Exception):
                raise ExportError(f"{member['id']}: the extracted model cannot be measured: {again}") from again
            for objective in exact:
                _check_equal(member, objective.name, again[objective.name].value)
            metadata = {
                "run": run.name,
                "kind": member["kind"],
                "job": front["job"],
                "metrics": {"search": member["measured"], "test": member["test"]},
                "context": front["context"],
                "machine": front["machine"],
                "task": network.task.describe(),
                "space_digest": network.space_digest,
                **network.facts,
                "seed": run.job.seed,
            }
            candidate, folder = network.candidate, run.path("exports") / member["id"]
            results.append(
                export_model(
                    candidate.model,
                    network.task,
                    candidate.architecture,
                    folder,
                    list(formats),
                    metadata=metadata,
                    host=host,
                )
            )
            progress.advance(status=member["id"])
    finally:
        progress.end()
    return results


def measure_picked(
    run: Run,
    expression: str,
    runtime: str,
    *,
    host: Host,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Measures the latency of picked members in a runtime, interleaved, and returns value, interval and context of each.

    Networks with masked weights have the latency of their dense bases.

    Raises:
        UnknownNameError: there is no such runtime.
        ConfigError: an option is wrong.
    """
    progress = progress or SilentProgress()
    members = pick(run, expression)
    latency = build_objective(
        host, "latency", {"runtime": runtime, "mode": "measured", **(options or {})}, where="measure"
    )
    opened = open_run(run, host)
    progress.begin(f"measuring in {runtime}", len(members), "model")
    results = measure_networks(opened.evaluator, [rebuild_member(opened, member) for member in members], [latency])
    progress.advance(len(members))
    progress.end()
    return [
        {"id": member["id"], "failure": str(result)}
        if isinstance(result, Exception)
        else {"id": member["id"], **result["latency"].to_json(), "context": dict(result["latency"].context)}
        for member, result in zip(members, results, strict=True)
    ]


def _check_equal(member: Mapping[str, Any], name: str, value: float) -> None:
    recorded = member["searched"][name]
    if abs(value - recorded) > 1e-6 * max(1.0, abs(recorded)):
        raise ExportError(
            f"{member['id']}: {name} was {recorded} in the search and is {value} now; the model would not be the one that "
            "was searched. Were the data, the weights or the software changed since?"
        )
