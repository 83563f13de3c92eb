"""A network of two stages on tiny images, in which every layer is one of a few operations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from automl import elastic
from automl.blockwise import Blockwise
from automl.supernet import Stage, Supernet
from automl.tasks import ImageClassification, ImageOptions, stratified_split
from automl.tasks.image_data import ImageData
from automl.training import FamilyTurns, StepContext, TrainingConfig


class TwoStages(nn.Module):
    """A stem and two stages of two layers with 3 and 2 operations, then a head; 36 networks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 5, 3, padding=1)
        self.first = nn.Sequential(layer(5, 6), layer(6, 6))
        self.second = nn.Sequential(layer(6, 7, pool=False), layer(7, 7, pool=False))
        self.head = nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.second(self.first(torch.relu(self.stem(x)))).mean((2, 3)))
        return logits

    def stages(self) -> list[Stage]:
        return [Stage(self.first, (self.stem, self.first), (6,)), Stage(self.second, (self.second,), (7,))]


def layer(inp: int, out: int, *, pool: bool = True) -> nn.Module:
    operations: dict[str, nn.Module] = {
        "conv3": nn.Conv2d(inp, out, 3, padding=1, bias=False),
        "conv1": nn.Conv2d(inp, out, 1, bias=False),
    }
    if pool:
        operations["pool"] = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(inp, out, 1, bias=False))
    return nn.Sequential(elastic.Choice(operations), nn.BatchNorm2d(out), nn.ReLU())


def build_supernet(seed: int = 0) -> Supernet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Supernet(TwoStages())


def build_task(samples: int = 90) -> ImageClassification:
    """Blobs in three corners of 4×4 noise."""
    rng = np.random.default_rng(1)
    labels = np.arange(samples) % 3
    pixels = 0.3 * rng.normal(size=(samples, 1, 4, 4)).astype(np.float32)
    for label, (row, column) in enumerate(((0, 0), (0, 2), (2, 0))):
        pixels[labels == label, 0, row : row + 2, column : column + 2] += 2
    data = ImageData(source="blobs", pixels=pixels, labels=labels, classes=("a", "b", "c"))
    return ImageClassification(data, stratified_split(labels, seed=0, validation=0.2, test=0.2), ImageOptions())


@pytest.fixture
def new_supernet() -> Callable[..., Supernet]:
    return build_supernet


@pytest.fixture
def new_task() -> Callable[..., ImageClassification]:
    return build_task


@pytest.fixture
def config() -> TrainingConfig:
    return TrainingConfig(
        epochs=4, batch_size=16, learning_rate=0.01, warmup_epochs=1, validation_subnets=1, validation_samples=9
    )


@pytest.fixture
def strategy() -> Blockwise:
    return Blockwise(paths=3, hidden=16, projection=8, rated=5)


@pytest.fixture
def context() -> Callable[..., StepContext]:
    """Builds the context of a step at a moment of the training."""

    def build(supernet: Supernet, progress: float, seed: int = 0) -> StepContext:
        task, rng = build_task(), np.random.default_rng(seed)
        return StepContext(
            supernet=supernet.train(),
            task=task,
            batch=next(task.train_batches(rng, 16)),
            rng=rng,
            turn=FamilyTurns(supernet).draw(rng),
            label_smoothing=0.0,
            progress=progress,
            validation=lambda: list(task.batches("validation", 16)),
            forward=supernet.__call__,
            backward=torch.autograd.backward,
        )

    return build
