"""Prunes members of the front of a finished run while they are trained on, and keeps ticket, weights and measured errors.

    tickets/<member>-<digest of the method>/   training.ckpt  training.json  ticket.safetensors  weights.safetensors
                                               result.json  exports/

``result.json`` is written last: with it a pruning is finished and is not repeated.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from torch import nn

from automl.atomic_write import disk_errors
from automl.errors import ConfigError, RunError
from automl.host import Host
from automl.job.front import pick_subnets
from automl.job.opened import OpenRun, open_run
from automl.job.parts import build_component
from automl.job.pruned_network import PROOF_BATCH, RESULT, TICKET, WEIGHTS, without_channels
from automl.job.stored_weights import write_weights
from automl.job.training_progress import PruningProgress
from automl.objectives.size import state_bytes
from automl.options import parse_options
from automl.progress import Progress, SilentProgress
from automl.run_folder import Run
from automl.space import Architecture
from automl.tasks.task import Task
from automl.tickets import ChannelGroup, Pruner, Ticket, find_channel_groups, prune_network, storage_report
from automl.tickets.channels import prove_removal
from automl.tickets.masks import Masks
from automl.tickets.ticket import weights_digest
from automl.training import TrainingConfig

__all__ = ["PruneRequest", "measure_errors", "prune_member", "prune_picked", "training_after", "training_of"]

_RATE_SHARE: Final = 0.25


@dataclass(frozen=True)
class PruneRequest:
    """How members are pruned.

    Attributes:
        schedule: name of a compressor, such as ``"gradual"``.
        options: its options.
        training: settings of the training that differ from those of the run.
        seed: seed; None takes that of the run.
    """

    schedule: str = "gradual"
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None


def prune_picked(
    run: Run,
    expression: str,
    request: PruneRequest,
    *,
    host: Host,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]]:
    """Prunes picked members; goes on where an earlier call with the same request was interrupted.

    Returns:
        For each member the content of its ``result.json``.

    Raises:
        UnknownNameError: there is no such compressor.
        ConfigError: an option is wrong, or does not fit the network or the training.
        RunError: the run is not finished, or its folder is in use or cannot be written.
        ExportError: channels were taken out and the smaller network does not equal the masked one.
    """
    progress = progress or SilentProgress()
    build_component(host, "compressor", request.schedule, request.options, where="prune")
    config = training_of(run, request.training)
    seed = run.job.seed if request.seed is None else request.seed
    members = pick_subnets(run.read_json("front.json"), expression)
    with run.lock():
        opened = open_run(run, host)
        space = opened.supernet.space
        return [
            prune_member(opened, space.architecture(m["architecture"]), request, config, seed, progress, stop)
            for m in members
        ]


def prune_member(
    opened: OpenRun,
    architecture: Architecture,
    request: PruneRequest,
    config: TrainingConfig,
    seed: int,
    progress: Progress,
    stop: Callable[[], bool],
) -> dict[str, Any]:
    """Prunes one subnetwork of a run that this process has locked; goes on where that was interrupted.

    Args:
        opened: the run.
        architecture: the subnetwork.
        request: schedule and options.
        config: the training.
        seed: seed of the training.
        progress: shown the steps.
        stop: asked after each step.

    Returns:
        The content of ``result.json``.

    Raises:
        ConfigError: an option does not fit the network or the training.
        RunError: the folder belongs to other weights, or cannot be written.
        ExportError: channels were taken out and the smaller network does not equal the masked one.
    """
    compressor = build_component(opened.host, "compressor", request.schedule, request.options, where="prune")
    assert isinstance(compressor, Pruner)
    return _Pruning(opened, architecture, compressor, config, seed).result(progress, stop)


def training_of(run: Run, changes: Mapping[str, Any], where: str = "training") -> TrainingConfig:
    """Returns the training of a run as it suits a network that is trained already; see ``training_after``."""
    return training_after(run.job.training, changes, where)


def training_after(own: TrainingConfig, changes: Mapping[str, Any], where: str) -> TrainingConfig:
    """Returns a training as it suits a network that is trained already: a quarter of the learning rate, 20 epochs.

    Args:
        own: how the network was trained.
        changes: settings of the user's.
        where: what messages start with.

    Raises:
        ConfigError: a change is unknown or out of range.
    """
    suited = {
        "epochs": 20,
        "learning_rate": own.learning_rate * _RATE_SHARE,
        "warmup_epochs": 1.0,
        "validation_subnets": 1,
        "divergence_factor": 1e3,  # the first loss is that of a trained network; pruning may multiply it
    }
    return parse_options(TrainingConfig, {**own.model_dump(), **suited, **changes}, where)


class _Pruning:
    """One member, one method."""

    def __init__(
        self,
        opened: OpenRun,
        architecture: Architecture,
        compressor: Pruner,
        config: TrainingConfig,
        seed: int,
    ) -> None:
        self._run: Final = opened.run
        self._supernet: Final = opened.supernet
        self._task: Final = opened.task
        self._evaluator: Final = opened.evaluator
        self._architecture: Final = architecture
        self._compressor: Final = compressor
        self._config: Final = config
        self._seed: Final = seed
        self._method: Final = {"name": compressor.name, **compressor.describe()}
        settings = json.dumps([self._method, config.model_dump(mode="json"), seed], sort_keys=True)
        digest = hashlib.blake2b(settings.encode(), digest_size=4).hexdigest()
        self._member: Final = architecture.id
        self._id: Final = f"{self._member}-{digest}"

    def result(self, progress: Progress, stop: Callable[[], bool]) -> dict[str, Any]:
        candidate, _ = self._evaluator.candidate(self._architecture)
        base, folder = candidate.model, self._run.path("tickets") / self._id
        digest = weights_digest(base)
        if (folder / RESULT).is_file():
            known: dict[str, Any] = self._run.read_json(f"tickets/{self._id}/{RESULT}")
            if known["base"] != digest:
                raise RunError(
                    f"{folder}: belongs to other weights; were those of the run changed since? Remove the folder."
                )
            return known
        inputs = self._task.example_inputs(PROOF_BATCH)
        groups = find_channel_groups(self._supernet, self._architecture, base, inputs)
        self._compressor.couple(groups, base, inputs)
        before = measure_errors(base, self._task, self._config)
        names = tuple(name for name, _ in base.named_parameters())
        with disk_errors(folder):
            created = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
        model = copy.deepcopy(base)
        try:
            pruned = prune_network(
                model,
                self._task,
                self._config,
                compressor=self._compressor,
                folder=folder,
                seed=self._seed,
                device=self._run.job.device,
                progress=PruningProgress(progress, stop, f"pruning {self._id}"),
            )
        except ConfigError:
            if created:
                folder.rmdir()  # refused before anything was written into it
            raise
        finally:
            progress.end()
        about = {
            "kind": "subnetwork",
            "run": self._run.name,
            "id": self._member,
            "architecture": dict(self._architecture),
            "space_digest": self._supernet.space.digest,
            "method": self._method,
        }
        ticket = Ticket(pruned.masks, digest, names, weights_digest(pruned.model), about)
        ticket.save(folder / TICKET)
        write_weights(folder / WEIGHTS, pruned.model)
        result = {
            "id": self._id,
            "member": self._member,
            "architecture": dict(self._architecture),
            "method": self._method,
            "training": self._config.model_dump(mode="json"),
            "seed": self._seed,
            "base": digest,
            "sparsity": ticket.sparsity,
            "before": before,
            "after": measure_errors(pruned.model, self._task, self._config),
            "storage": storage_report(pruned.model, pruned.masks).to_json(),
            "ticket_bytes": (folder / TICKET).stat().st_size,
            "revived": pruned.history[-1]["compression"]["revived"],
            "channels": self._removal(pruned.model, groups, pruned.masks, inputs),
        }
        self._run.write_json(f"tickets/{self._id}/{RESULT}", result)
        return result

    def _removal(
        self, model: nn.Module, groups: Sequence[ChannelGroup], masks: Masks, inputs: Sequence[Any]
    ) -> dict[str, Any] | None:
        """Takes dead channels out and proves that nothing changed; None if the method removes none."""
        if not self._compressor.removes_channels:
            return None
        small = without_channels(model, groups, masks)
        return {
            "parameters": sum(p.numel() for p in small.parameters()),
            "bytes": state_bytes(small),
            "difference": prove_removal(model, small, inputs),
        }


def measure_errors(model: nn.Module, task: Task, config: TrainingConfig) -> dict[str, dict[str, float]]:
    """Returns the metrics of a network on the validation and the test part."""
    size = config.evaluation_batch_size
    return {part: task.evaluate(model, part, size) for part in ("validation", "test")}
