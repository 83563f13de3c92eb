"""A small supernet with batch normalisation and dropout, and a small task, built the same way every time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from automl import elastic
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.tasks import ImageClassification, ImageOptions, stratified_split
from automl.tasks.image_data import ImageData
from automl.training import TrainingConfig


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


@pytest.fixture
def new_supernet() -> Callable[..., Supernet]:
    return build_supernet


@pytest.fixture
def new_task() -> Callable[..., ImageClassification]:
    return build_task


@pytest.fixture
def config() -> TrainingConfig:
    return TrainingConfig(epochs=4, batch_size=16, learning_rate=0.01, warmup_epochs=1, ema=0.9, validation_subnets=2)
