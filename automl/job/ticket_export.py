"""The networks of tickets as files: pruned, drawn from a pruned supernet, or moved to other data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from automl.errors import RunError
from automl.export import ExportResult, export_model
from automl.host import Host
from automl.job.opened import OpenRun, open_run
from automl.job.pruned_network import TICKET, load_pruned_weights, restored_network
from automl.job.transfer import check_run_of, transferred_base
from automl.run_folder import Run
from automl.tickets import Ticket

__all__ = ["export_pruned", "export_ticket"]


def export_pruned(
    run: Run, results: Sequence[Mapping[str, Any]], formats: Sequence[str], *, host: Host
) -> list[ExportResult]:
    """Exports pruned networks, each file proven equal to the network whose errors were measured.

    Args:
        run: the run.
        results: contents of ``result.json``.
        formats: names of exporters.
        host: knows the exporters.

    Raises:
        ExportError: a file does not reproduce the network; nothing is left behind.
        RunError: the weights in the folder are not those of the ticket.
    """
    opened, tickets = open_run(run, host), run.path("tickets")
    return [_export(opened, tickets / result["id"] / TICKET, formats) for result in results]


def export_ticket(run: Run, file: Path, formats: Sequence[str], *, host: Host) -> ExportResult:
    """Exports the network of a ticket file of a run, whichever command wrote it.

    A network without whole channels is exported in its smaller form; masked zeros are part of the weights.

    Raises:
        ExportError: a file does not reproduce the network; nothing is left behind.
        RunError: the ticket is of another run, or the weights are not those of the ticket.
    """
    for name in formats:
        host.find("exporter", name, where="--to").load()
    return _export(open_run(run, host), file, formats)


def _export(opened: OpenRun, file: Path, formats: Sequence[str]) -> ExportResult:
    run, task, ticket = opened.run, opened.task, Ticket.load(file)
    check_run_of(ticket, run, opened.supernet, str(file))
    architecture = opened.supernet.space.architecture(ticket.about["architecture"])
    about: dict[str, Any] = {"method": ticket.about.get("method"), "sparsity": ticket.sparsity}
    metrics: dict[str, Any] = {}
    if file.name != TICKET:
        model = opened.evaluator.candidate(architecture)[0].model
        ticket.check_base(dict(model.named_parameters()), str(run.folder))
        folder = run.path("exports") / architecture.id
    else:
        _check_place(run, file)
        identity = file.parent.name
        folder, metrics = file.parent / "exports", run.read_json(f"tickets/{identity}/result.json")["after"]
        if "data" in ticket.about:
            model, task = transferred_base(opened, ticket)
            load_pruned_weights(model, file.parent)
            about |= {"id": identity, "data": ticket.about["data"], "from": ticket.about["from"]}
        else:
            restored = restored_network(opened, identity)
            model, about = restored.model, restored.about
    metadata = {
        "run": run.name,
        "ticket": about,
        "metrics": metrics,
        "space_digest": opened.supernet.space.digest,
        "seed": run.job.seed,
    }
    return export_model(model, task, architecture, folder, list(formats), metadata=metadata, host=opened.host)


def _check_place(run: Run, file: Path) -> None:
    if file.parent.parent.resolve() != run.path("tickets").resolve():
        raise RunError(f"{file}: not in {run.path('tickets')}, where its weights and result are kept.")
