"""Candidates before they are measured: extracted from the supernet and calibrated, several at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, final

from torch import nn

from automl.job.validation import fast_layout
from automl.space import Architecture
from automl.supernet import CalibrationReport, Supernet, calibrate
from automl.supernet.group_calibration import calibrate_group
from automl.tasks.task import Task

__all__ = ["Preparation", "Prepared"]


class Prepared(NamedTuple):
    """An extracted, calibrated network and what its calibration did."""

    model: nn.Module
    calibration: CalibrationReport


@final
class Preparation:
    """Extracts and calibrates candidates of one supernet, which stays as it is.

    Args:
        supernet: the trained supernet.
        task: gives the calibration batches.
        seed: decides the calibration samples.
        samples: number of calibration samples.
        batch_size: samples of one calibration batch.
        memory: bytes of activations that may be kept while candidates share them.
    """

    def __init__(
        self, supernet: Supernet, task: Task, *, seed: int, samples: int, batch_size: int, memory: int
    ) -> None:
        self._supernet: Final = supernet
        self._memory: Final = memory
        self._batches: Final = [
            fast_layout(batch.inputs) for batch in task.calibration_batches(seed, samples, batch_size)
        ]

    def __call__(self, architectures: Sequence[Architecture]) -> list[Prepared | Exception]:
        """Returns each candidate as if it were alone, or the exception that it raises."""
        models: dict[int, nn.Module] = {}
        results: dict[int, Prepared | Exception] = {}
        for number, architecture in enumerate(architectures):
            try:
                models[number] = self._supernet.extract(architecture)
            except Exception as error:
                results[number] = error
        try:
            reports = calibrate_group(list(models.values()), self._batches, memory=self._memory)
        except Exception as error:
            reports = [error for _ in models]
        for (number, model), report in zip(models.items(), reports, strict=True):
            results[number] = (
                self._alone(architectures[number]) if isinstance(report, Exception) else Prepared(model, report)
            )
        return [results[number] for number in range(len(architectures))]

    def _alone(self, architecture: Architecture) -> Prepared | Exception:
        """In a group something stood in the way, perhaps another candidate; alone, each answers for itself."""
        error: Exception | None = None
        for batches in (self._batches, [tuple(t.contiguous() for t in inputs) for inputs in self._batches]):
            try:
                model = self._supernet.extract(architecture)
                return Prepared(model, calibrate(model, batches))
            except Exception as raised:
                error = raised
        assert error is not None
        return error
