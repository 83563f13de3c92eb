"""Gates are exactly open or closed, decode to allowed architectures, and pass the gradient of a softmax on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.assembling.gates import DimensionGates
from automl.space import Categorical, Ordinal, SearchSpace

SPACE = SearchSpace.build(
    {"op": Categorical("conv", "pool"), "kernel": Ordinal(3, 5, 7), "width": Ordinal(8, 16, 24, 40)},
    conditions={"kernel": {"op": "conv"}},
    forbidden=[{"op": "conv", "kernel": 7, "width": [24, 40]}],
)
GATES = DimensionGates(SPACE)


@given(st.integers(0, 10_000))
def test_any_logits_open_one_gate_of_each_active_dimension(seed: int) -> None:
    logits = torch.randn(5, GATES.count, generator=torch.Generator().manual_seed(seed))
    opened = GATES.open(logits)
    assert set(opened.unique().tolist()) <= {0.0, 1.0}
    for architecture, row in zip(GATES.decode(logits), opened, strict=True):
        assert SPACE.allows(architecture)
        assert int(row.sum()) == len(architecture)


def test_gates_and_features_tell_every_architecture_apart() -> None:
    architectures = list(SPACE.enumerate())
    gates = GATES.encode(architectures)
    assert GATES.decode(8 * gates - 4) == architectures
    assert len(gates.unique(dim=0)) == len(architectures)
    np.testing.assert_allclose((gates @ GATES.features).numpy(), SPACE.encode(architectures), atol=1e-6)


def test_the_gradient_is_that_of_the_softmax_and_not_zero() -> None:
    logits = torch.randn(1, GATES.count, generator=torch.Generator().manual_seed(4)).requires_grad_()
    weight = torch.linspace(-1, 2, GATES.count)
    (found,) = torch.autograd.grad((GATES.open(logits) * weight).sum(), logits)
    (architecture,) = GATES.decode(logits)
    soft = torch.cat([block.softmax(1) for block in logits.split([2, 3, 4], 1)], 1)
    exists = torch.tensor([1.0] * 2 + [float("kernel" in architecture)] * 3 + [1.0] * 4)
    (expected,) = torch.autograd.grad((soft * exists * weight).sum(), logits)
    torch.testing.assert_close(found, expected)
    assert float(found[0, :2].abs().min()) > 0


def test_a_forbidden_setting_becomes_the_nearest_allowed_one() -> None:
    logits = torch.tensor(
        [[4.0, 0.0, 0.0, 1.0, 3.0, 0.0, 2.9, 0.0, 3.0]]
    )  # conv, 7, 40 is forbidden; width 16 costs least
    assert GATES.decode(logits) == [SPACE.architecture({"op": "conv", "kernel": 7, "width": 16})]


@pytest.mark.parametrize("name", ["op", "width"])
def test_a_score_prefers_what_the_logits_prefer(name: str) -> None:
    architectures = list(SPACE.enumerate())
    logits = 6 * GATES.encode(architectures[3:4])[0]
    assert int(GATES.score(architectures, logits).argmax()) == 3
    assert architectures[3][name] == GATES.decode(logits[None])[0][name]
