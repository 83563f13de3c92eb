"""The shared image spaces that this plugin fills."""

from __future__ import annotations

import re

import automl_vision.plugin
import numpy as np
import pytest
import torch

from automl.host import Host
from automl.supernet import Supernet, build_supernet, load_skeleton
from automl.tasks import ImageClassification

BLOCKS = ("vision.attention", "vision.conv_stem", "vision.convnext", "vision.mbconv", "vision.residual")


@pytest.fixture(scope="module")
def host() -> Host:
    import automl_spaces.plugin

    return Host.load(entry_points=False, plugins=[automl_spaces.plugin, automl_vision.plugin])


@pytest.fixture(scope="module")
def digits() -> ImageClassification:
    return ImageClassification.load("digits", seed=0)


def supernet_of(space: str, host: Host, digits: ImageClassification) -> Supernet:
    torch.manual_seed(0)
    return build_supernet(load_skeleton(space, host), digits, host).eval()


@pytest.mark.parametrize("space", ["image/hybrid", "image/mobile", "image/tiny"])
@torch.no_grad()
def test_every_space_builds_and_extracts(space: str, host: Host, digits: ImageClassification) -> None:
    supernet = supernet_of(space, host, digits)
    rng = np.random.default_rng(0)
    (x,) = digits.example_inputs(3)
    architectures = [
        supernet.space.smallest(),
        supernet.space.largest(),
        *(supernet.space.sample(rng) for _ in range(6)),
    ]
    for architecture in architectures:
        supernet.activate(architecture)
        logits = supernet(x)
        assert logits.shape == (3, 10)
        torch.testing.assert_close(supernet.extract(architecture)(x), logits, rtol=1e-5, atol=1e-5)


def test_mobile_is_the_space_of_once_for_all(host: Host, digits: ImageClassification) -> None:
    supernet = supernet_of("image/mobile", host, digits)
    space = supernet.space
    kinds = [name.rsplit(".", 1)[-1] for name in space.dimensions]
    assert {kind: kinds.count(kind) for kind in kinds} == {"depth": 5, "kernel": 20, "expansion": 20}
    assert space.size() == (9**2 + 9**3 + 9**4) ** 5
    largest = supernet.extract(space.largest())
    assert len([m for m in largest.modules() if isinstance(m, torch.nn.Hardsigmoid)]) == 12  # stages 2, 4 and 5


def test_hybrid_offers_every_installed_block_at_every_position(host: Host, digits: ImageClassification) -> None:
    space = supernet_of("image/hybrid", host, digits).space
    positions = [name for name in space.dimensions if re.fullmatch(r"\w+\.blocks\.\d\.choice", name)]
    assert len(positions) == 1 + 3 + 4
    for name in positions:
        assert space.dimensions[name].choices == BLOCKS
