"""Extracted networks of the toy task, as objectives, runtimes and exporters get them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from automl.objectives import Candidate
from automl.testing.check import expect
from automl.testing.toy_task import ToyTask, toy_supernet
from automl.testing.weights import randomise

__all__ = ["FailingNetwork", "expect_unchanged", "toy_candidates"]


class FailingNetwork(nn.Module):
    """Raises whenever it is run."""

    def forward(self, x: Tensor, group: Tensor) -> Tensor:
        """Raises ``RuntimeError``."""
        raise RuntimeError("this network cannot run")


def toy_candidates(seed: int = 0) -> list[Candidate]:
    """Returns the smallest and the largest subnetwork of the toy task, in this order, with random weights."""
    task, supernet = ToyTask(seed=0), toy_supernet(seed)
    randomise(supernet, seed)
    space = supernet.space
    return [Candidate(a, supernet.extract(a), task) for a in (space.smallest(), space.largest())]


def expect_unchanged(model: nn.Module, before: dict[str, Tensor]) -> None:
    """Asserts that a model is as a component found it: in evaluation mode, with the same weights, without gradients."""
    after = model.state_dict()
    expect(list(after) == list(before), "the tensors of the model have other names than before.")
    for name, tensor in before.items():
        expect(torch.equal(after[name], tensor), f"{name} of the model was changed.")
    expect(not any(m.training for m in model.modules()), "the model was left in training mode.")
    expect(all(p.grad is None for p in model.parameters()), "gradients were left on the model.")
