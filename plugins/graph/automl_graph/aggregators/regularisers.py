"""Training losses that push a learned operator towards the laws of a commutative monoid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from automl_graph.aggregators.segments import Operator

__all__ = ["associativity_loss", "draw_states", "order_loss"]

_TRIPLES: Final = 64


def draw_states(states: Sequence[Tensor], sets: int) -> list[Tensor]:
    """Draws rows of the states that occurred, with repetition; the losses then train the operator, not what it is fed with.

    Args:
        states: tensors ``(rows, width)``; not all empty.
        sets: how many independent draws.

    Returns:
        ``sets`` tensors ``(64, width)`` without gradient.
    """
    pool = torch.cat([state.detach() for state in states])
    return [pool[torch.randint(len(pool), (_TRIPLES,), device=pool.device)] for _ in range(sets)]


def associativity_loss(operator: Operator, states: Sequence[Tensor]) -> Tensor:
    """Returns the mean of ``|(a + b) + c - a + (b + c)|²`` over drawn triples, per feature.

    Source:
        Ong and Veličković 2022, arXiv:2212.08541. Deviation: divided by the width, so that its weight means the same at all
        widths.
    """
    a, b, c = draw_states(states, 3)
    return (operator(operator(a, b), c) - operator(a, operator(b, c))).square().mean()


def order_loss(step: Operator, messages: Tensor, states: Sequence[Tensor]) -> Tensor:
    """Returns the mean of ``|f(f(h, x), y) - f(f(h, y), x)|²`` over drawn states h and messages x, y, per feature.

    Source:
        Cohen-Karlik, Ben David and Globerson 2020, "Regularizing towards permutation invariance in recurrent models",
        arXiv:2010.13055.
    """
    (h,) = draw_states(states, 1)
    x, y = draw_states([messages], 2)
    return (step(y, step(x, h)) - step(x, step(y, h))).square().mean()
