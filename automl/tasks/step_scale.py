"""How large one training step is, with smaller steps of the same kind from which its memory can be predicted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from automl.tasks.task import Batch, Task

__all__ = ["StepSample", "StepScale", "scale_of_rows"]

_ROWS: Final = (4, 8, 16)


@dataclass(frozen=True)
class StepSample:
    """A training step of a certain size.

    Attributes:
        size: the numbers that its memory grows with, such as nodes and edges.
        batch: what the step sees.
        task: a smaller task whose networks the batch fits, where weights depend on the size of the data, as those of a table with
            a row for each user do; None: that of the job.
    """

    size: tuple[int, ...]
    batch: Batch
    task: Task | None = None


@dataclass(frozen=True)
class StepScale:
    """The size of one training step of a job.

    Attributes:
        names: what the numbers of a size count, such as ``("nodes", "edges")``.
        whole: size of the largest step.
        input_bytes: bytes of the inputs of that step.
        samples: smaller steps in rising order; more of them than a size has numbers, and with different ratios between these.
            A single one is the whole step itself.
    """

    names: tuple[str, ...]
    whole: tuple[int, ...]
    input_bytes: int
    samples: tuple[StepSample, ...]


def scale_of_rows(batches: Iterator[Batch]) -> StepScale | None:
    """Returns the scale of batches whose samples are the rows of every tensor; None for others.

    Args:
        batches: the batches of an epoch; the first is looked at.
    """
    batch = next(batches, None)
    if batch is None or batch.index is not None or any(len(t) != len(batch.target) for t in batch.inputs):
        return None
    rows = len(batch.target)
    sizes = [size for size in _ROWS if size < rows] if rows > _ROWS[-1] else [rows]
    samples = (
        StepSample((n,), batch._replace(inputs=tuple(t[:n] for t in batch.inputs), target=batch.target[:n]))
        for n in sizes
    )
    return StepScale(("samples",), (rows,), sum(t.nbytes for t in batch.inputs), tuple(samples))
