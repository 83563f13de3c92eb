"""The recurrent cell: each gate is cut separately."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from automl import elastic
from automl.elastic import specialise
from automl.errors import SpaceError
from automl.space import Ordinal


@pytest.mark.parametrize("inputs", [3, 5])
@pytest.mark.parametrize("state", [2, 4, 7])
def test_slice_equals_the_plain_cell_of_the_same_gates(inputs: int, state: int) -> None:
    torch.manual_seed(0)
    inp, width = Ordinal(3, 5), Ordinal(2, 4, 7)
    cell = elastic.GRUCell(inp, width).double()
    inp.value, width.value = inputs, state
    plain = nn.GRUCell(inputs, state).double()
    rows = torch.cat([torch.arange(gate * 7, gate * 7 + state) for gate in range(3)])
    with torch.no_grad():
        plain.weight_ih.copy_(cell.weight_ih[rows, :inputs])
        plain.weight_hh.copy_(cell.weight_hh[rows, :state])
        plain.bias_ih.copy_(cell.bias_ih[rows])
        plain.bias_hh.copy_(cell.bias_hh[rows])
    for batch in (0, 1, 6):
        x, h = torch.randn(batch, inputs).double(), torch.randn(batch, state).double()
        torch.testing.assert_close(cell(x, h), plain(x, h), rtol=0, atol=1e-14)
        with torch.no_grad():
            torch.testing.assert_close(cell(x, h), plain(x, h), rtol=0, atol=1e-14)
    extracted = specialise(cell)
    assert isinstance(extracted, nn.GRUCell)
    for name, parameter in plain.named_parameters():
        assert torch.equal(parameter, extracted.get_parameter(name))


def test_gradient_reaches_the_active_part_of_each_gate_only() -> None:
    torch.manual_seed(0)
    width = Ordinal(2, 5)
    cell = elastic.GRUCell(3, width)
    width.value = 2
    cell(torch.randn(4, 3), torch.randn(4, 2)).sum().backward()
    assert cell.weight_hh.grad is not None
    used = cell.weight_hh.grad.view(3, 5, 5) != 0
    assert bool(used[:, :2, :2].all())
    used[:, :2, :2] = False
    assert not bool(used.any())


def test_initial_weights_are_those_of_the_plain_cell() -> None:
    torch.manual_seed(0)
    cell = elastic.GRUCell(3, Ordinal(4, 9))
    torch.manual_seed(0)
    plain = nn.GRUCell(3, 9)
    for a, b in zip(cell.parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b)


def test_unfit_width_is_refused() -> None:
    with pytest.raises(SpaceError, match="GRUCell: hidden_size"):
        elastic.GRUCell(3, Ordinal(0, 2))
