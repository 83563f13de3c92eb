"""Sheaf diffusion on the graph of users and items.

Purificato, Cassara, Siciliano, Lio and Silvestri 2023, "Sheaf4Rec: Sheaf Neural Networks for Graph-based Recommender Systems",
arXiv:2304.09097.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, cast, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.elastic.validation import check_divisible
from automl.errors import DataError, SpaceError
from automl.space import Categorical, Guard, Number, Ordinal, Scalar, SizeLike, as_categorical, as_ordinal
from automl_graph.blocks.sheaf_options import check_sheaf_options
from automl_graph.options import choices_of, current_choice, require_choice, require_number
from automl_graph.recommend.readout import READOUTS, adapter, read_layers
from automl_graph.recommend.signals import Embeddings
from automl_graph.sheaf.laplacian import SheafLaplacian
from automl_graph.sheaf.maps import RestrictionMaps
from automl_graph.sheaf.pairs import NodePairs, node_pairs

__all__ = ["Sheaf4Rec", "SheafLayerState"]


class SheafLayerState(NamedTuple):
    """What flows from layer to layer.

    Args:
        layers: vectors after 0, 1, ... layers, each ``(nodes, width)``.
        pairs: users and items that interacted.
        sheaf: Laplacian of the last layer.
    """

    layers: tuple[Tensor, ...]
    pairs: NodePairs
    sheaf: SheafLaplacian | None = None


@final
class Sheaf4Rec(nn.Module):
    """``X_{t+1} = X_t - step * Delta(X_t) (X_t W_t + b_t)``, then a readout over all layers.

    A vector of a node is a stalk of dimension d with ``width / d`` channels. Every edge learns from the vectors of its user
    and its
    item how to compare them, so what counts of a user depends on the item.

    Args:
        inp: width of the vectors, in features.
        out: width of the result; a linear layer leads there where the two can differ.
        layers: number of layers, T.
        map_type: ``scalar`` (released code), ``diag``, ``bundle``, ``general``, or ``identity``: the trivial sheaf, without
            learning.
        stalk: dimension d of a stalk; must divide all widths.
        readout: ``concat`` (released code), ``mean`` (its first version), ``last`` or ``sum``.
        step: length of a step.
        share_maps: all layers use the sheaf of the first.
        orth_map: parametrisation of orthogonal maps; see ``Sheaf``.
        edge_weights: see ``Sheaf``.

    Shape:
        x: ``(nodes, inp)``. Returns ``(nodes, out)``; scored vectors have ``(T + 1) * out`` features with ``concat``.

    Cost:
        In each layer, for P interactions, c channels and m numbers of a map: ``nodes * out * (c + 2 m)`` and ``4 P d c``, with
        matrices
        ``4 P d^2 c``.

    Raises:
        SpaceError: an option has a value that does not exist, or two do not fit each other.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Section 4 and the released code (scalar maps, no activation, augmented normalisation). Deviation: stalks of more than one
        dimension, as in the text.

    Example:
        >>> x, edges = torch.randn(5, 4), torch.tensor([[1, 4], [4, 1]])
        >>> Sheaf4Rec(4, 4, layers=2)(Embeddings(x, edges, torch.tensor([0]), x)).read.shape
        torch.Size([5, 12])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        layers: int | Sequence[int] = (1, 2, 3),
        map_type: str | Sequence[str] = ("scalar", "identity"),
        stalk: int | Sequence[int] = 1,
        readout: str | Sequence[str] = "concat",
        step: float | Sequence[float] = 1.0,
        share_maps: bool | Sequence[bool] = False,
        orth_map: str | Sequence[str] = "householder",
        edge_weights: bool | Sequence[bool] = False,
    ) -> None:
        super().__init__()
        check_sheaf_options(map_type, stalk, orth_map, edge_weights, "augmented", "tanh")
        require_number("layers", layers, smallest=1)
        require_choice("readout", readout, READOUTS)
        require_choice("share_maps", share_maps, (True, False))
        for number in choices_of(step):
            if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:
                raise SpaceError(f"step: {number!r} is not a number above 0.")
        self.layers: Final = as_ordinal(layers)
        self.readout: Final = as_categorical(readout)
        self.stalk: Final = as_ordinal(stalk)
        dimension = cast(SizeLike, self.stalk)
        check_divisible("stalk", out, dimension)
        self.adapt = adapter(inp, out)
        shared = {
            "map_type": as_categorical(map_type),
            "share_maps": as_categorical(share_maps),
            "orth_map": as_categorical(orth_map),
            "edge_weights": as_categorical(edge_weights),
        }
        length = as_ordinal(step)
        self.diffuse = elastic.Repeat(
            [
                _SheafLayer(out, dimension, first=position == 0, step=length, **shared)
                for position in range(max(choices_of(layers)))
            ],
            cast(SizeLike, self.layers),
        )

    def forward(self, payload: Embeddings) -> Embeddings:
        """Returns the diffused vectors."""
        x = self.adapt(payload.x)
        states = self.diffuse(SheafLayerState((x,), node_pairs(payload.edge_index, x.shape[0]))).layers
        return payload._replace(x=states[-1], read=read_layers(states, current_choice(self.readout)))

    def embedding_through_edge(self, payload: Embeddings, nodes: Tensor, neighbours: Tensor) -> Tensor:
        """Returns ``F_ve x_v``: the vector of a node as it passes the edge to one of its neighbours, for people to look at.

        ``F`` is the map of the last layer, normalised as diffusion uses it, and ``x_v`` what enters that layer. A node has
        another vector on each of its edges, which is what a sheaf adds to a graph.

        Args:
            payload: as for ``forward``.
            nodes: node of each edge that is asked for, ``(edges,)``.
            neighbours: its other end, ``(edges,)``.

        Returns:
            ``(edges, out)``, in the order of the features of a layer.

        Raises:
            DataError: two nodes did not interact; names them.
        """
        x = self.adapt(payload.x)
        state = self.diffuse(SheafLayerState((x,), node_pairs(payload.edge_index, x.shape[0])))
        assert state.sheaf is not None
        place = _places(state.pairs, nodes, neighbours)
        stalks = state.layers[-2].unflatten(1, (-1, int(self.stalk))).mT
        at_first, at_second = state.sheaf.through_edges(stalks)
        is_first = (state.pairs.first[place] == nodes)[:, None, None]
        return torch.where(is_first, at_first[place], at_second[place]).mT.flatten(1)


def _places(pairs: NodePairs, nodes: Tensor, neighbours: Tensor) -> Tensor:
    """Position of each edge among the sorted pairs."""
    known = pairs.first * pairs.nodes + pairs.second
    wanted = torch.minimum(nodes, neighbours) * pairs.nodes + torch.maximum(nodes, neighbours)
    missing = (~torch.isin(wanted, known)).nonzero().flatten()
    if len(missing):
        first = int(missing[0])
        raise DataError(
            f"nodes {int(nodes[first])} and {int(neighbours[first])} did not interact, so no edge joins them."
        )
    return torch.searchsorted(known, wanted)


@final
class _SheafLayer(nn.Module):
    """One step of diffusion; the same options as ``Sheaf4Rec``."""

    def __init__(
        self,
        width: SizeLike,
        stalk: SizeLike,
        *,
        first: bool,
        step: Number | Ordinal,
        map_type: Scalar | Categorical,
        share_maps: Scalar | Categorical,
        orth_map: Scalar | Categorical,
        edge_weights: Scalar | Categorical,
    ) -> None:
        super().__init__()
        channels = width // stalk  # type: ignore[operator]  # a number has stalks of numbers: "check_divisible"
        self.channels: Final = channels
        self.stalk: Final = stalk
        self.step: Final = step
        self.share_maps: Final = False if first else share_maps
        if self.share_maps is not True:
            self.learn = RestrictionMaps(width, stalk, map_type=map_type, orth_map=orth_map, edge_weights=edge_weights)
        self.mix = elastic.Linear(channels, channels)

    def conditions(self) -> Mapping[str, Guard]:
        if isinstance(self.share_maps, Categorical):
            return {"learn": Guard(self.share_maps, frozenset((False,)))}
        return {}

    def forward(self, state: SheafLayerState) -> SheafLayerState:
        layers, pairs, sheaf = state
        x = layers[-1]
        if not current_choice(self.share_maps):
            sheaf = self.learn(x, pairs)
        assert sheaf is not None
        # channel after channel: fewer channels are a prefix of the width
        stalks = torch.unflatten(x, 1, (int(self.channels), int(self.stalk))).mT
        change = sheaf.apply(self.mix(stalks)).mT.flatten(1)
        return SheafLayerState((*layers, x - float(self.step) * change), pairs, sheaf)
