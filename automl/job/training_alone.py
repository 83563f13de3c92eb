"""One network trained alone, by the loop of supernets; and which of its epochs is the best on the validation part."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from torch import nn

from automl.atomic_write import write_atomically
from automl.errors import RunError, TrainingError
from automl.job.stored_weights import read_metadata, write_weights
from automl.supernet import Supernet
from automl.tasks.task import Task
from automl.training import SinglePath, TrainingConfig, train
from automl.training.progress import Progress

__all__ = ["BestEpoch", "read_ranks", "train_alone"]

_ABOUT: Final = "best_epoch"
_RANKS: Final = "ranks.json"


def train_alone(
    alone: Supernet,
    task: Task,
    config: TrainingConfig,
    *,
    folder: Path,
    seed: int,
    device: str,
    progress: Progress | None = None,
    measure: Callable[[int], None] | None = None,
) -> list[dict[str, Any]]:
    """Trains a supernet that holds one network only; goes on where that was interrupted.

    Args:
        alone: the network, trained in place.
        task: data and loss.
        config: optimiser and schedule. The loop validates after each epoch, which nobody reads here: it does as little of
            that as it can.
        folder: an existing folder; gets the checkpoints.
        seed: seed of the training.
        device: where it is trained.
        progress: shown the steps.
        measure: see ``automl.training.train``.

    Returns:
        One record per epoch.

    Raises:
        RunError: the checkpoint is damaged or of another training, or the folder cannot be written.
        TrainingError: training diverged again and again.
    """
    quick = config.model_copy(update={"validation_subnets": 1, "validation_samples": 1, "calibration_samples": 2})
    return train(
        alone,
        task,
        quick,
        strategy=SinglePath(),
        folder=folder,
        seed=seed,
        device=device,
        progress=progress,
        measure=measure,
    )


class BestEpoch:
    """Keeps the network of the best epoch in a file, and the ranks of all in another; heard by ``train`` as ``measure``.

    Of equal epochs the first is kept. Since an epoch that was interrupted comes again with the same weights, an interruption
    changes nothing.

    Args:
        path: the file: weights, and with them the epoch, its rank and facts. ``ranks.json`` beside it has one rank for each
            epoch, null where numbers were not finite.
        calibrated: returns the network of the epoch as it would be measured, with facts on how it was made, as JSON.
        rank: what is compared, the first number first; smaller is better.
    """

    def __init__(
        self,
        path: Path,
        calibrated: Callable[[], tuple[nn.Module, Mapping[str, Any]]],
        rank: Callable[[nn.Module], Sequence[float]],
    ) -> None:
        self._path: Final = path
        self._ranks: Final = path.with_name(_RANKS)
        self._calibrated: Final = calibrated
        self._rank: Final = rank
        self.latest: list[float] | None = None

    def __call__(self, epoch: int) -> None:
        """Measures the network of an epoch, and keeps it if no earlier one is as good."""
        model, facts = self._calibrated()
        self.latest = [float(number) for number in self._rank(model)]
        finite = all(map(math.isfinite, self.latest))
        ranks = [*read_ranks(self._path.parent)[: epoch - 1], self.latest if finite else None]
        write_atomically(self._ranks, json.dumps(ranks))
        if not finite:
            return
        if self._path.is_file() and self.result()["rank"] <= self.latest:
            return
        content = {"epoch": epoch, "rank": self.latest, "facts": dict(facts)}
        # One text: several would be in another order in each file, and equal results are to be equal files.
        write_weights(self._path, model, {_ABOUT: json.dumps(content)})

    def result(self) -> dict[str, Any]:
        """Returns epoch, rank and facts of the network in the file.

        Raises:
            TrainingError: no epoch gave finite numbers.
            RunError: the file is damaged.
        """
        if not self._path.is_file():
            raise TrainingError("no epoch gave finite numbers on the validation part; lower the learning rate.")
        content: dict[str, Any] = json.loads(read_metadata(self._path)[_ABOUT])
        return content


def read_ranks(folder: Path) -> list[list[float] | None]:
    """Returns the rank of each epoch so far, as ``BestEpoch`` has written them; none where there is no file.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / _RANKS
    if not path.is_file():
        return []
    try:
        known: list[list[float] | None] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path}: damaged: {error}. Remove its folder and run the same job again.") from error
    return known
