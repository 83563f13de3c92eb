"""A candidate: one extracted network together with what is needed to measure it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from torch import Tensor, nn

from automl.objectives.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from automl.space import Architecture
    from automl.tasks import Task

__all__ = ["Candidate"]


@final
class Candidate:
    """An extracted network on its way through all objectives.

    Args:
        architecture: where the network stands in its search space; None for a network from elsewhere.
        model: the extracted, calibrated network in evaluation mode.
        task: data, loss and example inputs; its tensors lie on the device of the model.
        batch_size: samples in one forward when quality is measured; never changes a result.
        limit: measure quality on at most so many samples of a part; None for all.
        measured: gives the quality on a part that was measured elsewhere, together with other candidates or on a share of
            the samples, and how many samples that was; None for parts that are not.

    Attributes:
        parts: parts of the data whose quality has been measured.
    """

    def __init__(
        self,
        architecture: Architecture | None,
        model: nn.Module,
        task: Task,
        *,
        batch_size: int = 256,
        limit: int | None = None,
        measured: Callable[[str], tuple[dict[str, float], int] | None] | None = None,
    ) -> None:
        self.architecture: Final = architecture
        self.model: Final = model
        self.task: Final = task
        self.limit: Final = limit
        self._batch_size: Final = batch_size
        self._measured: Final = measured
        self._quality: Final[dict[str, dict[str, float]]] = {}
        self._samples: Final[dict[str, int]] = {}

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self._quality)

    def quality(self, part: str = "validation") -> dict[str, float]:
        """Returns the metrics of the task on a part of the data; measured once, whatever number of objectives asks."""
        if part not in self._quality:
            known = None if self._measured is None else self._measured(part)
            if known is not None:
                self._quality[part], self._samples[part] = known
            else:
                self._quality[part] = self.task.evaluate(self.model, part, self._batch_size, self.limit)  # type: ignore[arg-type]
        return self._quality[part]

    def samples(self, part: str = "validation") -> int:
        """Returns how many samples ``quality`` is measured on."""
        all_samples = min(len(self.task.split[part]), self.limit or len(self.task.split[part]))
        return self._samples.get(part, all_samples)

    def example_inputs(self, batch_size: int = 1) -> tuple[Tensor, ...]:
        """Returns real inputs for ``batch_size`` samples."""
        return self.task.example_inputs(batch_size)

    def trace(self) -> Trace:
        """Returns the inputs that exporters and exporting runtimes trace the model with."""
        return Trace.of(self.task)
