"""One architecture of a run trained alone: weights of its own, from those of the supernet or from new ones.

    finalists/<architecture>-<digest of the method>/   training.ckpt  training.json  weights.safetensors  result.json

``weights.safetensors`` holds the best epoch so far. ``result.json`` is written last: with it a finalist is finished and is not
trained again.

Source:
    Yu et al. 2020, "Evaluating the Search Phase of Neural Architecture Search", arXiv:1902.08142, section 3: shared weights
    order architectures otherwise than weights of their own; what a search finds is therefore trained alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, final

from torch import nn

from automl.atomic_write import disk_errors
from automl.errors import RunError
from automl.job.candidates.kind import Network, repeatable_values
from automl.job.opened import OpenRun, make_evaluator, untrained_supernet
from automl.job.stored_weights import load_weights
from automl.job.training_alone import BestEpoch, train_alone
from automl.job.training_progress import TrainingProgress
from automl.objectives.units import format_value
from automl.progress import Progress
from automl.search.measurement import Measurement
from automl.space import Architecture
from automl.supernet import Supernet
from automl.tickets.ticket import weights_digest
from automl.training import TrainingConfig

__all__ = ["FOLDER", "finalist_network", "train_finalist"]

FOLDER: Final = "finalists"
_RESULT: Final = "result.json"
_WEIGHTS: Final = "weights.safetensors"
_CHECKPOINT: Final = "training.ckpt"


def train_finalist(
    opened: OpenRun,
    base: Measurement,
    families: Mapping[str, Sequence[str]],
    weights: Literal["inherited", "new"],
    config: TrainingConfig,
    progress: Progress,
    stop: Callable[[], bool],
) -> dict[str, Any]:
    """Trains an architecture of a run alone; goes on where that was interrupted.

    The epoch that is best on the validation part by the first objective, then by the loss, is the result.

    Args:
        opened: the run, locked by this process.
        base: what the search has measured of the architecture.
        families: its families by slot, for the record.
        weights: what it starts from.
        config: the training.
        progress: shown the steps.
        stop: asked after each step.

    Returns:
        The content of ``result.json``.

    Raises:
        InterruptedJobError: ``stop`` ended it; the next call goes on.
        TrainingError: training diverged again and again.
        RunError: the folder belongs to other weights, or cannot be written.
    """
    run, architecture = opened.run, base.architecture
    settings = json.dumps([weights, config.model_dump(mode="json"), run.job.seed], sort_keys=True)
    identity = f"{architecture.id}-{hashlib.blake2b(settings.encode(), digest_size=4).hexdigest()}"
    name, folder = f"{FOLDER}/{identity}/{_RESULT}", run.path(FOLDER) / identity
    model = opened.supernet.extract(architecture) if weights == "inherited" else _new(opened, architecture)
    start = weights_digest(model)
    if run.has(name):
        known: dict[str, Any] = run.read_json(name)
        if known["start"] != start:
            raise RunError(
                f"{folder}: belongs to other weights; were those of the run changed since? Remove the folder."
            )
        (folder / _CHECKPOINT).unlink(missing_ok=True)  # of a process that was killed right after it wrote the result
        return known
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    alone = Supernet(model)
    best = BestEpoch(
        folder / _WEIGHTS, lambda: _calibrated(opened, alone), lambda network: _rank(opened, architecture, network)
    )
    try:
        train_alone(
            alone,
            opened.task,
            config,
            folder=folder,
            seed=run.job.seed,
            device=run.job.device,
            progress=_FinalistProgress(progress, stop, identity, opened, best),
            measure=best,
        )
    finally:
        progress.end()
    kept = best.result()
    result = {
        "id": identity,
        "member": architecture.id,
        "architecture": dict(architecture),
        "families": {slot: list(names) for slot, names in families.items()},
        "weights": weights,
        "training": config.model_dump(mode="json"),
        "seed": run.job.seed,
        "start": start,
        "best_epoch": kept["epoch"],
        "calibration": kept["facts"],
    }
    network = _restored(opened, architecture, identity)
    result["digest"] = weights_digest(network)
    result["measured"] = repeatable_values(opened, _network(opened, architecture, network, result))
    result["shared"] = {quantity: base.details["measured"][quantity]["value"] for quantity in result["measured"]}
    run.write_json(name, result)
    (folder / _CHECKPOINT).unlink(missing_ok=True)
    return result


def finalist_network(opened: OpenRun, identity: str) -> Network:
    """Returns the network of ``finalists/<identity>/`` of a run.

    Raises:
        RunError: a file is missing, damaged, or not the one that was measured.
    """
    result: dict[str, Any] = opened.run.read_json(f"{FOLDER}/{identity}/{_RESULT}")
    architecture = opened.supernet.space.architecture(result["architecture"])
    model = _restored(opened, architecture, identity)
    if weights_digest(model) != result["digest"]:
        raise RunError(
            f"{opened.run.path(FOLDER) / identity / _WEIGHTS}: not the weights that {_RESULT} beside it was written with; "
            "remove the folder and run the job again."
        )
    return _network(opened, architecture, model, result)


def _restored(opened: OpenRun, architecture: Architecture, identity: str) -> nn.Module:
    model = opened.supernet.extract(architecture).eval()
    load_weights(opened.run.path(FOLDER) / identity / _WEIGHTS, model)
    return model


def _network(opened: OpenRun, architecture: Architecture, model: nn.Module, result: Mapping[str, Any]) -> Network:
    """It computes what the subnetwork of the same architecture computes, with other weights: what is noisy is the same."""
    facts = {
        "calibration": result["calibration"],
        "trained_alone": {key: result[key] for key in ("id", "weights", "training", "seed", "best_epoch")},
    }
    candidate = opened.evaluator.candidate_of(architecture, model)
    return Network(candidate, opened.task, facts, opened.supernet.space.digest, architecture.id)


def _new(opened: OpenRun, architecture: Architecture) -> nn.Module:
    """The subnetwork of an untrained supernet, as a comparison of rankings starts, too; each has its own draw of weights."""
    text = f"{opened.run.job.seed} {architecture.id}"
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
    untrained = untrained_supernet(opened.run.job, opened.parts, opened.task, opened.host, seed=seed)
    return untrained.extract(architecture)


def _calibrated(opened: OpenRun, alone: Supernet) -> tuple[nn.Module, dict[str, Any]]:
    evaluator = make_evaluator(opened.run, opened.parts, alone, opened.task)
    (prepared,) = evaluator.prepare([alone.space.largest()])
    if isinstance(prepared, Exception):
        raise prepared
    return prepared.model, prepared.calibration.to_dict()


def _rank(opened: OpenRun, architecture: Architecture, model: nn.Module) -> list[float]:
    """The first objective, where that is not a matter of chance, then the loss."""
    candidate, first = opened.evaluator.candidate_of(architecture, model), opened.parts.objectives[0]
    values = [first.measure(candidate).value] if first.repeatable else []
    return [*values, candidate.quality("validation")["loss"]]


@final
class _FinalistProgress(TrainingProgress):
    """Shows what the epochs are compared by."""

    def __init__(
        self, progress: Progress, stop: Callable[[], bool], identity: str, opened: OpenRun, best: BestEpoch
    ) -> None:
        super().__init__(progress, stop, f"training {identity} alone")
        self._names: Final = [*(o.name for o in opened.parts.objectives[:1] if o.repeatable), "loss"]
        self._units: Final = {o.name: o.unit for o in opened.parts.objectives}
        self._best: Final = best

    def _errors(self, record: Mapping[str, Any]) -> str:
        shown = zip(self._names, self._best.latest or (), strict=False)
        return "validation " + ", ".join(f"{n} {format_value(n, v, self._units.get(n, ''))}" for n, v in shown)
