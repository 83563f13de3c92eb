"""A small supernet with batch normalisation and dropout, a small task, and a context that watches a strategy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import Architecture, Ordinal
from automl.supernet import Supernet
from automl.tasks import ImageClassification, ImageOptions, stratified_split
from automl.tasks.image_data import ImageData
from automl.tasks.task import Task
from automl.training import FamilyTurns, StepContext, TrainingConfig


def build_supernet(seed: int = 0, *, dropout: float = 0.2) -> Supernet:
    """Two searched widths, 16 pixels to 3 logits."""
    first, second = Ordinal(5, 8, 13), Ordinal(4, 7)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Flatten(),
            elastic.Linear(16, first),
            elastic.BatchNorm1d(first),
            nn.ReLU(),
            nn.Dropout(dropout),
            elastic.Linear(first, second),
            nn.ReLU(),
            elastic.Linear(second, 3),
        )
    return Supernet(network)


def build_task(samples: int = 90, *, augment: str = "shift") -> ImageClassification:
    """Blobs in three corners of 4×4 noise."""
    rng = np.random.default_rng(1)
    labels = np.arange(samples) % 3
    pixels = 0.3 * rng.normal(size=(samples, 1, 4, 4)).astype(np.float32)
    for label, (row, column) in enumerate(((0, 0), (0, 2), (2, 0))):
        pixels[labels == label, 0, row : row + 2, column : column + 2] += 2
    data = ImageData(source="blobs", pixels=pixels, labels=labels, classes=("a", "b", "c"))
    split = stratified_split(labels, seed=0, validation=0.2, test=0.2)
    return ImageClassification(data, split, ImageOptions(augment=augment))


class Spy:
    """A context in double precision that remembers which subnetworks ran, and on how many samples."""

    def __init__(
        self,
        supernet: Supernet,
        task: Task,
        seed: int = 0,
        *,
        label_smoothing: float = 0.1,
        progress: float = 0.0,
        samples: int = 24,
    ) -> None:
        task.to("cpu", torch.float64)
        self.supernet = supernet.double().train()
        self.batch = next(task.batches("train", samples))
        self.ran: list[Architecture] = []
        self.seen: list[int] = []
        self.context = StepContext(
            supernet=supernet,
            task=task,
            batch=self.batch,
            rng=np.random.default_rng(seed),
            turn=FamilyTurns(supernet).draw(np.random.default_rng(seed)),
            label_smoothing=label_smoothing,
            progress=progress,
            validation=lambda: list(task.batches("validation", samples)),
            forward=self.forward,
            backward=lambda loss: loss.backward(),  # type: ignore[no-untyped-call]
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        self.ran.append(self.supernet.active)
        self.seen.append(len(inputs[0]))
        outputs: Tensor = self.supernet(*inputs)
        return outputs

    def gradients(self) -> list[Tensor | None]:
        return [None if p.grad is None else p.grad.clone() for p in self.supernet.parameters()]


@pytest.fixture
def spy() -> Callable[..., Spy]:
    def make(seed: int = 0, *, supernet: Supernet | None = None, task: Task | None = None, **options: Any) -> Spy:
        return Spy(supernet or build_supernet(dropout=0.0), task or build_task(), seed, **options)

    return make


@pytest.fixture
def new_supernet() -> Callable[..., Supernet]:
    return build_supernet


@pytest.fixture
def new_task() -> Callable[..., ImageClassification]:
    return build_task


@pytest.fixture
def config() -> TrainingConfig:
    return TrainingConfig(epochs=4, batch_size=16, learning_rate=0.01, warmup_epochs=1, ema=0.9, validation_subnets=2)
