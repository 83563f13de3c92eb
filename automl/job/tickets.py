"""What is done with tickets of a run: applied to weights, drawn from a supernet that was pruned in its training."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from automl.atomic_write import write_atomically
from automl.errors import RunError
from automl.host import Host
from automl.job.front import pick_subnets
from automl.job.opened import load_supernet, open_run
from automl.job.stored_weights import write_weights
from automl.job.supernet_ticket import SUPERNET_TICKET
from automl.job.transfer import check_run_of, transferred_base
from automl.run_folder import Run
from automl.space import Architecture
from automl.supernet import Supernet, calibrate, has_batch_norm
from automl.tasks.task import Task
from automl.tickets import StorageReport, Ticket, storage_report
from automl.tickets.masks import Masks, prunable_weights
from automl.tickets.ticket import weights_digest

__all__ = ["AppliedTicket", "apply_to_run", "apply_to_weights", "draw_tickets", "subnetwork_masks"]


@dataclass(frozen=True)
class AppliedTicket:
    """Weights with the zeros of a ticket.

    Attributes:
        path: the file that was written.
        zeros: weights that are zero because of the ticket.
        errors: validation metrics before and after, where there was a run to measure in.
    """

    path: Path
    zeros: int
    errors: dict[str, dict[str, float]] | None = None


def apply_to_weights(ticket: Ticket, weights: Path, output: Path) -> AppliedTicket:
    """Writes the weights of a file with the zeros of a ticket.

    Raises:
        RunError: the file is missing or damaged, or the ticket is for another base; one line.
    """
    try:
        with safetensors.safe_open(str(weights), framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise RunError(f"{weights}: no such file.") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise RunError(f"{weights}: no safetensors file, or damaged: {error}.") from error
    masked = ticket.apply(tensors, str(weights))
    write_atomically(output, safetensors.torch.save(masked, metadata=metadata))
    return AppliedTicket(output, _zeros(ticket.masks))


def apply_to_run(ticket: Ticket, run: Run, output: Path, *, host: Host) -> AppliedTicket:
    """Extracts the subnetwork of a ticket from a run, applies the ticket, measures both and writes the masked weights.

    A ticket that was moved to other data is applied to what it was trained from there, with the new head, and measured there.

    Raises:
        RunError: the ticket is for another base; one line.
    """
    opened = open_run(run, host)
    check_run_of(ticket, run, opened.supernet, str(run.folder))
    task = opened.task
    if "data" in ticket.about:
        model, task = transferred_base(opened, ticket)
        _calibrate(model, task, run)
    else:
        model = opened.evaluator.candidate(Architecture(ticket.about["architecture"]))[0].model
    masked = ticket.apply(dict(model.named_parameters()), str(run.folder))
    size = run.job.training.evaluation_batch_size
    before = task.evaluate(model, "validation", size)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(masked[name])
    _calibrate(model, task, run)
    after = task.evaluate(model, "validation", size)
    write_weights(output, model)
    return AppliedTicket(output, _zeros(ticket.masks), {"before": before, "after": after})


def _calibrate(model: nn.Module, task: Task, run: Run) -> None:
    if has_batch_norm(model):
        own = run.job.evaluation
        samples = task.calibration_batches(run.job.seed, own.calibration_samples, own.calibration_batch_size)
        calibrate(model, (batch.inputs for batch in samples))


def draw_tickets(run: Run, expression: str, *, host: Host) -> list[tuple[Path, Ticket, StorageReport]]:
    """Writes the tickets of picked members of a run whose supernet was pruned in its training.

    The mask of a subnetwork is taken out of the supernet's with the same slices as its weights.

    Raises:
        RunError: the supernet was not pruned, or its ticket is of other weights.
    """
    members = pick_subnets(run.read_json("front.json"), expression)
    if not run.has(SUPERNET_TICKET):
        raise RunError(
            f"{run.folder}: the supernet of this run was not pruned in its training (no {SUPERNET_TICKET}); search with "
            "'--set compressor=supertickets', or use 'automl prune'."
        )
    whole = Ticket.load(run.path(SUPERNET_TICKET))
    supernet, _, _ = load_supernet(run, host)
    whole.check_base(dict(supernet.network.named_parameters()), str(run.path("supernet.safetensors")))
    drawn = []
    with run.lock():
        for member in members:
            architecture = supernet.space.architecture(member["architecture"])
            model = supernet.extract(architecture)
            masks = subnetwork_masks(supernet, architecture, whole.masks)
            about = {**whole.about, "kind": "subnetwork", "id": member["id"], "architecture": dict(architecture)}
            names = tuple(name for name, _ in model.named_parameters())
            digest = weights_digest(model)
            ticket = Ticket(masks, digest, names, digest, about)
            folder = run.path("tickets")
            folder.mkdir(exist_ok=True)
            path = folder / f"{member['id']}.safetensors"
            ticket.save(path)
            drawn.append((path, ticket, storage_report(model, masks)))
    return drawn


@torch.no_grad()
def subnetwork_masks(supernet: Supernet, architecture: Architecture, masks: Mapping[str, Tensor]) -> Masks:
    """Returns the masks of a subnetwork: those of the supernet, cut like its weights.

    Args:
        supernet: not changed.
        architecture: the subnetwork.
        masks: masks of the supernet's network; weights without one are kept whole.
    """
    marks = copy.deepcopy(supernet)
    for name, parameter in marks.network.named_parameters():
        parameter.copy_(masks[name].to(parameter) if name in masks else torch.ones_like(parameter))
    extracted: nn.Module = marks.extract(architecture)
    return {name: weight.detach() != 0 for name, weight in prunable_weights(extracted).items()}


def _zeros(masks: Mapping[str, Tensor]) -> int:
    return sum(int((~mask).sum()) for mask in masks.values())
