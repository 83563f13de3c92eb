"""Validation of anchors leaves no trace and notices a largest subnetwork that is worse than a random one."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from automl.training.validation import AnchorValidation, is_new


def _trained_a_little(new_supernet, new_task):
    supernet, task = new_supernet(), new_task(augment="none")
    optimiser = torch.optim.AdamW(supernet.parameters(), lr=0.02)
    rng = np.random.default_rng(0)
    for _ in range(8):
        for batch in task.train_batches(rng, 16):
            supernet.activate(supernet.space.sample(rng))
            task.loss(supernet(*batch.inputs), batch).backward()
            optimiser.step()
            optimiser.zero_grad()
    return supernet, task


def test_supernet_is_left_bit_for_bit_as_it_was(new_supernet, new_task, config):
    supernet, task = _trained_a_little(new_supernet, new_task)
    before, active = copy.deepcopy(supernet.state_dict()), supernet.active
    modes = [module.training for module in supernet.modules()]
    AnchorValidation(supernet, task, config, seed=1).measure()
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert supernet.active == active
    assert [module.training for module in supernet.modules()] == modes


def test_statistics_are_calibrated_so_those_of_the_supernet_do_not_matter(new_supernet, new_task, config):
    supernet, task = _trained_a_little(new_supernet, new_task)
    first, _ = AnchorValidation(supernet, task, config, seed=1).measure()
    for module in supernet.modules():
        if hasattr(module, "running_mean"):
            module.running_mean.add_(100)
            module.running_var.mul_(1e-4)
    again, _ = AnchorValidation(supernet, task, config, seed=1).measure()
    assert first == again


def test_anchors_are_fixed_by_the_seed_and_named(new_supernet, new_task, config):
    supernet, task = _trained_a_little(new_supernet, new_task)
    quality, _ = AnchorValidation(supernet, task, config, seed=1).measure()
    assert list(quality) == ["smallest", "random", "largest"]
    for name in quality:
        assert 0 <= quality[name]["error"] <= 1
        assert quality[name]["loss"] > 0
    assert quality["random"]["best-error"] <= quality["random"]["error"]
    assert AnchorValidation(supernet, task, config, seed=1).measure()[0] == quality


def test_warns_when_the_largest_is_clearly_worse_than_a_random_one(new_supernet, new_task, config):
    supernet, task = _trained_a_little(new_supernet, new_task)
    config = config.model_copy(update={"validation_subnets": 6})
    assert AnchorValidation(supernet, task, config, seed=1).measure()[1] == []
    last = [module for module in supernet.modules() if isinstance(module, nn.Module) and hasattr(module, "weight")][-1]
    with torch.no_grad():
        last.weight[:, 4:] = 50 * torch.randn(
            last.weight[:, 4:].shape, generator=torch.Generator().manual_seed(0)
        )  # units that only wide subnetworks have
    (warning,) = AnchorValidation(supernet, task, config, seed=1).measure()[1]
    assert warning.startswith("the largest subnetwork has a validation error of ")
    assert "a random one has" in warning


@pytest.mark.parametrize(
    ("largest", "best", "warned"), [(0.5, 0.1, True), (0.11, 0.1, False), (0.1, 0.5, False), (0.1, 0.0, True)]
)
def test_difference_within_the_noise_of_the_sample_is_no_warning(largest, best, warned, new_supernet, new_task, config):
    validation = AnchorValidation(new_supernet(), new_task(), config, seed=1)
    assert bool(validation._compare(largest, best)) == warned


def test_repeated_warning_is_logged_once():
    first = "the largest subnetwork has a validation error of 30%, a random one has 20%"
    later = "the largest subnetwork has a validation error of 29%, a random one has 20%"
    assert is_new(first, [])
    assert is_new(first, [{"warnings": []}])
    assert not is_new(later, [{"warnings": [first]}])
    assert is_new(later, [{"warnings": [first]}, {"warnings": []}])
