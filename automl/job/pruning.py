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
from pathlib import Path
from typing import Any, Final

import safetensors.torch
from torch import nn

from automl.atomic_write import disk_errors, write_atomically
from automl.errors import ConfigError, RunError
from automl.export import ExportResult, export_model
from automl.host import Host
from automl.job.evaluation import Evaluator
from automl.job.front import pick_members
from automl.job.parts import build_component
from automl.job.pruning_progress import PruningProgress
from automl.job.run import load_supernet, make_evaluator
from automl.objectives.size import inference_state, state_bytes
from automl.options import parse_options
from automl.progress import Progress, SilentProgress
from automl.run_folder import Run
from automl.space import Architecture
from automl.supernet import Supernet
from automl.tasks.task import Task
from automl.tickets import (
    ChannelGroup,
    Pruner,
    Ticket,
    find_channel_groups,
    prune_network,
    remove_channels,
    storage_report,
)
from automl.tickets.channels import prove_removal
from automl.tickets.masks import Masks
from automl.tickets.ticket import weights_digest
from automl.training import TrainingConfig

__all__ = [
    "RESULT",
    "TICKET",
    "WEIGHTS",
    "PruneRequest",
    "export_pruned",
    "measure_errors",
    "prune_picked",
    "training_of",
    "write_weights",
]

RESULT: Final = "result.json"
TICKET: Final = "ticket.safetensors"
WEIGHTS: Final = "weights.safetensors"
_RATE_SHARE: Final = 0.25
_PROOF_BATCH: Final = 5


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
    members = pick_members(run.read_json("front.json"), expression)
    with run.lock():
        supernet, task, parts = load_supernet(run, host)
        evaluator = make_evaluator(run, parts, supernet, task)
        results = []
        for member in members:
            compressor = build_component(host, "compressor", request.schedule, request.options, where="prune")
            assert isinstance(compressor, Pruner)
            pruning = _Pruning(run, supernet, task, evaluator, member, compressor, config, seed)
            results.append(pruning.result(progress, stop))
    return results


def training_of(run: Run, changes: Mapping[str, Any], where: str = "training") -> TrainingConfig:
    """Returns the training of a run as it suits a network that is trained already: a quarter of the learning rate, 20 epochs.

    Raises:
        ConfigError: a change is unknown or out of range.
    """
    own = run.job.training
    suited = {
        "epochs": 20,
        "learning_rate": own.learning_rate * _RATE_SHARE,
        "warmup_epochs": 1.0,
        "validation_subnets": 1,
        "divergence_factor": 1e3,  # the first loss is that of a trained network; pruning may multiply it
    }
    return parse_options(TrainingConfig, {**own.model_dump(), **suited, **changes}, where)


def export_pruned(
    run: Run, results: Sequence[Mapping[str, Any]], formats: Sequence[str], *, host: Host
) -> list[ExportResult]:
    """Exports pruned networks, each file proven equal to the network whose errors were measured.

    A network without whole channels is exported in its smaller form; masked zeros are part of the weights.

    Raises:
        ExportError: a file does not reproduce the network; nothing is left behind.
        RunError: the weights in the folder are not those of the ticket.
    """
    supernet, task, parts = load_supernet(run, host)
    evaluator = make_evaluator(run, parts, supernet, task)
    exported = []
    for result in results:
        folder = run.path("tickets") / result["id"]
        architecture = supernet.space.architecture(result["architecture"])
        model = _restored(evaluator, architecture, folder)
        ticket = Ticket.load(folder / TICKET)
        if result["channels"]:
            inputs = task.example_inputs(_PROOF_BATCH)
            groups = find_channel_groups(supernet, architecture, model, inputs)
            model = _without_channels(model, groups, ticket.masks)
        metadata = {
            "run": run.name,
            "ticket": {key: result[key] for key in ("id", "method", "sparsity", "storage", "channels")},
            "metrics": result["after"],
            "space_digest": supernet.space.digest,
            "seed": result["seed"],
        }
        exported.append(
            export_model(model, task, architecture, folder / "exports", formats, metadata=metadata, host=host)
        )
    return exported


class _Pruning:
    """One member, one method."""

    def __init__(
        self,
        run: Run,
        supernet: Supernet,
        task: Task,
        evaluator: Evaluator,
        member: Mapping[str, Any],
        compressor: Pruner,
        config: TrainingConfig,
        seed: int,
    ) -> None:
        self._run: Final = run
        self._supernet: Final = supernet
        self._task: Final = task
        self._evaluator: Final = evaluator
        self._architecture: Final = supernet.space.architecture(member["architecture"])
        self._compressor: Final = compressor
        self._config: Final = config
        self._seed: Final = seed
        self._method: Final = {"name": compressor.name, **compressor.describe()}
        settings = json.dumps([self._method, config.model_dump(mode="json"), seed], sort_keys=True)
        digest = hashlib.blake2b(settings.encode(), digest_size=4).hexdigest()
        self._id: Final = f"{member['id']}-{digest}"
        self._member: Final = str(member["id"])

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
        inputs = self._task.example_inputs(_PROOF_BATCH)
        groups = find_channel_groups(self._supernet, self._architecture, base, inputs)
        self._compressor.couple(groups)
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
        """Takes dead channels out and proves that nothing changed; None if whole channels were not asked for."""
        if self._compressor.choices.granularity != "channel":
            return None
        small = _without_channels(model, groups, masks)
        return {
            "parameters": sum(p.numel() for p in small.parameters()),
            "bytes": state_bytes(small),
            "difference": prove_removal(model, small, inputs),
        }


def _without_channels(model: nn.Module, groups: Sequence[ChannelGroup], masks: Masks) -> nn.Module:
    small = copy.deepcopy(model)
    for group in groups:
        if all(name in masks for name, _ in group.weights):
            remove_channels(small, group, group.dead(masks))
    return small


def measure_errors(model: nn.Module, task: Task, config: TrainingConfig) -> dict[str, dict[str, float]]:
    """Returns the metrics of a network on the validation and the test part."""
    size = config.evaluation_batch_size
    return {part: task.evaluate(model, part, size) for part in ("validation", "test")}


def write_weights(path: Path, model: nn.Module) -> None:
    """Writes what inference needs of a network (safetensors); atomic."""
    state = {name: tensor.cpu().contiguous().clone() for name, tensor in inference_state(model).items()}
    write_atomically(path, safetensors.torch.save(state))


def _restored(evaluator: Evaluator, architecture: Architecture, folder: Path) -> nn.Module:
    """The pruned network from its file, checked against its ticket."""
    candidate, _ = evaluator.candidate(architecture)
    model, path = candidate.model, folder / WEIGHTS
    try:
        state = safetensors.torch.load_file(path)
        model.load_state_dict(state, strict=False)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise RunError(f"{path}: missing, damaged or of another network: {str(error).splitlines()[0]}") from error
    if weights_digest(model) != Ticket.load(folder / TICKET).weights:
        raise RunError(
            f"{path}: not the weights that the ticket beside it was written with; remove the folder and prune again."
        )
    return model
