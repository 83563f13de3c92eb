"""The head of link prediction: how likely two nodes are linked, from their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast, final

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike, as_ordinal
from automl_graph.options import choices_of, require_choice, require_number
from automl_graph.signal import Graph

__all__ = ["LinkScores"]

_SCORERS: Final = ("dot", "hadamard")


@final
class LinkScores(nn.Module):
    """``h = U x + c`` for every node; the logits of a pair are read off ``h_i`` and ``h_j``, in either order the same.

    ``dot`` is ``a <h_i, h_j> + b``; the offset is needed since a product alone cannot say that most pairs are not linked.
    ``hadamard`` is ``W relu(V (h_i * h_j) + d) + b`` with the product of each feature.

    Args:
        inp: width of the input, in features.
        out: number of logits of a pair, 1 for links of one kind.
        width: width of ``h``, in features.
        scorer: ``dot`` or ``hadamard``.

    Shape:
        x: ``(nodes, inp)``; pairs: ``(2, pairs)``. Returns ``(pairs, out)``. Where no pairs are asked for, those that edges link
        are scored, ``(edges, out)``.

    Cost:
        ``nodes * inp * width`` multiply-accumulates; for each pair ``width + out``, or ``width * (width + out)``.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same head with ``nn.Linear`` and the chosen scorer.

    Source:
        Product: Kipf and Welling 2016, "Variational Graph Auto-Encoders", arXiv:1611.07308, equation 2, here with a map before
        it and scale and offset behind. Perceptron on the product of features: the baselines of Hu et al. 2020, "Open Graph
        Benchmark", arXiv:2005.00687, section 5.

    Example:
        >>> graph = Graph(torch.randn(4, 5), torch.tensor([[0, 1], [1, 2]]), pairs=torch.tensor([[0, 3, 1], [3, 0, 2]]))
        >>> LinkScores(5, 1)(graph).shape
        torch.Size([3, 1])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: int,
        *,
        width: int | Sequence[int] = (16, 32, 64),
        scorer: str | Sequence[str] = _SCORERS,
    ) -> None:
        super().__init__()
        require_number("width", width, smallest=1)
        require_choice("scorer", scorer, _SCORERS)
        self.width: Final = cast(SizeLike, as_ordinal(width))
        self.project = elastic.Linear(inp, self.width)
        self.scorer = elastic.Choice({name: _scorer(name, self.width, out) for name in choices_of(scorer)})

    def forward(self, graph: Graph) -> Tensor:
        """Returns the logits of all pairs."""
        source, target = graph.edge_index if graph.pairs is None else graph.pairs
        nodes = self.project(graph.x)
        logits: Tensor = self.scorer(nodes[source] * nodes[target])
        return logits


def _scorer(name: str, width: SizeLike, out: int) -> nn.Module:
    if name == "dot":
        return _Dot(out)
    return nn.Sequential(elastic.Linear(width, width), nn.ReLU(), elastic.Linear(width, out))


@final
class _Dot(nn.Module):
    """``a sum(products) + b``; starts as the plain sum."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.affine = nn.Linear(1, out)
        nn.init.ones_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)

    def forward(self, products: Tensor) -> Tensor:
        logits: Tensor = self.affine(products.sum(-1, keepdim=True))
        return logits
