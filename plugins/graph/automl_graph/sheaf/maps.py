"""Restriction maps learned from the features of both ends of an edge.

The map of node v towards u is ``act(V [x_v ; x_u])``, not symmetric in its arguments: exchanging them gives the map of u. The
matrix V is held as its two halves, which are applied to nodes, not to edges: the same sum at a fraction of the cost.

Source: Bodnar et al. 2022, arXiv:2202.04579, section 3.2 and appendix on sheaf learners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.space import Categorical, Guard, Ordinal, Scalar, SizeLike
from automl_graph.options import current_choice
from automl_graph.sheaf.laplacian import SheafLaplacian, build_laplacian
from automl_graph.sheaf.orthogonal import orthogonal
from automl_graph.sheaf.pairs import NodePairs
from automl_graph.sheaf.sizes import full_triangle, square, strict_triangle

__all__ = ["MAP_ACTIVATIONS", "MAP_TYPES", "RestrictionMaps"]

MAP_TYPES: Final = ("scalar", "diag", "bundle", "general", "identity")
MAP_ACTIVATIONS: Final = ("tanh", "identity", "elu")
_READ_TRIANGLE: Final = ("householder", "euler")


@final
class _PairLinear(nn.Module):
    """``V [x_v ; x_u]`` for both orders of every pair, without a bias: ``(2, pairs, out)``."""

    def __init__(self, inp: SizeLike, out: SizeLike) -> None:
        super().__init__()
        self.own = elastic.Linear(inp, out, bias=False)
        self.other = elastic.Linear(inp, out, bias=False)

    def forward(self, x: Tensor, pairs: NodePairs) -> Tensor:
        own, other = self.own(x), self.other(x)
        return torch.stack([own[pairs.first] + other[pairs.second], own[pairs.second] + other[pairs.first]])


@final
class RestrictionMaps(nn.Module):
    """Learns a sheaf and returns its normalised Laplacian.

    Args:
        inp: width of the features that maps are learned from.
        stalk: dimension d of the stalks.
        map_type: ``scalar``, one number for each end of an edge; ``diag``, d numbers; ``bundle``, an orthogonal matrix;
            ``general``,
            any matrix; ``identity``, the trivial sheaf, which learns nothing.
        orth_map: parametrisation of orthogonal matrices; see ``orthogonal``.
        edge_weights: multiply both orthogonal maps of a pair by a learned weight between 0 and 1, the same for both.
        normalisation: ``augmented`` or ``degree``; orthogonal maps always have the former.
        activation: applied to the numbers of a map: ``tanh``, ``identity`` or ``elu``.

    Shape:
        x: ``(nodes, inp)``. Returns a ``SheafLaplacian`` with stalks of d.

    Cost:
        ``2 * nodes * inp`` multiply-accumulates for each number of a map, and ``d^3`` for each end of an edge with full maps.
    """

    def __init__(
        self,
        inp: SizeLike,
        stalk: SizeLike,
        *,
        map_type: Scalar | Categorical,
        orth_map: Scalar | Categorical = "householder",
        edge_weights: Scalar | Categorical = False,
        normalisation: Scalar | Categorical = "augmented",
        activation: str = "tanh",
    ) -> None:
        super().__init__()
        kinds = _choices(map_type)
        self.map_type: Final = map_type
        self.stalk: Final = stalk
        self.activation: Final = activation
        # what the types in question do not read is no attribute, else it would count as searched
        bundles, others = "bundle" in kinds, kinds != ["bundle"]
        self.orth_map: Final = orth_map if bundles else "householder"
        self.edge_weights: Final = edge_weights if bundles else False
        self.normalisation: Final = normalisation if others else "augmented"
        if "scalar" in kinds:
            self.scalar = _PairLinear(inp, 1)
        if "diag" in kinds:
            self.diag = _PairLinear(inp, stalk)
        if bundles:
            self.bundle = _BundleNumbers(inp, stalk, self.orth_map, self.edge_weights)
        if "general" in kinds:
            self.general = _PairLinear(inp, square(stalk))

    def conditions(self) -> Mapping[str, Guard]:
        """Learners and options that only some types of maps use."""
        if not isinstance(self.map_type, Categorical):
            return {}
        kinds = self.map_type.choices
        guards = {kind: Guard(self.map_type, frozenset((kind,))) for kind in kinds}
        guards |= dict.fromkeys(("orth_map", "edge_weights"), Guard(self.map_type, frozenset(("bundle",))))
        guards["normalisation"] = Guard(self.map_type, frozenset(k for k in kinds if k != "bundle"))
        return {str(name): guard for name, guard in guards.items()}

    def forward(self, x: Tensor, pairs: NodePairs) -> SheafLaplacian:
        """Returns the normalised Laplacian of the learned sheaf."""
        kind = current_choice(self.map_type)
        if kind == "bundle":
            maps, weight = self.bundle(x, pairs, self._activate)
            return build_laplacian(pairs, maps[0], maps[1], orthogonal_weight=weight)
        stalk = int(self.stalk)
        if kind == "identity":
            ones = torch.ones_like(pairs.first, dtype=x.dtype)[:, None].expand(-1, stalk)
            return build_laplacian(pairs, ones, ones, normalisation=current_choice(self.normalisation))
        maps = self._activate(getattr(self, kind)(x, pairs))
        if kind == "scalar":
            maps = maps.expand(-1, -1, stalk)
        elif kind == "general":
            maps = _matrices(maps, stalk)
        return build_laplacian(pairs, maps[0], maps[1], normalisation=current_choice(self.normalisation))

    def _activate(self, numbers: Tensor) -> Tensor:
        if self.activation == "identity":
            return numbers
        return torch.tanh(numbers) if self.activation == "tanh" else F.elu(numbers)


@final
class _BundleNumbers(nn.Module):
    """Orthogonal maps, and the weights of edges."""

    def __init__(
        self, inp: SizeLike, stalk: SizeLike, orth_map: Scalar | Categorical, edge_weights: Scalar | Categorical
    ) -> None:
        super().__init__()
        self.stalk: Final = stalk
        self.orth_map: Final = orth_map
        self.edge_weights: Final = edge_weights
        kinds = _choices(orth_map)
        if any(kind in _READ_TRIANGLE for kind in kinds):
            self.strict = _PairLinear(inp, strict_triangle(stalk))
        if any(kind not in _READ_TRIANGLE for kind in kinds):
            self.full = _PairLinear(inp, full_triangle(stalk))
        if any(_choices(edge_weights)):
            self.weigh = _PairLinear(inp, 1)

    def conditions(self) -> Mapping[str, Guard]:
        guards: dict[str, Guard] = {}
        if isinstance(self.orth_map, Categorical):
            kinds = self.orth_map.choices
            guards["strict"] = Guard(self.orth_map, frozenset(k for k in kinds if k in _READ_TRIANGLE))
            guards["full"] = Guard(self.orth_map, frozenset(k for k in kinds if k not in _READ_TRIANGLE))
        if isinstance(self.edge_weights, Categorical):
            guards["weigh"] = Guard(self.edge_weights, frozenset((True,)))
        return guards

    def forward(self, x: Tensor, pairs: NodePairs, activate: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        kind, stalk = current_choice(self.orth_map), int(self.stalk)
        learner = self.strict if kind in _READ_TRIANGLE else self.full
        maps = orthogonal(activate(learner(x, pairs)), kind, stalk)
        if current_choice(self.edge_weights):
            weight = torch.sigmoid(self.weigh(x, pairs)).prod(0).squeeze(-1)
        else:
            weight = torch.ones_like(maps[0, :, 0, 0])
        return maps, weight


def _choices(option: Scalar | Categorical | Ordinal) -> list[Scalar]:
    return list(option.choices) if isinstance(option, Categorical | Ordinal) else [option]


def _matrices(numbers: Tensor, stalk: int) -> Tensor:
    """Fills matrices shell by shell, so that a small one has a prefix of the numbers of a large one."""
    positions = [
        max(row, column) ** 2 + (row if column >= row else 2 * row - column)
        for row in range(stalk)
        for column in range(stalk)
    ]
    return torch.unflatten(numbers[..., positions], -1, (stalk, stalk))
