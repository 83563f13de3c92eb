from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.errors import ConfigError
from automl.stitching.joint import StitchJoint
from automl.supernet import Supernet
from automl.tasks import Batch
from automl.tasks.image_classification import ImageClassification
from automl.training import FamilyTurns, StepContext


class _Loss:
    """The losses of a classification task, without data."""

    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float) -> Tensor:
        return F.cross_entropy(outputs, batch.target, label_smoothing=label_smoothing)

    distillation_loss = ImageClassification.distillation_loss


def _context(supernet: Supernet, batch: Batch, rng: np.random.Generator) -> StepContext:
    return StepContext(
        supernet=supernet.train(),
        task=_Loss(),  # type: ignore[arg-type]
        batch=batch,
        rng=rng,
        turn=FamilyTurns(supernet).draw(rng),
        label_smoothing=0.0,
        progress=0.0,
        validation=list,
        forward=supernet,
        backward=lambda loss: torch.autograd.backward(loss),
    )


@pytest.fixture
def supernet(networks: Any, stitched: Any) -> Supernet:
    return Supernet(stitched({n: networks.scrambled(networks.perceptron(w, 4), w) for n, w in (("a", 5), ("b", 9))}))


@pytest.fixture
def batch(images: Tensor) -> Batch:
    return Batch((images,), torch.arange(40) % 5)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_the_loss_is_that_of_the_targets_and_of_the_classes_that_the_teacher_names(
    supernet: Supernet, batch: Batch, share: float
) -> None:
    drawn = supernet.space.sample(np.random.default_rng(3))
    losses = StitchJoint(distillation=share).step(_context(supernet, batch, np.random.default_rng(3)))
    assert supernet.active == drawn
    outputs = supernet(*batch.inputs)
    answers = supernet.network.teacher(*batch.inputs).argmax(-1)  # type: ignore[operator, union-attr]
    assert not torch.equal(answers, batch.target)
    expected = (1 - share) * F.cross_entropy(outputs, batch.target) + share * F.cross_entropy(outputs, answers)
    assert losses["loss"] == pytest.approx(expected.item(), rel=1e-6)


def test_the_teacher_gets_no_gradient(supernet: Supernet, batch: Batch) -> None:
    StitchJoint().step(_context(supernet, batch, np.random.default_rng(1)))
    teacher = supernet.network.teacher
    assert isinstance(teacher, nn.Module)
    assert all(p.grad is None for p in teacher.parameters())
    assert any(p.grad is not None for p in supernet.network.parameters())


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_beyond_its_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=rf"distillation: {share} is not valid: must be from 0 to 1"):
        StitchJoint(distillation=share)
