"""Sheaf diffusion in continuous time, its solvers and the probe of its limit."""

from __future__ import annotations

import math

import pytest
import torch
from automl_graph.blocks import SheafODE
from automl_graph.blocks.sheaf_ode import integrate
from automl_graph.probes import SheafSpectrum
from automl_graph.sheaf import build_laplacian, node_pairs
from automl_graph.signal import Graph
from torch import nn

from automl.errors import SpaceError

RING = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])


@pytest.mark.parametrize("map_type", ["scalar", "diag", "bundle", "general"])
def test_long_linear_diffusion_is_the_projection_on_the_kernel(map_type: str) -> None:
    """Check 8, second half: ODE, linear, neutral weights; edge 0-1 only, so that the kernel is large."""
    torch.manual_seed(3)
    module = SheafODE(
        5, 6, time=4000.0, steps=4000, map_type=map_type, stalk=2, hidden=3, activation="identity"
    ).double()
    nn.init.eye_(module.mix_channels.weight)
    nn.init.eye_(module.leave.weight)
    nn.init.zeros_(module.leave.bias)
    nn.init.normal_(module.enter.weight)
    x = torch.randn(4, 5, dtype=torch.float64)
    pairs = node_pairs(RING[:, :1], 4)
    start = nn.functional.elu(module.enter(x))
    laplacian = module.learn(start, pairs)
    values, vectors = torch.linalg.eigh(laplacian.dense())
    kernel = vectors[:, values < 1e-9]
    assert kernel.shape[1] == 6  # two isolated nodes with two dimensions each, and two of the pair
    expected = (kernel @ kernel.T @ start.view(8, 3)).view(4, 6)
    torch.testing.assert_close(module(Graph(x, RING[:, :1])).x, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("linear", [False, True])
def test_one_step_of_euler_is_the_formula(linear: bool) -> None:
    """``X + h elu(-Delta(X) (I x W1) X W2)``, twice, with weights that are all different."""
    torch.manual_seed(5)
    module = SheafODE(5, 2, time=0.6, steps=2, map_type="general", stalk=2, hidden=3, linear=linear).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=0.05, std=0.4)
    x, pairs = torch.randn(4, 5, dtype=torch.float64), node_pairs(RING, 4)
    state = nn.functional.elu(module.enter(x)).view(4, 2, 3)
    start = module.learn(state.flatten(1), pairs).dense()
    for _ in range(2):
        matrix = start if linear else module.learn(state.flatten(1), pairs).dense()
        mixed = torch.einsum("ij,njf,gf->nig", module.mix_stalks.weight, state, module.mix_channels.weight)
        state = state + 0.3 * nn.functional.elu(-matrix @ mixed.reshape(8, 3)).view(4, 2, 3)
    torch.testing.assert_close(module(Graph(x, RING)).x, module.leave(state.flatten(1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("map_type", ["scalar", "diag", "bundle", "general"])
def test_order_of_nodes_does_not_matter_in_continuous_time(map_type: str) -> None:
    """Check 7."""
    torch.manual_seed(5)
    module = SheafODE(5, 3, time=1.0, solver="rk4", map_type=map_type, stalk=2, hidden=3, linear=False).double()
    x, order = torch.randn(5, 5, dtype=torch.float64), torch.tensor([3, 0, 4, 2, 1])  # node 4 has no edge
    moved = module(Graph(x[order], torch.argsort(order)[RING.flip(0)])).x
    torch.testing.assert_close(moved, module(Graph(x, RING)).x[order], rtol=0, atol=1e-12)


def test_solvers_have_their_orders() -> None:
    def error(solver: str, steps: int) -> float:
        result = integrate(lambda x: -x, torch.ones(1, dtype=torch.float64), 1.0, steps, solver)  # type: ignore[arg-type]
        return abs(float(result) - math.exp(-1))

    assert error("euler", 50) / error("euler", 100) == pytest.approx(2, rel=0.05)
    assert error("rk4", 10) / error("rk4", 20) == pytest.approx(16, rel=0.1)


def test_sheaf_follows_the_state_unless_linear() -> None:
    torch.manual_seed(0)
    changing = SheafODE(5, 3, time=1.0, solver="rk4", map_type="diag", stalk=2, hidden=3, linear=False).double()
    once = SheafODE(5, 3, time=1.0, solver="rk4", map_type="diag", stalk=2, hidden=3, linear=True).double()
    once.load_state_dict(changing.state_dict())
    data = Graph(torch.randn(4, 5, dtype=torch.float64), RING)
    assert not torch.allclose(changing(data).x, once(data).x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": 0.0}, "time: 0.0 is not a number above 0"),
        ({"solver": "dopri5"}, "solver: unknown value 'dopri5'"),
        ({"steps": 0}, "steps: 0 is not a whole number"),
    ],
)
def test_unfit_option_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        SheafODE(5, 3, **options)  # type: ignore[arg-type]


def test_probe_reads_the_spectrum_of_a_ring() -> None:
    features = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    summary = SheafSpectrum()(features, RING)
    torch.testing.assert_close(summary.eigenvalues, torch.tensor([0.0, 1, 1, 2], dtype=torch.float64))
    assert (summary.harmonic, summary.negative_transports) == (1, 0.0)
    assert summary.gap == pytest.approx(1)
    assert summary.energy == pytest.approx(2)
    assert SheafSpectrum()(torch.ones(4, 2), RING).energy == pytest.approx(0)


def test_probe_reads_a_learned_sheaf_and_refuses_large_ones() -> None:
    pairs = node_pairs(RING, 4)
    ones = torch.ones(4, 1)
    signs = torch.tensor([[-1.0], [-1.0], [-1.0], [1.0]])
    frustrated = build_laplacian(pairs, ones, signs, normalisation="symmetric")
    summary = SheafSpectrum().of(frustrated)
    assert summary.harmonic == 0  # signs multiply to -1 around the ring: no signal agrees everywhere
    assert summary.negative_transports == 0.75
    assert math.isnan(summary.energy)
    with pytest.raises(ValueError, match="4 rows; expected at most 3"):
        SheafSpectrum(largest=3).of(frustrated)
