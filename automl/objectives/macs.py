"""Multiply-accumulates of one forward, counted on the operators that torch really runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final, final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from automl.objectives.candidate import Candidate
from automl.objectives.objective import Objective
from automl.objectives.value import Value

__all__ = ["Macs", "count_macs", "plain_attention"]


@final
class Macs(Objective):
    """Multiply-accumulates of one forward of one sample.

    Counts matrix products, convolutions, attention and recurrent layers; additions, element-wise products, normalisation and
    pooling are not multiply-accumulates. Padding counts as if it were data. A network of a task without a batch axis, such
    as a whole graph, is counted for one example as the task gives it.
    """

    name: ClassVar[str] = "macs"

    def measure(self, candidate: Candidate) -> Value:
        return Value(float(count_macs(candidate.model, candidate.example_inputs(1))))


def count_macs(model: nn.Module, inputs: Sequence[Tensor]) -> int:
    """Returns the multiply-accumulates of ``model(*inputs)``.

    Example:
        >>> count_macs(nn.Linear(5, 3), (torch.zeros(1, 5),))
        15
    """
    counter = FlopCounterMode(display=False, custom_mapping=_FORMULAS)
    with torch.no_grad(), plain_attention(), counter:
        model(*inputs)
    return counter.get_total_flops() // 2


@contextmanager
def plain_attention() -> Iterator[None]:
    """Runs attention layers of ``torch.nn`` by ordinary operators instead of one fused operator that cannot be looked into."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    """Scores and weighted sums; ``query``: (batch, heads, positions, width), also where key and value have fewer heads."""
    return 2 * query[0] * query[1] * query[2] * key[2] * (query[3] + value[3])


def _matrix_vector(matrix: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * matrix[0] * matrix[1]


def _added_matrix_vector(_: Sequence[int], matrix: Sequence[int], *__: Any, **___: Any) -> int:
    return 2 * matrix[0] * matrix[1]


def _dot(left: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * left[0]


def _recurrent(x: Sequence[int], to_gates: Sequence[int], recurrent: Sequence[int], *_: Any, **__: Any) -> int:
    """One direction of one LSTM layer; ``x``: (steps, batch, inputs) or (batch, steps, inputs)."""
    return 2 * x[0] * x[1] * (to_gates[0] * to_gates[1] + recurrent[0] * recurrent[1])


def _bilinear(left: Sequence[int], weight: Sequence[int], right: Sequence[int], *_: Any, **__: Any) -> int:
    """``nn.Bilinear``: for each row and output, ``left @ W`` and then a product with ``right``."""
    rows, outputs, first, second = left[0], weight[0], left[-1], right[-1]
    return 2 * rows * outputs * (first * second + second)


_ATEN: Final = torch.ops.aten
_FORMULAS: Final[dict[Any, Callable[..., int]]] = {
    # what torch runs on a CPU and its counter does not know
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _attention,
    _ATEN.mv: _matrix_vector,
    _ATEN.addmv: _added_matrix_vector,
    _ATEN.dot: _dot,
    _ATEN.mkldnn_rnn_layer: _recurrent,
    _ATEN._trilinear: _bilinear,
}
