"""Loss, target and momentum of ensemble bootstrapping, against what the method says of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from automl.blockwise.ensemble import distance, ensemble_target, momentum, spread, two_view_loss


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seed=st.integers(0, 1000), rows=st.integers(1, 5), features=st.integers(2, 7))
def test_the_two_view_loss_lies_between_0_and_8(seed, rows, features):
    a, b, c, d = (random(rows, features, seed=seed * 4 + i) for i in range(4))
    assert -1e-12 <= float(two_view_loss([a, b], [c, d])) <= 8 + 1e-12


def test_the_loss_is_least_when_predictions_point_where_the_other_view_does_and_most_when_opposite():
    a, b = random(3, 5, seed=1), random(3, 5, seed=2)
    assert float(two_view_loss([a, b], [7 * b, 0.1 * a])) == pytest.approx(0, abs=1e-12)
    assert float(two_view_loss([a, b], [-b, -a])) == pytest.approx(8)
    assert float(two_view_loss([a, b], [a, b])) > 0.1  # views are crossed
    assert float(distance(a, b)) == pytest.approx(float((F.normalize(a) - F.normalize(b)).square().sum(-1).mean()))


@given(seed=st.integers(0, 1000), paths=st.integers(2, 5))
def test_a_target_has_length_1_only_where_all_paths_agree(seed, paths):
    projections = [random(3, 6, seed=seed * 9 + i) for i in range(paths)]
    assert (ensemble_target(projections).norm(dim=-1) < 1).all()
    same = ensemble_target([projections[0] * (1 + i) for i in range(paths)])
    torch.testing.assert_close(same, F.normalize(projections[0], dim=-1))


def test_projections_are_normalised_before_they_are_averaged():
    long, short = torch.tensor([[100.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert torch.equal(ensemble_target([long, short]), torch.tensor([[0.5, 0.5]]))


def test_a_single_path_has_itself_as_the_target():
    z = random(4, 3, seed=3)
    assert torch.equal(ensemble_target([z]), F.normalize(z, dim=-1))


def test_momentum_rises_to_1():
    values = [momentum(0.99, p) for p in (0, 0.3, 0.7, 1)]
    assert values[0] == pytest.approx(0.99)
    assert values == sorted(values)
    assert values[-1] == 1


def test_spread_sees_a_collapse():
    z = random(400, 32, seed=4)
    assert spread(z) == pytest.approx(32**-0.5, rel=0.1)
    assert spread(z[:1] * torch.linspace(1, 2, 9, dtype=z.dtype)[:, None]) == pytest.approx(0, abs=1e-12)
