"""Gated recurrent unit with elastic input and state width."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from automl.elastic.layer import ElasticLayer
from automl.elastic.selection import Selection
from automl.elastic.specialise import plain_layer
from automl.elastic.validation import check_count
from automl.space import SizeLike

__all__ = ["GRUCell"]

_GATES = 3


class _Active(NamedTuple):
    inputs: Selection
    state: Selection


@final
class GRUCell(ElasticLayer[_Active, tuple[Tensor, Tensor, Tensor, Tensor]]):
    """One step of a gated recurrent unit whose widths are searched.

    Weights of reset gate, update gate and candidate lie below each other in one matrix. The active units of each are taken
    separately: a prefix of the whole matrix would mix the gates.

    Args:
        input_size: width of the input, in features.
        hidden_size: width of the state, in features.

    Shape:
        x: ``(batch, input_size)``; state: ``(batch, hidden_size)``. Returns the next state.
        weight_ih: ``(3 * max hidden_size, max input_size)``; weight_hh: ``(3 * max hidden_size, max hidden_size)``; bias_ih and
            bias_hh: ``(3 * max hidden_size,)``.

    Cost:
        ``3 * hidden_size * (input_size + hidden_size)`` multiply-accumulates for each row.

    Raises:
        SpaceError: a width is no whole number of at least 1 under every setting.

    Specialised:
        ``nn.GRUCell``.

    Source:
        Cho et al. 2014, arXiv:1406.1078, in the form of ``nn.GRUCell``.

    Example:
        >>> from automl.space import Ordinal
        >>> width = Ordinal(2, 4)
        >>> cell = GRUCell(3, width)
        >>> width.value = 2
        >>> cell(torch.randn(5, 3), torch.zeros(5, 2)).shape
        torch.Size([5, 2])
    """

    def __init__(self, input_size: SizeLike, hidden_size: SizeLike) -> None:
        super().__init__()
        inputs = check_count("GRUCell: input_size", input_size)
        state = check_count("GRUCell: hidden_size", hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(_GATES * state, inputs))
        self.weight_hh = nn.Parameter(torch.empty(_GATES * state, state))
        self.bias_ih = nn.Parameter(torch.empty(_GATES * state))
        self.bias_hh = nn.Parameter(torch.empty(_GATES * state))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights as ``nn.GRUCell`` of the largest size does."""
        bound = 1 / math.sqrt(self.weight_hh.shape[1])
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        """Returns the next state under the active slice."""
        return torch.gru_cell(x, state, *self._arguments())

    def specialise(self) -> nn.GRUCell:
        """Returns ``nn.GRUCell`` with copied active weights."""
        selection = self._selection()
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return plain_layer(
            nn.GRUCell,
            selection.inputs.count,
            selection.state.count,
            training=self.training,
            weights={n: (cut, getattr(self, n)) for n, cut in zip(names, self._cut(selection), strict=True)},
        )

    def _select(self) -> _Active:
        device = self._device()
        return _Active(Selection.of(self.input_size, device), Selection.of(self.hidden_size, device))

    def _cut(self, selection: _Active) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        inputs, state = selection

        def gates(parameter: Tensor) -> Tensor:
            return state.take(parameter.view(_GATES, -1, *parameter.shape[1:]), 1)

        return (
            inputs.take(gates(self.weight_ih), 2).flatten(0, 1),
            state.take(gates(self.weight_hh), 2).flatten(0, 1),
            gates(self.bias_ih).flatten(),
            gates(self.bias_hh).flatten(),
        )

    def extra_repr(self) -> str:
        """Returns the arguments."""
        return f"{self.input_size!r}, {self.hidden_size!r}"
