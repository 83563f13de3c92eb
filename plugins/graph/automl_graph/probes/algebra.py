"""How far a learned binary operator is from that of a commutative monoid.

Ong and Veličković 2022, arXiv:2212.08541.
"""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor

from automl_graph.aggregators.segments import Operator
from automl_graph.options import require_number

__all__ = ["AlgebraDefect"]


@final
class AlgebraDefect:
    """Mean of ``|(a + b) + c - (a + (b + c))| / |(a + b) + c|`` over random triples of states; 0 is associative.

    Args:
        triples: number of triples.
        seed: decides which ones.

    Shape:
        states: ``(rows, width)``, at least one row; drawn with repetition.

    Raises:
        SpaceError: ``triples`` is no positive number.

    Source:
        The associativity loss of the paper, made relative, so that it can be compared between operators.

    Example:
        >>> AlgebraDefect()(torch.maximum, torch.randn(7, 3))
        0.0
    """

    def __init__(self, *, triples: int = 256, seed: int = 0) -> None:
        require_number("triples", triples, smallest=1)
        self.triples: Final = triples
        self.seed: Final = seed

    @torch.no_grad()
    def __call__(self, operator: Operator, states: Tensor) -> float:
        """Returns the defect of an operator on the states."""
        generator = torch.Generator().manual_seed(self.seed)
        rows = torch.randint(len(states), (3, self.triples), generator=generator).to(states.device)
        a, b, c = states[rows[0]], states[rows[1]], states[rows[2]]
        left = operator(operator(a, b), c)
        distance = (left - operator(a, operator(b, c))).norm(dim=1)
        return float((distance / left.norm(dim=1).clamp(min=torch.finfo(left.dtype).tiny)).mean())
