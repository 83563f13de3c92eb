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
from automl.job.front import pick_members
from automl.job.pruning import write_weights
from automl.job.run import load_supernet, make_evaluator
from automl.job.supernet_ticket import SUPERNET_TICKET
from automl.run_folder import Run
from automl.space import Architecture
from automl.supernet import Supernet, calibrate, has_batch_norm
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

    Raises:
        RunError: the ticket is for another base; one line.
    """
    supernet, task, parts = load_supernet(run, host)
    if ticket.about.get("space_digest") != supernet.space.digest:
        raise RunError(
            f"{run.folder}: the ticket belongs to another search space (digest {ticket.about.get('space_digest')}, here "
            f"{supernet.space.digest}); it is of the run {ticket.about.get('run')!r}."
        )
    if ticket.about.get("kind") != "subnetwork":
        raise RunError(
            f"{run.folder}: this is the ticket of a whole supernet; draw those of subnetworks: automl ticket draw {run.name}."
        )
    evaluator = make_evaluator(run, parts, supernet, task)
    candidate, _ = evaluator.candidate(Architecture(ticket.about["architecture"]))
    model = candidate.model
    masked = ticket.apply(dict(model.named_parameters()), str(run.folder))
    size = run.job.training.evaluation_batch_size
    before = task.evaluate(model, "validation", size)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(masked[name])
    if has_batch_norm(model):
        own = run.job.evaluation
        samples = task.calibration_batches(run.job.seed, own.calibration_samples, own.calibration_batch_size)
        calibrate(model, (batch.inputs for batch in samples))
    after = task.evaluate(model, "validation", size)
    write_weights(output, model)
    return AppliedTicket(output, _zeros(ticket.masks), {"before": before, "after": after})


def draw_tickets(run: Run, expression: str, *, host: Host) -> list[tuple[Path, Ticket, StorageReport]]:
    """Writes the tickets of picked members of a run whose supernet was pruned in its training.

    The mask of a subnetwork is taken out of the supernet's with the same slices as its weights.

    Raises:
        RunError: the supernet was not pruned, or its ticket is of other weights.
    """
    members = pick_members(run.read_json("front.json"), expression)
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
