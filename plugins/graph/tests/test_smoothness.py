"""The smoothness probe: hand-computed cases, and the measured decrease on the digits graph."""

from __future__ import annotations

import math

import pytest
import torch
from automl_graph.data import digits_neighbours
from automl_graph.probes import Smoothness
from automl_graph.propagation import adjacency

from automl.errors import SpaceError


@pytest.mark.parametrize(
    ("rows", "expected"),
    [([[1.0, 2.0], [3.0, 6.0]], 0.0), ([[2.0, 0.0], [0.0, 5.0]], math.sqrt(2) / 2), ([[1.0, 2.0], [-2.0, -4.0]], 1.0)],
    ids=["one direction", "orthogonal", "opposite"],
)
def test_two_nodes(rows: list[list[float]], expected: float) -> None:
    """Check 11 of DAGNN."""
    assert Smoothness()(torch.tensor(rows, dtype=torch.float64)) == pytest.approx(expected, abs=1e-15)


def test_three_nodes_by_hand() -> None:
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert Smoothness()(features) == pytest.approx((2 * math.sqrt(2) / 2 + 1) / 3)


def test_length_of_features_does_not_matter() -> None:
    """Check 11 of DAGNN, scale invariance."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(13, 5, generator=generator, dtype=torch.float64)
    lengths = torch.rand(13, 1, generator=generator, dtype=torch.float64) * 1e3 + 1e-3
    assert Smoothness()(features * lengths) == pytest.approx(Smoothness()(features), rel=1e-12)


def test_nearly_equal_directions_are_told_apart_from_equal_ones() -> None:
    angle = 1e-12
    features = torch.tensor([[1.0, 0.0], [math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    assert Smoothness()(features) == pytest.approx(angle / 2, rel=1e-3)


def test_zero_vector_is_half_way_and_one_node_has_no_value() -> None:
    assert Smoothness()(torch.tensor([[0.0, 0.0], [3.0, 4.0]])) == pytest.approx(0.5)
    assert math.isnan(Smoothness()(torch.ones(1, 3)))


def test_samples_estimate_the_mean_without_bias() -> None:
    features = torch.randn(40, 3, generator=torch.Generator().manual_seed(2))
    exact = Smoothness()(features)
    estimates = torch.tensor([Smoothness(sample=10, seed=seed)(features) for seed in range(400)])
    error = float(estimates.std()) / 20
    assert abs(float(estimates.mean()) - exact) < 4 * error
    assert Smoothness(sample=10, seed=1)(features) == Smoothness(sample=10, seed=1)(features)
    assert Smoothness(sample=10, seed=1)(features) != Smoothness(sample=10, seed=2)(features)
    assert Smoothness(sample=40)(features) == exact


def test_sample_of_nothing_is_refused() -> None:
    with pytest.raises(SpaceError, match="sample: 0 is not a whole number of at least 1"):
        Smoothness(sample=0)


def test_propagation_smooths_the_digits_as_published() -> None:
    data = digits_neighbours()
    matrix = adjacency(data.edge_index, data.nodes)
    expected = {0: 0.389, 1: 0.350, 5: 0.306, 10: 0.281, 50: 0.200, 200: 0.091}
    x = data.x.double()
    for hop in range(201):
        if hop in expected:
            assert Smoothness()(x) == pytest.approx(expected[hop], abs=6e-4), hop
        x = matrix.propagate(x, norm="sym", self_loops=True)
