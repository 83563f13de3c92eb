"""The recurrent aggregator: a gated recurrent unit that reads one message after the other."""

from __future__ import annotations

from typing import Final, final

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl.supernet import add_auxiliary_loss, collects_auxiliary_losses
from automl_graph.aggregators.regularisers import order_loss
from automl_graph.aggregators.segments import Segments, left_fold

__all__ = ["RecurrentAggregator"]


@final
class RecurrentAggregator(nn.Module):
    """Last state of a gated recurrent unit over the messages of each destination, in random order in training.

    As expressive as a learned operator, but n messages need n steps in a row.

    Args:
        width: width of messages and states, in features.
        commutativity: weight of the loss on swapped messages in training; 0 for none.
        max_messages: messages of one destination that count: random ones in training, else the first.

    Shape:
        messages: ``(messages, width)``; index: ``(messages,)`` in any order. Returns ``(size, width)``; zeros without messages.

    Cost:
        One evaluation of the cell for each message. An exported program runs ``max_messages`` steps on all destinations.

    Source:
        Baseline of Ong and Veličković 2022, arXiv:2212.08541.
    """

    def __init__(self, width: SizeLike, *, commutativity: float = 0.0, max_messages: int = 64) -> None:
        super().__init__()
        self.cell = elastic.GRUCell(width, width)
        self.commutativity: Final = commutativity
        self.max_messages: Final = max_messages

    def forward(self, messages: Tensor, index: Tensor, size: int) -> Tensor:
        """Returns the aggregated messages."""
        regularised = self.training and self.commutativity > 0 and collects_auxiliary_losses()
        segments = Segments.of(messages, index, size, limit=self.max_messages, shuffle=self.training)
        states: list[Tensor] = []
        combined = left_fold(segments, self.cell, start=True, observe=states.append if regularised else None)
        if regularised and states:
            add_auxiliary_loss(self.commutativity * order_loss(self.cell, messages, states))
        return combined

    def extra_repr(self) -> str:
        """Returns the arguments."""
        return f"commutativity={self.commutativity:g}, max_messages={self.max_messages}"
