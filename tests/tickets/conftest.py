"""Small networks and data for pruning, built the same way every time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from automl.tasks import ImageClassification
from automl.training import TrainingConfig

STEPS = 17
"""Steps of an epoch on digits in batches of 64."""


def build_mlp(seed: int = 0, width: int = 24) -> nn.Sequential:
    """From 64 pixels to 10 logits; 64·width + width² + 10·width prunable weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 10),
        )


@pytest.fixture
def new_mlp() -> Callable[..., nn.Sequential]:
    return build_mlp


@pytest.fixture
def digits() -> ImageClassification:
    return ImageClassification.load("digits", seed=0, options={"augment": "none"})


@pytest.fixture
def config() -> TrainingConfig:
    return TrainingConfig(
        epochs=4, learning_rate=0.01, warmup_epochs=0.5, ema=0.9, validation_subnets=1, divergence_factor=1000
    )
