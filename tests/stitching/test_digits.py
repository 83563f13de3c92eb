"""The small run of the method on digits: perceptrons of six blocks and widths 8 and 64, as many joint steps as take seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from automl.stitching.joint import StitchJoint
from automl.stitching.network import StitchedNetwork
from automl.supernet import Supernet
from automl.tasks.image_classification import ImageClassification
from automl.training import TrainingConfig, train


def _trained(network: nn.Module, task: ImageClassification, steps: int) -> nn.Module:
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    rng, done = np.random.default_rng(0), 0
    while done < steps:
        for batch in task.train_batches(rng, 64):
            optimiser.zero_grad()
            task.loss(network(*batch.inputs), batch).backward()
            optimiser.step()
            done += 1
    return network.eval()


def _accuracies(network: StitchedNetwork, task: ImageClassification) -> dict[str, float]:
    found = {}
    for name in network.stitch.choices:
        network.stitch.value = name
        found[str(name)] = 1 - task.evaluate(network, "test", 512)["error"]
    return found


def _mean_of_stitches(accuracies: dict[str, float]) -> float:
    return float(np.mean([value for name, value in accuracies.items() if ">" in name]))


@pytest.mark.slow
def test_least_squares_start_far_above_random_layers_and_joint_training_makes_all_paths_good(
    networks: Any, stitched: Any, tmp_path: Any
) -> None:
    task = ImageClassification.load("digits", seed=0, options={"augment": "none"})
    torch.manual_seed(0)
    anchors = {name: _trained(networks.perceptron(width, 6, 10), task, 400) for name, width in (("a", 8), ("b", 64))}
    (batch,) = task.calibration_batches(0, 100, 100)
    random = stitched(anchors, batch.inputs[0], least_squares=False)
    network = stitched(anchors, batch.inputs[0])
    assert (len(network.stitch.choices), len(network.layers)) == (2 + 16, 5)
    before = _accuracies(network, task)
    assert _mean_of_stitches(before) > _mean_of_stitches(_accuracies(random, task)) + 0.4
    config = TrainingConfig(
        epochs=40, learning_rate=1e-3, warmup_epochs=0, label_smoothing=0, validation_samples=10, validation_subnets=1
    )
    train(Supernet(network), task, config, strategy=StitchJoint(), folder=tmp_path, seed=0, device="cpu")
    after = _accuracies(network, task)
    assert min(after.values()) >= 0.85
    assert after["b"] >= before["b"] - 0.03
    assert _mean_of_stitches(after) > _mean_of_stitches(before)


@pytest.mark.parametrize("seed", [1, 2])
def test_building_again_gives_the_same_layers(networks: Any, stitched: Any, seed: int) -> None:
    def layers() -> list[torch.Tensor]:
        anchors = {name: networks.scrambled(networks.perceptron(w, 3), seed) for name, w in (("a", 4), ("b", 6))}
        return [p for layer in stitched(anchors).layers for p in layer.parameters()]

    torch.manual_seed(9)
    first = layers()
    torch.manual_seed(9)
    assert all(torch.equal(x, y) for x, y in zip(first, layers(), strict=True))
