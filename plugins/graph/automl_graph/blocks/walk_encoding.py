"""Positional encoding as a block of its own, so that any network on graphs can have it in front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast, final

from torch import nn

from automl import elastic
from automl.space import Categorical, Guard, SizeLike, as_categorical, as_ordinal
from automl_graph.options import current_choice, require_choice, require_number
from automl_graph.return_probabilities import return_probabilities
from automl_graph.signal import Graph

__all__ = ["WalkEncoding"]

_ENCODINGS: Final = ("none", "rwse")


@final
class WalkEncoding(nn.Module):
    """``out = W x + b + U p`` with ``p`` the probabilities that a random walk is back after 1, 2, ..., ``steps`` steps.

    Blocks that read nodes in a row, such as ``graph.gmn``, do not see where a node is in the graph; this tells them.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        encoding: ``rwse``, or ``none``, which leaves a linear layer.
        steps: longest walk; fewer steps are the first numbers of more.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``nodes * (inp + steps) * out`` multiply-accumulates; once for a graph, ``steps * edges * nodes``, and with every call
        of an exported model, which also needs memory for ``nodes`` squared numbers.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Behrouz and Hashemi 2024, "Graph Mamba", arXiv:2402.08678, step 5 (optional); encoding: Dwivedi et al. 2022,
        arXiv:2110.07875.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> WalkEncoding(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        encoding: str | Sequence[str] = _ENCODINGS,
        steps: int | Sequence[int] = (4, 8),
    ) -> None:
        super().__init__()
        require_choice("encoding", encoding, _ENCODINGS)
        require_number("steps", steps, smallest=1)
        self.encoding: Final = as_categorical(encoding)
        self.steps: Final = cast(SizeLike, as_ordinal(steps))
        self.own = elastic.Linear(inp, out)
        self.walks = elastic.Linear(self.steps, out, bias=False)

    def conditions(self) -> Mapping[str, Guard]:
        """Parts that only some encodings use."""
        if not isinstance(self.encoding, Categorical):
            return {}
        guard = Guard(self.encoding, frozenset({"rwse"}))
        return {"steps": guard, "walks": guard}

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with encoded positions added to its features."""
        x = self.own(graph.x)
        if current_choice(self.encoding) == "rwse":
            x = x + self.walks(return_probabilities(graph.edge_index, graph.x.shape[0], int(self.steps), graph.x))
        return graph._replace(x=x)
