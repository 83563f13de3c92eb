"""Neural sheaf diffusion, discrete form: node features live in stalks, and edges learn how two stalks compare.

Bodnar, Di Giovanni, Chamberlain, Lio and Bronstein 2022, "Neural Sheaf Diffusion: A Topological Perspective on Heterophily and
Oversmoothing in GNNs", NeurIPS, arXiv:2202.04579.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.space import Categorical, Guard, Scalar, SizeLike, as_categorical, as_ordinal
from automl_graph.blocks.sheaf_options import check_sheaf_options
from automl_graph.options import current_choice, require_choice, require_number, require_share
from automl_graph.sheaf.laplacian import SheafLaplacian, build_laplacian
from automl_graph.sheaf.maps import RestrictionMaps
from automl_graph.sheaf.pairs import NodePairs, node_pairs
from automl_graph.sheaf.sizes import StackedSize, TableSize
from automl_graph.signal import Graph

__all__ = ["Sheaf", "StalkState", "fixed_laplacian"]


class StalkState(NamedTuple):
    """What flows from layer to layer.

    Args:
        x: signal, ``(nodes, stalk, channels)``.
        pairs: neighbouring nodes.
        sheaf: Laplacian of the learned stalk dimensions, once a layer has learned one.
    """

    x: Tensor
    pairs: NodePairs
    sheaf: SheafLaplacian | None = None


@final
class Sheaf(nn.Module):
    """Linear layer into stalks, diffusion layers ``X <- (1 + tanh eps) X - act(Delta (I x W1) X W2)``, linear layer out of them.

    ``Delta`` is the normalised Laplacian of a sheaf that each layer learns anew from the current features, or the first layer
    for all with ``linear``. A trivial sheaf gives graph convolution; others can keep neighbours apart, so depth need not
    make nodes alike, and neighbours of different classes do no harm.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        map_type: kind of restriction maps: ``scalar``, ``diag``, ``bundle`` (orthogonal), ``general``, or
            ``identity``, the trivial sheaf.
        stalk: learned dimension d of the stalks; at least 2 with ``bundle`` or ``general``.
        layers: number of diffusion layers.
        hidden: channels f of each stalk dimension.
        orth_map: parametrisation of orthogonal maps: ``householder``, ``cayley``, ``matrix_exp``, or ``euler`` for d of 2 and 3.
        edge_weights: learned symmetric weights of edges, with ``bundle``.
        linear: all layers use the sheaf of the first, so diffusion is linear up to the activation.
        plus_dim: one more stalk dimension with transport +1, which smooths.
        minus_dim: one more with transport -1, which sharpens.
        left_weights: mix stalk dimensions by W1.
        right_weights: mix channels by W2.
        second_linear: a second linear layer into the stalks.
        sparse_learner: learn maps from the sum over the stalk dimensions instead of from all of them.
        normalisation: ``augmented``, or ``degree`` with other maps than orthogonal ones.
        activation: in the layers: ``elu`` or ``identity``.
        map_activation: of the numbers of a map: ``tanh``, ``identity`` or ``elu``.
        input_dropout: share of input features dropped in training.
        dropout: share of stalk features dropped in training, on entry and again before each diffusion and each later learner
            of maps, but not from the state that a layer adds to.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        With D the stalk dimensions of all kinds: ``nodes * D * f * (inp + out)``, and in each layer
        ``nodes * D * f * (D + f + 2 m)`` for m numbers of a map and, for P undirected edges, ``4 P D f`` with numbers and
        ``4 P d^2 f + O(P d^3)`` with matrices.

    Raises:
        SpaceError: an option has a value that does not exist, or two do not fit each other.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Equation 4 and the released model. Deviations: edges are undirected and simple whatever is stored; the fixed dimensions
        are
        named by their transport; normalised blocks of ``general`` are not clamped and no noise is added, since the inverse root
        has an exact gradient; a smaller stalk is a prefix of a larger one.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> Sheaf(4, 3, map_type="bundle", stalk=2)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        map_type: str | Sequence[str] = ("diag", "bundle"),
        stalk: int | Sequence[int] = (2, 3),
        layers: int | Sequence[int] = (1, 2),
        hidden: int | Sequence[int] = (8, 16),
        orth_map: str | Sequence[str] = "householder",
        edge_weights: bool | Sequence[bool] = False,
        linear: bool | Sequence[bool] = False,
        plus_dim: bool | Sequence[bool] = False,
        minus_dim: bool | Sequence[bool] = False,
        left_weights: bool | Sequence[bool] = True,
        right_weights: bool | Sequence[bool] = True,
        second_linear: bool | Sequence[bool] = False,
        sparse_learner: bool = False,
        normalisation: str | Sequence[str] = "augmented",
        activation: str = "elu",
        map_activation: str = "tanh",
        input_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sheaf_options(map_type, stalk, orth_map, edge_weights, normalisation, map_activation)
        require_number("layers", layers, smallest=1)
        require_number("hidden", hidden, smallest=1)
        switches = {"linear": linear, "plus_dim": plus_dim, "minus_dim": minus_dim, "left_weights": left_weights}
        switches |= {"right_weights": right_weights, "second_linear": second_linear}
        for name, switch in (switches | {"sparse_learner": sparse_learner}).items():
            require_choice(name, switch, (True, False))
        require_choice("activation", activation, ("elu", "identity"))
        require_share("input_dropout", input_dropout)
        require_share("dropout", dropout)
        self.plus_dim: Final = _count(plus_dim)
        self.minus_dim: Final = _count(minus_dim)
        self.stalk: Final = as_ordinal(stalk)
        self.hidden: Final = as_ordinal(hidden)
        self.layers: Final = as_ordinal(layers)
        self.second_linear: Final = as_categorical(second_linear)
        learned, channels = cast(SizeLike, self.stalk), cast(SizeLike, self.hidden)
        self.dimensions: Final = StackedSize((self.plus_dim, self.minus_dim, learned))
        features = TableSize(self.dimensions, channels)
        self.drop_input = nn.Dropout(input_dropout)
        self.drop = nn.Dropout(dropout)
        self.enter = elastic.Linear(inp, features)
        if any(_listed(self.second_linear)):
            self.second = elastic.Linear(features, features)
        shared = {
            "linear": as_categorical(linear),
            "left_weights": as_categorical(left_weights),
            "right_weights": as_categorical(right_weights),
            "map_type": as_categorical(map_type),
            "orth_map": as_categorical(orth_map),
            "edge_weights": as_categorical(edge_weights),
            "normalisation": as_categorical(normalisation),
        }
        self.diffuse = elastic.Repeat(
            [
                _DiffusionLayer(
                    (self.plus_dim, self.minus_dim, learned),
                    channels,
                    first=position == 0,
                    sparse_learner=sparse_learner,
                    activation=activation,
                    map_activation=map_activation,
                    dropout=dropout,
                    **shared,
                )
                for position in range(max(_listed(self.layers)))
            ],
            cast(SizeLike, self.layers),
        )
        self.leave = elastic.Linear(features, out)

    def conditions(self) -> Mapping[str, Guard]:
        """The second linear layer exists only where it is chosen."""
        if isinstance(self.second_linear, Categorical):
            return {"second": Guard(self.second_linear, frozenset((True,)))}
        return {}

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with diffused features."""
        nodes = graph.x.shape[0]
        x = self.drop(F.elu(self.enter(self.drop_input(graph.x))))
        if current_choice(self.second_linear):
            x = self.second(x)
        pairs = node_pairs(graph.edge_index, nodes)
        state = StalkState(x.unflatten(1, (int(self.dimensions), int(self.hidden))), pairs)
        return graph._replace(x=self.leave(self.diffuse(state).x.flatten(1)))


@final
class _DiffusionLayer(nn.Module):
    """One step of diffusion on a sheaf.

    Args:
        parts: dimensions of a stalk: with transport +1, with transport -1, learned.
        channels: channels f of each dimension.
        first: learn a sheaf whatever ``linear`` says.
        linear: use the sheaf of the first layer.
        left_weights: whether W1 exists.
        right_weights: whether W2 exists.
        sparse_learner: see ``Sheaf``.
        activation: see ``Sheaf``.
        map_activation: see ``Sheaf``.
        dropout: see ``Sheaf``.
        map_type: see ``Sheaf``, like the rest.
        orth_map: see there.
        edge_weights: see there.
        normalisation: see there.
    """

    def __init__(
        self,
        parts: tuple[SizeLike, SizeLike, SizeLike],
        channels: SizeLike,
        *,
        first: bool,
        linear: Scalar | Categorical,
        left_weights: Scalar | Categorical,
        right_weights: Scalar | Categorical,
        sparse_learner: bool,
        activation: str,
        map_activation: str,
        dropout: float,
        map_type: Scalar | Categorical,
        orth_map: Scalar | Categorical,
        edge_weights: Scalar | Categorical,
        normalisation: Scalar | Categorical,
    ) -> None:
        super().__init__()
        self.plus_dim, self.minus_dim, self.stalk = parts
        self.linear: Final = False if first else linear
        self.left_weights: Final = left_weights
        self.right_weights: Final = right_weights
        self.sparse_learner: Final = sparse_learner
        self.activation: Final = activation
        self.drop = nn.Dropout(dropout)
        self.drop_maps = nn.Dropout(0.0 if first else dropout)
        dimensions = StackedSize(parts)
        if self.linear is not True:
            self.learn = RestrictionMaps(
                channels if sparse_learner else TableSize(dimensions, channels),
                self.stalk,
                map_type=map_type,
                orth_map=orth_map,
                edge_weights=edge_weights,
                normalisation=normalisation,
                activation=map_activation,
            )
        if any(_listed(left_weights)):
            self.mix_stalks = elastic.Linear(dimensions, dimensions, bias=False)
            nn.init.eye_(self.mix_stalks.weight)
        if any(_listed(right_weights)):
            self.mix_channels = elastic.Linear(channels, channels, bias=False)
            nn.init.orthogonal_(self.mix_channels.weight)
        self.eps = elastic.Linear(1, dimensions, bias=False)  # of the constant 1: one number for each stalk dimension
        nn.init.zeros_(self.eps.weight)

    def conditions(self) -> Mapping[str, Guard]:
        switches = {"mix_stalks": self.left_weights, "mix_channels": self.right_weights}
        guards = {
            name: Guard(switch, frozenset((True,)))
            for name, switch in switches.items()
            if isinstance(switch, Categorical)
        }
        if isinstance(self.linear, Categorical):
            guards["learn"] = Guard(self.linear, frozenset((False,)))
        return guards

    def forward(self, state: StalkState) -> StalkState:
        x, pairs, sheaf = state
        if not current_choice(self.linear):
            seen = self.drop_maps(x)
            sheaf = self.learn(seen.sum(1) if self.sparse_learner else seen.flatten(1), pairs)
        assert sheaf is not None
        y = self.drop(x)
        if current_choice(self.left_weights):
            y = self.mix_stalks(y.mT).mT
        if current_choice(self.right_weights):
            y = self.mix_channels(y)
        y = self._diffused(sheaf, y)
        if self.activation == "elu":
            y = F.elu(y)
        gate = 1 + torch.tanh(self.eps(x.new_ones(1)))
        return StalkState(gate[:, None] * x - y, pairs, sheaf)

    def _diffused(self, sheaf: SheafLaplacian, y: Tensor) -> Tensor:
        transports = [1.0] * int(self.plus_dim) + [-1.0] * int(self.minus_dim)
        if not transports:
            return sheaf.apply(y)
        fixed = fixed_laplacian(sheaf.pairs, transports, y.dtype)
        count = len(transports)
        return torch.cat([fixed.apply(y[:, :count]), sheaf.apply(y[:, count:])], dim=1)


def fixed_laplacian(pairs: NodePairs, transports: Sequence[float], dtype: torch.dtype) -> SheafLaplacian:
    """Returns the Laplacian of stalk dimensions with a fixed transport along every edge, normalised by degree plus 1.

    Args:
        pairs: neighbouring nodes.
        transports: for each dimension +1, the trivial sheaf ``D - A``, or -1, ``D + A``.
        dtype: of the maps.
    """
    ones = torch.ones_like(pairs.first, dtype=dtype)[:, None].expand(-1, len(transports))
    signs = ones * torch.tensor(transports, dtype=dtype, device=ones.device)
    return build_laplacian(pairs, ones, signs, normalisation="degree")


def _count(option: bool | Sequence[bool]) -> SizeLike:
    """0 or 1 dimensions, or a choice of them."""
    chosen = [option] if isinstance(option, bool) else option
    return cast(SizeLike, as_ordinal(sorted({int(one) for one in chosen})))


def _listed(option: object) -> list[int]:
    choices = getattr(option, "choices", None)
    return [cast(int, option)] if choices is None else list(choices)
