"""The contract of a task: data, split, head, loss and metrics behind one interface.

A job calls ``load`` once and ``to`` once. Training asks for ``train_batches`` every epoch and for ``evaluate`` on the
validation part after it; the search evaluates on the validation part only; the test part is evaluated once, for the
members of the reported front.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn import functional as F

from automl.tasks.splits import Part
from automl.tasks.step_scale import StepScale, scale_of_rows

if TYPE_CHECKING:
    from automl.space import SizeLike

__all__ = ["Batch", "Task"]

VIEW_NOISE: Final = 0.2


class Batch(NamedTuple):
    """What one forward pass sees.

    Args:
        inputs: positional arguments of the network.
        target: one entry for each row of the output that counts.
        index: rows of the output that count, ``(rows,)`` int64; None means all rows.
    """

    inputs: tuple[Tensor, ...]
    target: Tensor
    index: Tensor | None = None  # type: ignore[assignment]  # hides tuple.index, which nobody calls on a batch

    def counted(self, outputs: Tensor) -> Tensor:
        """Returns the rows of ``outputs`` that ``target`` speaks about."""
        return outputs if self.index is None else outputs[self.index]


class Task(ABC):
    """Data and goal of a job.

    Attributes:
        options_model: pydantic model of the options that ``load`` takes.
        signal: kind of signal that enters the network, such as ``"image"``.
        input_width: channels or features per position of the input; a size that does not depend on dimensions.
        outputs: width of the output, such as the number of classes.
        sample_shape: shape of one sample without the batch axis.
        fingerprint: digest of the data; equal for equal data, whatever their path.
        split: indices of the samples in each of the parts train, validation and test.
        finalist_weights: what a network that is trained alone after a search starts from, unless a job says it: the weights of
            the supernet, or new ones where a trained supernet may know the training samples by heart.
        finalist_training: settings of the training of such a network from new weights that differ from those of the run, unless
            a job says them.
        finalist_alternatives: further settings of such a training, each of which is tried for the better half of these networks.
    """

    options_model: ClassVar[type[BaseModel]]
    signal: ClassVar[str]
    finalist_weights: ClassVar[Literal["inherited", "new"]] = "inherited"
    finalist_training: ClassVar[Mapping[str, Any]] = {}
    finalist_alternatives: ClassVar[Sequence[Mapping[str, Any]]] = ()
    input_width: SizeLike
    outputs: int
    sample_shape: tuple[int, ...]
    fingerprint: str
    split: dict[str, list[int]]

    @classmethod
    @abstractmethod
    def load(
        cls,
        data: str,
        *,
        seed: int,
        split: Mapping[str, list[int]] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Task:
        """Reads and checks the data; called once per job, before anything is trained.

        Args:
            data: name of a built-in source, or a path.
            seed: decides the split where ``split`` is None.
            split: indices stored by an earlier start of the same job.
            options: values for ``options_model``.

        Raises:
            DataError: the data are missing, unreadable or unfit, or the split does not fit them; names the file.
            ConfigError: an option is unknown or out of range.
        """

    @classmethod
    @abstractmethod
    def recognises(cls, data: str) -> bool:
        """Tells whether ``data`` looks like a source of this task; reads at most a directory listing."""

    @abstractmethod
    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> None:
        """Moves all cached tensors, once; floating-point ones become ``dtype``."""

    @abstractmethod
    def train_batches(self, rng: np.random.Generator, batch_size: int) -> Iterator[Batch]:
        """Yields one epoch of shuffled, augmented training batches; all chance comes from ``rng``.

        A last batch of a single sample is left out, because batch normalisation cannot learn from it.
        """

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Returns a random view of a batch, for training without labels; all chance comes from ``rng``.

        By default each floating-point input gets normal noise of ``VIEW_NOISE`` times its own deviation.
        """
        return Batch(tuple(_noisy(tensor, rng) for tensor in batch.inputs), batch.target, batch.index)

    @abstractmethod
    def batches(self, part: Part, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        """Yields the samples of a part in fixed order, without augmentation; at most ``limit`` samples."""

    @abstractmethod
    def calibration_batches(self, seed: int, samples: int, batch_size: int) -> Iterator[Batch]:
        """Yields a fixed subset of the training part, drawn by ``seed``, without augmentation."""

    @abstractmethod
    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Returns the training loss of a batch, a scalar."""

    @abstractmethod
    def evaluate(self, model: nn.Module, part: Part, batch_size: int, limit: int | None = None) -> dict[str, float]:
        """Measures ``model`` on a part: at least ``"error"`` (0 to 1) and ``"loss"``.

        The model is put into evaluation mode and back. Outputs that are not finite give ``nan``, never a number that
        looks like a result.
        """

    def score(self, answers: Iterable[tuple[Tensor, Batch]]) -> dict[str, float] | None:
        """Returns what ``evaluate`` returns for a network that gives these outputs for these batches, in this order.

        With it, networks that have layers in common are evaluated together. None, the default, has each evaluated alone.
        Without any answers it names all metrics, each ``nan``.
        """
        return None

    def sample_scores(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Returns by metric one score for each sample of a batch, so that the metric is their mean over all samples.

        Scores are booleans, or floats from 0 to 1; metrics without such scores are left out, and all of them where samples
        depend on each other. With them, a search stops weak candidates after a part of the samples.

        Shape:
            outputs: ``(samples, ...)``; each result ``(samples,)``.
        """
        return {}

    @abstractmethod
    def example_inputs(self, batch_size: int) -> tuple[Tensor, ...]:
        """Returns real inputs for ``batch_size`` samples, for measuring, tracing and verifying."""

    @property
    @abstractmethod
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs in exported files, one each."""

    @property
    @abstractmethod
    def dynamic_axes(self) -> tuple[dict[int, str], ...]:
        """For each input: axes whose length may vary in exported files, with their names."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Returns what must be known to use a model of this task, as JSON: shapes, classes, normalisation, split sizes."""

    def statistics(self) -> dict[str, Any]:
        """Returns what a reader of the report should know about the data, as JSON: names with numbers or short texts."""
        return {"samples": {part: len(rows) for part, rows in self.split.items()}}

    def head(self, width: SizeLike) -> nn.Module | None:
        """Returns the default head on a signal of ``width``, made of elastic layers; None if a space must name one."""
        return None

    def distillation_loss(self, outputs: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        """Returns how far ``outputs`` are from the soft outputs of a teacher, a scalar.

        Cross entropy against the teacher's probabilities over the last axis; tasks whose outputs are no logits of
        exclusive classes replace it.
        """
        soft = F.softmax(batch.counted(teacher).float(), dim=-1)
        logits = batch.counted(outputs).float()
        return -(soft * F.log_softmax(logits, dim=-1)).sum(-1).mean()

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns how many batches ``train_batches`` yields; counted here, worth a formula where that is slow."""
        return sum(1 for _ in self.train_batches(np.random.default_rng(0), batch_size))

    def step_scale(self, batch_size: int) -> StepScale | None:
        """Returns the size of a training step with smaller ones beside it, so that its memory is known before it runs.

        By default rows of the first batch, where samples are rows of every input; None if memory cannot be predicted.
        """
        return scale_of_rows(self.train_batches(np.random.default_rng(0), batch_size))

    def shard(self, batch: Batch, rank: int, world_size: int) -> Batch:
        """Returns the share of a batch that one of several processes trains on.

        The whole batch by default, which is right where samples depend on each other, as the nodes of a graph do.
        """
        return batch


def _noisy(tensor: Tensor, rng: np.random.Generator) -> Tensor:
    if not tensor.is_floating_point() or not tensor.numel():
        return tensor
    noise = torch.from_numpy(rng.standard_normal(tensor.shape)).to(tensor)
    return tensor + VIEW_NOISE * tensor.std(correction=0) * noise
