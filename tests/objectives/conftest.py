"""A real task and candidates around hand-made networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from automl.objectives import Candidate
from automl.tasks import ImageClassification


@pytest.fixture(scope="session")
def task() -> ImageClassification:
    return ImageClassification.load("digits", seed=0)


@pytest.fixture
def candidate(task: ImageClassification) -> Callable[..., Candidate]:
    def make(model: nn.Module | None = None, limit: int | None = None) -> Candidate:
        if model is None:
            torch.manual_seed(3)
            model = nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.ReLU(), nn.Linear(7, 10))
        return Candidate(None, model.eval(), task, limit=limit)

    return make
