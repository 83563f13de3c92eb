"""Learnable commutative monoids: a binary operator that is learned, folded over the messages by a balanced tree.

Ong and Veličković, "Learnable commutative monoids for graph neural networks", Learning on Graphs 2022, PMLR 198:43,
arXiv:2212.08541.
"""

from __future__ import annotations

from typing import Final, final

from torch import Tensor, nn

from automl.space import SizeLike
from automl.supernet import add_auxiliary_loss, collects_auxiliary_losses
from automl_graph.aggregators.cells import CommutativeOperator
from automl_graph.aggregators.regularisers import associativity_loss
from automl_graph.aggregators.segments import Segments, balanced_tree, left_fold

__all__ = ["LCMAggregator"]


@final
class LCMAggregator(nn.Module):
    """Folds the messages of each destination with a commutative, learned operator.

    In training the messages of each destination are put into a random order in every pass. A result depends on the order as
    far as the operator is not associative; the regulariser lowers that.

    Args:
        width: width of messages and states, in features.
        cell: cell of the operator: ``gru`` (paper), ``mlp`` or ``bilinear``.
        tree: ``balanced`` (paper), or ``left_fold``, one message after the other, for comparison.
        associativity: weight of the associativity loss in training; 0 for none.
        max_messages: messages of one destination that count: random ones in training, else the first.

    Shape:
        messages: ``(messages, width)``; index: ``(messages,)`` in any order. Returns ``(size, width)``; zeros without messages.

    Cost:
        ``2 * (messages - destinations)`` evaluations of the cell, in ``ceil(log2(messages of one destination))`` levels. In an
        exported program every level runs on all messages.

    Source:
        Operator, tree and regulariser are those of the paper. Deviations: segments are ragged instead of padded; the neutral
        element is zero and never enters a tree.
    """

    def __init__(
        self,
        width: SizeLike,
        *,
        cell: str = "gru",
        tree: str = "balanced",
        associativity: float = 0.0,
        max_messages: int = 64,
    ) -> None:
        super().__init__()
        self.operator = CommutativeOperator(width, cell)
        self.tree: Final = tree
        self.associativity: Final = associativity
        self.max_messages: Final = max_messages

    def forward(self, messages: Tensor, index: Tensor, size: int) -> Tensor:
        """Returns the aggregated messages."""
        regularised = self.training and self.associativity > 0 and collects_auxiliary_losses()
        segments = Segments.of(messages, index, size, limit=self.max_messages, shuffle=self.training)
        states = [messages]
        observe = states.append if regularised else None
        if self.tree == "balanced":
            combined = balanced_tree(segments, self.operator, observe)
        else:
            combined = left_fold(segments, self.operator, start=False, observe=observe)
        if regularised and len(messages):
            add_auxiliary_loss(self.associativity * associativity_loss(self.operator, states))
        return combined

    def extra_repr(self) -> str:
        """Returns the arguments."""
        return f"tree={self.tree!r}, associativity={self.associativity:g}, max_messages={self.max_messages}"
