"""A ticket moved to other data: architecture, mask and weights stay, the head is new, and all of it is trained on.

Source:
    You et al. 2022, SuperTickets, arXiv:2207.03677, section 3.4 (transfer: only the last layer is exchanged).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from automl.atomic_write import disk_errors
from automl.errors import ConfigError, RunError
from automl.host import Host
from automl.job.opened import OpenRun, load_supernet
from automl.job.parts import JobParts
from automl.job.pruned_network import RESULT, TICKET, WEIGHTS
from automl.job.pruning import measure_errors, training_of
from automl.job.stored_weights import write_weights
from automl.job.training_progress import PruningProgress
from automl.progress import Progress, SilentProgress
from automl.run_folder import Run
from automl.space import Architecture
from automl.supernet import Supernet, build_supernet
from automl.tasks.task import Task
from automl.tickets import KeptMask, Ticket, prune_network, storage_report
from automl.tickets.ticket import weights_digest

__all__ = ["check_run_of", "transfer_ticket", "transferred_base"]

_HEAD: Final = "head."


def transfer_ticket(
    run: Run,
    file: Path,
    data: str,
    *,
    host: Host,
    training: Mapping[str, Any] | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Trains the subnetwork of a ticket on other data with its masks kept; goes on where that was interrupted.

    Args:
        run: the run that the ticket is of.
        file: the ticket.
        data: the other data; inputs must have as many channels or features as those of the run.
        host: knows the blocks.
        training: settings of the training that differ from those of the run.
        seed: seed of head and training; None takes that of the run.
        progress: shown the steps.
        stop: asked after each step.

    Returns:
        The content of ``result.json``.

    Raises:
        RunError: the ticket is of another run, or its weights are missing.
        ConfigError: the data do not fit the network, or a setting is wrong.
        DataError: the data are missing or unfit.
    """
    ticket = Ticket.load(file)
    config = training_of(run, training or {})
    seed = run.job.seed if seed is None else seed
    supernet, _, parts = load_supernet(run, host)
    check_run_of(ticket, run, supernet, str(file))
    if "data" in ticket.about:
        raise RunError(
            f"{file}: was moved to {ticket.about['data']!r} already; move the ticket {ticket.about['from']!r}."
        )
    architecture = supernet.space.architecture(ticket.about["architecture"])
    weights = _weights(file, supernet, architecture)
    ticket.check_base(weights, str(file))
    model, task = _new_network(run, parts, architecture, data, seed, host)
    _inherit(model, weights, data)
    masks = {name: mask for name, mask in ticket.masks.items() if not name.startswith(_HEAD)}

    method = {"name": "transfer", "ticket": weights_digest(weights, ticket.names), "data": task.fingerprint}
    settings = json.dumps([method, config.model_dump(mode="json"), seed], sort_keys=True)
    name = file.parent.name if file.name == TICKET else file.stem
    identity = f"{name}-on-{hashlib.blake2b(settings.encode(), digest_size=4).hexdigest()}"
    folder = run.path("tickets") / identity
    with run.lock():
        if (folder / RESULT).is_file():
            known: dict[str, Any] = run.read_json(f"tickets/{identity}/{RESULT}")
            return known
        base = weights_digest(model)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        shown = PruningProgress(progress or SilentProgress(), stop, f"training {identity}")
        try:
            trained = prune_network(
                model,
                task,
                config,
                compressor=KeptMask(masks),
                folder=folder,
                seed=seed,
                device=run.job.device,
                progress=shown,
            )
        finally:
            (progress or SilentProgress()).end()
        about = {**ticket.about, "data": data, "from": name, "seed": seed}
        names = tuple(name for name, _ in model.named_parameters())
        moved = Ticket(trained.masks, base, names, weights_digest(trained.model), about)
        moved.save(folder / TICKET)
        write_weights(folder / WEIGHTS, trained.model)
        result = {
            "id": identity,
            "member": ticket.about["id"],
            "architecture": dict(architecture),
            "method": {**method, "data": data},
            "training": config.model_dump(mode="json"),
            "seed": seed,
            "base": base,
            "sparsity": moved.sparsity,
            "after": measure_errors(trained.model, task, config),
            "storage": storage_report(trained.model, trained.masks).to_json(),
            "ticket_bytes": (folder / TICKET).stat().st_size,
        }
        run.write_json(f"tickets/{identity}/{RESULT}", result)
    return result


def check_run_of(ticket: Ticket, run: Run, supernet: Supernet, where: str) -> None:
    """Refuses the ticket of another space, and that of a whole supernet.

    Raises:
        RunError: says which run the ticket is of.
    """
    if ticket.about.get("space_digest") != supernet.space.digest:
        raise RunError(
            f"{where}: the ticket belongs to another search space (digest {ticket.about.get('space_digest')}, that of "
            f"{run.name!r} is {supernet.space.digest}); it is of the run {ticket.about.get('run')!r}."
        )
    if ticket.about.get("kind") != "subnetwork":
        raise RunError(
            f"{where}: this is the ticket of a whole supernet; draw those of subnetworks: automl ticket draw {run.name}."
        )


def transferred_base(opened: OpenRun, ticket: Ticket) -> tuple[nn.Module, Task]:
    """Returns the network that a ticket was trained from on other data, with its new head, and the task of these data.

    Raises:
        RunError: the ticket that was moved is gone, or the network comes out different.
        DataError: the data are missing.
    """
    run, about = opened.run, ticket.about
    architecture = opened.supernet.space.architecture(about["architecture"])
    folder = run.path("tickets")
    source = next(
        (file for file in (folder / about["from"] / TICKET, folder / f"{about['from']}.safetensors") if file.is_file()),
        None,
    )
    if source is None:
        raise RunError(
            f"{folder}: the ticket {about['from']!r} that was moved to {about['data']!r} is no longer there."
        )
    seed = int(about.get("seed", run.job.seed))
    model, task = _new_network(run, opened.parts, architecture, about["data"], seed, opened.host)
    _inherit(model, _weights(source, opened.supernet, architecture), about["data"])
    ticket.check_base(dict(model.named_parameters()), str(run.folder))
    return model.eval(), task


def _weights(file: Path, supernet: Supernet, architecture: Architecture) -> dict[str, Tensor]:
    """The weights beside a ticket; those of the supernet for a ticket that was drawn from it."""
    beside = file.with_name(WEIGHTS)
    if file.name != TICKET:
        return dict(supernet.extract(architecture).named_parameters())
    try:
        return safetensors.torch.load_file(beside)
    except (OSError, safetensors.SafetensorError) as error:
        raise RunError(f"{beside}: missing or damaged, and the ticket needs these weights: {error}") from error


def _new_network(
    run: Run, parts: JobParts, architecture: Architecture, data: str, seed: int, host: Host
) -> tuple[nn.Module, Task]:
    task = parts.task.load(data, seed=seed, options=run.job.task_options)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return build_supernet(parts.skeleton, task, host).extract(architecture), task


@torch.no_grad()
def _inherit(model: nn.Module, weights: Mapping[str, Tensor], data: str) -> None:
    for name, parameter in model.named_parameters():
        if name.startswith(_HEAD):
            continue
        if name not in weights or weights[name].shape != parameter.shape:
            found = tuple(weights[name].shape) if name in weights else None
            raise ConfigError(
                f"--data {data}: does not fit the ticket: {name!r} would be {tuple(parameter.shape)}, the ticket has {found}; "
                "the inputs must have as many channels as those of the run."
            )
        parameter.copy_(weights[name])
