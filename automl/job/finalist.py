"""One architecture of a run trained alone: weights of its own, from those of the supernet or from new ones.

    finalists/<architecture>-<digest of the method>/   training.ckpt  training.json  ranks.json  weights.safetensors  result.json

``weights.safetensors`` holds the best epoch so far, ``ranks.json`` what the epochs are compared by. ``result.json`` is written
last: with it a finalist is finished and is not trained again.

Source:
    Yu et al. 2020, "Evaluating the Search Phase of Neural Architecture Search", arXiv:1902.08142, section 3: shared weights
    order architectures otherwise than weights of their own; what a search finds is therefore trained alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, final

from torch import nn

from automl.atomic_write import disk_errors
from automl.errors import RunError
from automl.job.candidates.kind import Network, measurement_after, repeatable_values
from automl.job.opened import OpenRun, make_evaluator, untrained_supernet
from automl.job.stored_weights import load_weights
from automl.job.training_alone import BestEpoch, read_ranks, train_alone
from automl.job.training_progress import TrainingProgress
from automl.objectives.units import format_value
from automl.progress import Progress
from automl.search.measurement import Measurement
from automl.space import Architecture
from automl.supernet import Supernet
from automl.tickets.ticket import weights_digest
from automl.training import TrainingConfig

__all__ = ["FOLDER", "Finalist", "finalist_network"]

FOLDER: Final = "finalists"
_RESULT: Final = "result.json"
_WEIGHTS: Final = "weights.safetensors"
_CHECKPOINT: Final = "training.ckpt"


@final
class Finalist:
    """An architecture of a run, to be trained alone in one way.

    The epoch that is best on the validation part by the first objective, then by the loss, is the result.

    Args:
        opened: the run, locked by this process.
        base: what the search has measured of the architecture.
        families: its families by slot, for the record.
        weights: what it starts from.
        config: the training.

    Attributes:
        base: as given.
        id: name of its folder, from architecture and training.
    """

    def __init__(
        self,
        opened: OpenRun,
        base: Measurement,
        families: Mapping[str, Sequence[str]],
        weights: Literal["inherited", "new"],
        config: TrainingConfig,
    ) -> None:
        self.base: Final = base
        self._opened: Final = opened
        self._families: Final = families
        self._weights: Final[Literal["inherited", "new"]] = weights
        self._config: Final = config
        settings = json.dumps([weights, config.model_dump(mode="json"), opened.run.job.seed], sort_keys=True)
        self.id: Final = f"{base.architecture.id}-{hashlib.blake2b(settings.encode(), digest_size=4).hexdigest()}"
        self._folder: Final = opened.run.path(FOLDER) / self.id

    def train(self, progress: Progress, stop: Callable[[], bool]) -> dict[str, Any]:
        """Trains it to the end; goes on where that was interrupted.

        Args:
            progress: shown the steps.
            stop: asked after each step.

        Returns:
            The content of ``result.json``.

        Raises:
            InterruptedJobError: ``stop`` ended it; the next call goes on.
            TrainingError: training diverged again and again.
            RunError: the folder belongs to other weights, or cannot be written.
        """
        run, name = self._opened.run, f"{FOLDER}/{self.id}/{_RESULT}"
        model = self._untrained()
        start = weights_digest(model)
        if run.has(name):
            known: dict[str, Any] = run.read_json(name)
            if known["start"] != start:
                raise RunError(
                    f"{self._folder}: belongs to other weights; were those of the run changed since? Remove the folder."
                )
            (self._folder / _CHECKPOINT).unlink(missing_ok=True)  # of a process that was killed right after the result
            return known
        kept = self._train(model, self._config.epochs, progress, stop).result()
        result = self._result(start, kept)
        run.write_json(name, result)
        (self._folder / _CHECKPOINT).unlink(missing_ok=True)
        return result

    def best_rank(self, epochs: int, progress: Progress, stop: Callable[[], bool]) -> list[float]:
        """Trains it so far that it has seen some epochs, and returns the best of their ranks.

        Args:
            epochs: how many.
            progress: shown the steps.
            stop: asked after each step.

        Returns:
            The first objective, if that repeats, and the loss; smaller is better. Infinite if no epoch gave finite numbers.

        Raises:
            InterruptedJobError, TrainingError, RunError: as ``train``.
        """
        if len(read_ranks(self._folder)) < epochs:
            self._train(self._untrained(), epochs, progress, stop)
        known = read_ranks(self._folder)
        return min((rank for rank in known[:epochs] if rank is not None), default=[math.inf])

    def measurement(self, result: Mapping[str, Any]) -> Measurement:
        """Returns the objectives of a result; those that do not repeat are what the search saw."""
        return measurement_after(self._opened, self.base, result["measured"])

    def drop(self) -> None:
        """Removes everything but the ranks of its epochs; one that is finished stays as it is."""
        if not (self._folder / _RESULT).is_file():
            for name in (_CHECKPOINT, _WEIGHTS):
                (self._folder / name).unlink(missing_ok=True)

    def _untrained(self) -> nn.Module:
        architecture = self.base.architecture
        if self._weights == "inherited":
            return self._opened.supernet.extract(architecture)
        return _new(self._opened, architecture)

    def _train(self, model: nn.Module, epochs: int, progress: Progress, stop: Callable[[], bool]) -> BestEpoch:
        """Trains up to an epoch; the network that comes out is in the files."""
        job = self._opened.run.job
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        alone = Supernet(model)
        best = self._best(alone)
        shown = _FinalistProgress(progress, stop, self, best, self._opened, epochs, self._config.epochs)
        try:
            train_alone(
                alone,
                self._opened.task,
                self._config,
                folder=self._folder,
                seed=job.seed,
                device=job.device,
                progress=shown,
                measure=best,
            )
        except _FarEnoughError:
            pass
        finally:
            progress.end()
        return best

    def _best(self, alone: Supernet) -> BestEpoch:
        opened, architecture = self._opened, self.base.architecture
        return BestEpoch(
            self._folder / _WEIGHTS,
            lambda: _calibrated(opened, alone),
            lambda network: _rank(opened, architecture, network),
        )

    def _result(self, start: str, kept: Mapping[str, Any]) -> dict[str, Any]:
        opened, architecture = self._opened, self.base.architecture
        result: dict[str, Any] = {
            "id": self.id,
            "member": architecture.id,
            "architecture": dict(architecture),
            "families": {slot: list(names) for slot, names in self._families.items()},
            "weights": self._weights,
            "training": self._config.model_dump(mode="json"),
            "seed": opened.run.job.seed,
            "start": start,
            "best_epoch": kept["epoch"],
            "calibration": kept["facts"],
        }
        network = _restored(opened, architecture, self.id)
        result["digest"] = weights_digest(network)
        result["measured"] = repeatable_values(opened, _network(opened, architecture, network, result))
        shared = self.base.details["measured"]
        result["shared"] = {quantity: shared[quantity]["value"] for quantity in result["measured"]}
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


class _FarEnoughError(Exception):
    """Ends a training after an epoch that is safe on disk."""


@final
class _FinalistProgress(TrainingProgress):
    """Shows what the epochs are compared by, and ends the training where others are waited for."""

    def __init__(
        self,
        progress: Progress,
        stop: Callable[[], bool],
        finalist: Finalist,
        best: BestEpoch,
        opened: OpenRun,
        epochs: int,
        all_epochs: int,
    ) -> None:
        super().__init__(progress, stop, f"training {finalist.id} alone")
        self._names: Final = [*(o.name for o in opened.parts.objectives[:1] if o.repeatable), "loss"]
        self._units: Final = {o.name: o.unit for o in opened.parts.objectives}
        self._best: Final = best
        self._epochs: Final = epochs
        self._all_epochs: Final = all_epochs

    def start(self, total: int, completed: int) -> None:
        """Begins the stage."""
        super().start(total * self._epochs // self._all_epochs, completed)

    def epoch_ended(self, record: Mapping[str, Any]) -> None:
        """Notes the result of an epoch and its warnings."""
        super().epoch_ended(record)
        if record["epoch"] == self._epochs:
            raise _FarEnoughError

    def _errors(self, record: Mapping[str, Any]) -> str:
        shown = zip(self._names, self._best.latest or (), strict=False)
        return "validation " + ", ".join(f"{n} {format_value(n, v, self._units.get(n, ''))}" for n, v in shown)
