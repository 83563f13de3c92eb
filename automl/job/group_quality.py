"""Quality of the candidates of a group: measured for all at once, as soon as an objective asks for one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final, final

from torch import Tensor, nn

from automl.job.validation import ValidationSet
from automl.tasks.task import Batch, Task

__all__ = ["GroupQuality"]


@final
class GroupQuality:
    """Metrics of several networks on the validation part.

    Args:
        task: gives the metrics; one without ``score`` evaluates each network itself.
        validation: the samples.
        networks: extracted, calibrated networks by number.
    """

    def __init__(self, task: Task, validation: ValidationSet, networks: Mapping[int, nn.Module]) -> None:
        self._task: Final = task
        self._validation: Final = validation
        self._networks: Final = dict(networks)

    def of(self, number: int) -> Callable[[str], tuple[dict[str, float], int] | None]:
        """Returns what a ``Candidate`` asks for its quality."""

        def measured(part: str) -> tuple[dict[str, float], int] | None:
            if part != "validation":
                return None
            answers = self._answers[number]
            if isinstance(answers, Exception):
                raise answers
            metrics = self._task.score(answers)
            return None if metrics is None else (metrics, self._validation.samples)

        return measured

    @cached_property
    def _answers(self) -> dict[int, list[tuple[Tensor, Batch]] | Exception]:
        if type(self._task).score is Task.score:
            return {number: [] for number in self._networks}
        return self._validation.answers(self._networks, self._validation.batches)
