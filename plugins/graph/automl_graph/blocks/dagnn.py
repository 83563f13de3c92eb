"""Deep adaptive graph neural network: transform once, propagate often, weigh the hops.

Liu, Gao and Ji 2020, "Towards Deeper Graph Neural Networks", arXiv:2007.09296. Parameters do not grow with the number of
hops, and the hops of a shallow network are a prefix of those of a deep one, so depth is elastic without any slicing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, cast, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import Guard, Ordinal, SizeLike, as_categorical, as_ordinal
from automl_graph.blocks.perceptron import MultilayerPerceptron
from automl_graph.options import choices_of, current_choice, require_choice, require_number, require_share
from automl_graph.propagation import Normalisation, adjacency
from automl_graph.signal import Graph

__all__ = ["DAGNN", "DAGNNHead", "Gate", "weigh_hops"]

Gate = Literal["sigmoid", "softmax", "uniform", "last"]
_GATES: Final = ("sigmoid", "softmax", "uniform", "last")
_SCORED: Final = ("sigmoid", "softmax")
_NORMS: Final = ("sym", "row")


@final
class DAGNN(nn.Module):
    """Multilayer perceptron, then ``hops`` propagations without weights, then a weighted sum over all hops.

    ``Z = MLP(X)``, ``H_0 = Z``, ``H_l = Â H_{l-1}``, ``out = sum_l s_l * H_l`` with ``s_l = sigmoid(H_l w + b)``. The
    projection ``w, b`` is shared by all nodes and hops. Scores are independent: they need not sum to one over the hops.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features; propagation takes place in this width.
        hops: number of propagations, K in the paper.
        hidden: width between the layers of the perceptron, in features.
        mlp_layers: linear layers of the perceptron.
        dropout: share of features dropped in training, in the perceptron only.
        norm: normalisation of the adjacency matrix: ``sym`` (paper) or ``row``.
        gate: ``sigmoid`` (paper); ``softmax`` over the hops; ``uniform``, their mean; ``last``, plain propagation.
        self_loops: whether every node is its own neighbour (paper).
        batch_norm: normalise hidden features over the nodes; the large-graph form of the reference code.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        The perceptron, plus ``(hops * (edges + nodes) + (hops + 1) * nodes) * out`` multiply-accumulates. Training keeps
        ``(hops + 1) * nodes * out`` values; inference keeps three hops, with the gate ``softmax`` all.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The perceptron as ``nn.Sequential``, the projection as ``nn.Linear`` if the gate has one, all else as numbers.

    Source:
        Equations 8 to 11. Deviations: the projection has a bias, as in the reference code; ``row``, the other gates and
        ``self_loops=False`` are additions for comparison. With no hops nothing is left to weigh, so gate, normalisation
        and self loops are no choices then: the sigmoid gate stays where it is a choice, the others are the identity.

    Example:
        >>> block = DAGNN(4, 3, hops=[2, 5], hidden=8)
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> block(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        hops: int | Sequence[int] = (1, 2, 5, 10),
        hidden: int | Sequence[int] = (32, 64),
        mlp_layers: int | Sequence[int] = (1, 2),
        dropout: float = 0.5,
        norm: str | Sequence[str] = "sym",
        gate: str | Sequence[str] = "sigmoid",
        self_loops: bool | Sequence[bool] = True,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        require_number("hops", hops, smallest=0)
        require_number("hidden", hidden, smallest=1)
        require_number("mlp_layers", mlp_layers, smallest=1)
        require_share("dropout", dropout)
        require_choice("norm", norm, _NORMS)
        require_choice("gate", gate, _GATES)
        require_choice("self_loops", self_loops, (True, False))
        self.hops: Final = as_ordinal(hops)
        self.mlp_layers: Final = as_ordinal(mlp_layers)
        # Without hidden layers their width is nothing to choose.
        self.hidden: Final = max(choices_of(hidden)) if self.mlp_layers == 1 else as_ordinal(hidden)
        self.norm: Final = as_categorical(norm)
        self.gate: Final = as_categorical(gate)
        self.self_loops: Final = as_categorical(self_loops)
        gates = choices_of(gate)
        self._gate_without_hops: Final[Gate] = "sigmoid" if "sigmoid" in gates else "last"
        self.transform = MultilayerPerceptron(
            inp,
            out,
            hidden=cast(SizeLike, self.hidden),
            layers=self.mlp_layers,
            dropout=dropout,
            batch_norm=batch_norm,
        )
        self.projection = elastic.Linear(out, 1) if any(kind in _SCORED for kind in gates) else None

    def conditions(self) -> Mapping[str, Guard]:
        """Dimensions that only some depths use."""
        guards: dict[str, Guard] = {}
        if isinstance(self.mlp_layers, Ordinal):
            guards["hidden"] = Guard.above(self.mlp_layers, 1)
        if isinstance(self.hops, Ordinal):
            guards |= dict.fromkeys(("norm", "gate", "self_loops"), Guard.above(self.hops, 0))
        return guards

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with adaptively propagated features."""
        return _run(graph, self.transform, self.projection, self._setting())

    def specialise(self) -> nn.Module:
        """Returns the active network as plain layers and numbers."""
        setting = self._setting()
        scored = self.projection if setting.gate in _SCORED else None
        projection = None if scored is None else elastic.specialise(scored)
        return _FixedDAGNN(elastic.specialise(self.transform), projection, setting)

    def _setting(self) -> _Setting:
        hops = int(self.hops)
        return _Setting(
            hops=hops,
            norm=current_choice(self.norm),
            gate=current_choice(self.gate) if hops else self._gate_without_hops,
            self_loops=current_choice(self.self_loops),
        )


@final
class DAGNNHead(nn.Module):
    """The whole network of the paper as a head: class scores are propagated and weighed; no softmax follows.

    Args:
        inp: width of the input, in features.
        out: number of classes.
        hops: as for ``DAGNN``, like all further options.
        hidden: see there.
        mlp_layers: see there.
        dropout: see there.
        norm: see there.
        gate: see there.
        self_loops: see there.
        batch_norm: see there.

    Shape:
        x: ``(nodes, inp)``. Returns logits ``(nodes, out)``.

    Source:
        As for ``DAGNN``.

    Example:
        >>> cora = DAGNNHead(1433, 7, hops=10, hidden=64, mlp_layers=2)
        >>> sum(p.numel() for p in cora.parameters())
        92239
    """

    def __init__(
        self,
        inp: SizeLike,
        out: int,
        *,
        hops: int | Sequence[int] = (1, 2, 5, 10),
        hidden: int | Sequence[int] = (32, 64),
        mlp_layers: int | Sequence[int] = (1, 2),
        dropout: float = 0.5,
        norm: str | Sequence[str] = "sym",
        gate: str | Sequence[str] = "sigmoid",
        self_loops: bool | Sequence[bool] = True,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.block = DAGNN(
            inp,
            out,
            hops=hops,
            hidden=hidden,
            mlp_layers=mlp_layers,
            dropout=dropout,
            norm=norm,
            gate=gate,
            self_loops=self_loops,
            batch_norm=batch_norm,
        )

    def forward(self, graph: Graph) -> Tensor:
        """Returns the logits of all nodes."""
        logits: Tensor = self.block(graph).x
        return logits


class _Setting(NamedTuple):
    hops: int
    norm: Normalisation
    gate: Gate
    self_loops: bool


@final
class _FixedDAGNN(nn.Module):
    """What ``DAGNN`` is specialised to."""

    def __init__(self, transform: nn.Module, projection: nn.Module | None, setting: _Setting) -> None:
        super().__init__()
        self.transform = transform
        self.projection = projection
        self.setting: Final = setting

    def forward(self, graph: Graph) -> Graph:
        return _run(graph, self.transform, self.projection, self.setting)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.setting._asdict().items())


def weigh_hops(hops: Iterable[Tensor], gate: Gate, projection: nn.Module | None) -> Tensor:
    """Returns the weighted sum over the hops.

    Only the gate ``softmax`` needs all hops at once; for the others, those of the past can be forgotten.

    Args:
        hops: features after 0, 1, ... propagations, each ``(nodes, width)``; at least one.
        gate: how hops are weighed; see ``DAGNN``.
        projection: maps ``(nodes, width)`` to one score ``(nodes, 1)``; needed by the gates that score hops.

    Returns:
        ``(nodes, width)``.
    """
    if gate == "last":
        return deque(hops, maxlen=1).pop()
    if gate == "uniform":
        return _mean(hops)
    assert projection is not None
    if gate == "sigmoid":
        return _weighted_sum((torch.sigmoid(projection(features)), features) for features in hops)
    known = list(hops)
    weights = torch.softmax(torch.cat([projection(features) for features in known], dim=1), dim=1)
    return _weighted_sum((weights[:, hop : hop + 1], features) for hop, features in enumerate(known))


def _run(graph: Graph, transform: nn.Module, projection: nn.Module | None, setting: _Setting) -> Graph:
    hops = _propagations(graph.edge_index, transform(graph.x), setting)
    return graph._replace(x=weigh_hops(hops, setting.gate, projection))


def _propagations(edge_index: Tensor, features: Tensor, setting: _Setting) -> Iterator[Tensor]:
    yield features
    if setting.hops:
        matrix = adjacency(edge_index, features.shape[0])
        for _ in range(setting.hops):
            features = matrix.propagate(features, norm=setting.norm, self_loops=setting.self_loops)
            yield features


def _weighted_sum(terms: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
    weight, features = next(terms)
    total = weight * features
    for weight, features in terms:
        total = torch.addcmul(total, weight, features)
    return total


def _mean(hops: Iterable[Tensor]) -> Tensor:
    terms = iter(hops)
    total, count = next(terms), 1
    for features in terms:
        total = total + features
        count += 1
    return total / count
