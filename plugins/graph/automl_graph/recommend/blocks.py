"""Rivals of the sheaf under the same loss and head: matrix factorisation, and LightGCN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from torch import nn

from automl.space import SizeLike, as_categorical, as_ordinal
from automl_graph.options import current_choice, require_choice, require_number
from automl_graph.propagation import adjacency
from automl_graph.recommend.readout import READOUTS, adapter, read_layers
from automl_graph.recommend.signals import Embeddings

__all__ = ["Factorisation", "LightGCN"]


@final
class Factorisation(nn.Module):
    """Scores the vectors as they are: matrix factorisation, the baseline that every use of edges must beat.

    Args:
        inp: width of the vectors, in features.
        out: width of the result; a linear layer leads there where the two can differ.

    Shape:
        x: ``(nodes, inp)``. Returns ``(nodes, out)``.

    Source:
        Rendle et al. 2009, "BPR: Bayesian Personalized Ranking from Implicit Feedback", section 4.3.1.

    Example:
        >>> x, edges = torch.randn(5, 3), torch.tensor([[1, 4], [4, 1]])
        >>> Factorisation(3, 3)(Embeddings(x, edges, torch.tensor([0]), x)).read.shape
        torch.Size([5, 3])
    """

    def __init__(self, inp: SizeLike, out: SizeLike) -> None:
        super().__init__()
        self.adapt = adapter(inp, out)

    def forward(self, payload: Embeddings) -> Embeddings:
        """Returns the vectors, without a look at the edges."""
        x = self.adapt(payload.x)
        return payload._replace(x=x, read=x)


@final
class LightGCN(nn.Module):
    """``X_{t+1} = D^-1/2 A D^-1/2 X_t`` without any weights, then a readout over all layers.

    Args:
        inp: width of the vectors, in features.
        out: width of the result; a linear layer leads there where the two can differ.
        layers: number of propagations.
        readout: ``mean`` (paper), ``concat``, ``last`` or ``sum``.

    Shape:
        x: ``(nodes, inp)``. Returns ``(nodes, out)``.

    Cost:
        ``layers * edges * out`` multiply-accumulates.

    Raises:
        SpaceError: an option has a value that does not exist.

    Source:
        He et al. 2020, "LightGCN", arXiv:2002.02126, equations 3 and 4 with equal weights of the layers.

    Example:
        >>> x, edges = torch.randn(5, 3), torch.tensor([[1, 4], [4, 1]])
        >>> LightGCN(3, 3, layers=2, readout="concat")(Embeddings(x, edges, torch.tensor([0]), x)).read.shape
        torch.Size([5, 9])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        layers: int | Sequence[int] = (1, 2, 3),
        readout: str | Sequence[str] = "mean",
    ) -> None:
        super().__init__()
        require_number("layers", layers, smallest=1)
        require_choice("readout", readout, READOUTS)
        self.layers: Final = as_ordinal(layers)
        self.readout: Final = as_categorical(readout)
        self.adapt = adapter(inp, out)

    def forward(self, payload: Embeddings) -> Embeddings:
        """Returns the propagated vectors."""
        states = [self.adapt(payload.x)]
        matrix = adjacency(payload.edge_index, states[0].shape[0])
        for _ in range(int(self.layers)):
            states.append(matrix.propagate(states[-1], norm="sym", self_loops=False))
        return payload._replace(x=states[-1], read=read_layers(states, current_choice(self.readout)))
