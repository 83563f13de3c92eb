"""The validation part as it is shown to candidates: prepared once, in any order of samples, for several networks at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Final, final

import numpy as np
import torch
from torch import Tensor, nn

from automl.search.pareto import IntVector
from automl.supernet.prefix_tree import PrefixTree
from automl.tasks.task import Batch, Task

__all__ = ["ValidationSet", "fast_layout"]


def fast_layout(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Returns image tensors with their channels last in memory, the others as they are; equal in every number.

    Convolutions on processors are up to twice as fast on it, and no block of our spaces is noticeably slower.
    """
    return tuple(
        t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 and t.is_floating_point() else t for t in inputs
    )


@final
class ValidationSet:
    """Batches of the validation part.

    Args:
        task: the task.
        batch_size: samples in one forward.
        limit: use only the first so many samples; None for all.
        memory: bytes of activations that may be kept while networks share them; 0 runs each alone.
    """

    def __init__(self, task: Task, *, batch_size: int, limit: int | None, memory: int) -> None:
        self._task: Final = task
        self._batch_size: Final = batch_size
        self._limit: Final = limit
        self._memory: Final = memory

    @cached_property
    def batches(self) -> list[Batch]:
        """All samples in their fixed order."""
        batches = self._task.batches("validation", self._batch_size, self._limit)
        return [batch._replace(inputs=fast_layout(batch.inputs)) for batch in batches]

    @cached_property
    def samples(self) -> int:
        """Number of samples."""
        return sum(len(batch.target) for batch in self.batches)

    @cached_property
    def divisible(self) -> bool:
        """Whether any samples can be evaluated without the others: each is one row of every tensor."""
        return all(
            batch.index is None and all(len(t) == len(batch.target) for t in batch.inputs) for batch in self.batches
        )

    def chosen(self, rows: IntVector) -> list[Batch]:
        """Returns batches of the samples at these positions, in this order; only if ``divisible``."""
        whole = self._whole
        result = []
        for start in range(0, len(rows), self._batch_size):
            index = torch.from_numpy(np.asarray(rows[start : start + self._batch_size])).to(whole.target.device)
            result.append(Batch(fast_layout(tuple(t[index] for t in whole.inputs)), whole.target[index]))
        return result

    @cached_property
    def _whole(self) -> Batch:
        inputs = [batch.inputs for batch in self.batches]
        joined = tuple(torch.cat(tensors) for tensors in zip(*inputs, strict=True)) if len(inputs) > 1 else inputs[0]
        return Batch(joined, torch.cat([batch.target for batch in self.batches]))

    @torch.no_grad()
    def answers(
        self, networks: Mapping[int, nn.Module], batches: Sequence[Batch]
    ) -> dict[int, list[tuple[Tensor, Batch]] | Exception]:
        """Returns the outputs of extracted networks in evaluation mode, each as if it were alone.

        Args:
            networks: the networks by number.
            batches: batches of this set.

        Returns:
            By number the output for each batch with the batch, or the exception that the network raises.
        """
        numbers = list(networks)
        answers: dict[int, list[tuple[Tensor, Batch]] | Exception] = {}
        for position, result in self._run([networks[n] for n in numbers], batches).items():
            number = numbers[position]
            if isinstance(result, Exception) and len(numbers) > 1:
                result = self._run([networks[number]], batches)[0]  # it may not have been its own fault
            if isinstance(result, Exception):
                result = _plainly(networks[number], batches)
            answers[number] = result
        return answers

    def _run(
        self, networks: Sequence[nn.Module], batches: Sequence[Batch]
    ) -> dict[int, list[tuple[Tensor, Batch]] | Exception]:
        tree = PrefixTree(networks, memory=self._memory)
        results: dict[int, list[tuple[Tensor, Batch]] | Exception] = {n: [] for n in range(len(networks))}
        left: Collection[int] = set(results)
        for batch in batches:
            for position, output in tree.run(batch.inputs, left).items():
                found = results[position]
                if isinstance(output, Exception):
                    results[position] = output
                elif isinstance(found, list):
                    found.append((output, batch))
            left = {position for position in left if isinstance(results[position], list)}
        return results


def _plainly(network: nn.Module, batches: Sequence[Batch]) -> list[tuple[Tensor, Batch]] | Exception:
    """Some code needs tensors that are contiguous in the usual order, as the task gives them."""
    try:
        return [(network(*(t.contiguous() for t in batch.inputs)), batch) for batch in batches]
    except Exception as error:
        return error
