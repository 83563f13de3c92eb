"""Neural sheaf diffusion in continuous time: the same equation, integrated instead of stacked.

Bodnar et al. 2022, arXiv:2202.04579, equation 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.errors import SpaceError
from automl.space import SizeLike, as_categorical, as_ordinal
from automl_graph.blocks.sheaf_options import check_sheaf_options
from automl_graph.options import choices_of, current_choice, require_choice, require_number, require_share
from automl_graph.sheaf.laplacian import SheafLaplacian
from automl_graph.sheaf.maps import RestrictionMaps
from automl_graph.sheaf.pairs import NodePairs, node_pairs
from automl_graph.sheaf.sizes import TableSize
from automl_graph.signal import Graph

__all__ = ["SheafODE", "Solver", "integrate"]

Solver = Literal["euler", "rk4"]
_SOLVERS: Final = ("euler", "rk4")


@final
class SheafODE(nn.Module):
    """Linear layer into stalks, ``dX/dt = act(-Delta(X) (I x W1) X W2)`` from 0 to T, linear layer out of them.

    One learner and one pair of weights serve all times, so parameters do not grow with T or with the number of steps.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        time: T, the end of the integration.
        steps: steps of the solver.
        solver: ``euler`` or ``rk4``, both with fixed steps.
        map_type: kind of restriction maps; see ``Sheaf``, like the following ones.
        stalk: see there.
        hidden: see there.
        orth_map: see there.
        edge_weights: see there.
        normalisation: see there.
        linear: learn the sheaf once, from X(0), instead of at every evaluation.
        activation: ``elu`` or ``identity``.
        map_activation: see there.
        input_dropout: see there.
        dropout: see there.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        That of a layer of ``Sheaf`` for each evaluation: one for each step with ``euler``, four with ``rk4``.

    Raises:
        SpaceError: an option has a value that does not exist, or two do not fit each other.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Equation 3. Deviation: solvers have fixed steps, so that a network does the same work for any input and can be exported;
        there is no adaptive solver and no adjoint.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> SheafODE(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        time: float | Sequence[float] = (1.0, 3.0),
        steps: int | Sequence[int] = 2,
        solver: str | Sequence[str] = "euler",
        map_type: str | Sequence[str] = ("diag", "bundle"),
        stalk: int | Sequence[int] = (2, 3),
        hidden: int | Sequence[int] = (8, 16),
        orth_map: str | Sequence[str] = "householder",
        edge_weights: bool | Sequence[bool] = False,
        normalisation: str | Sequence[str] = "augmented",
        linear: bool | Sequence[bool] = True,
        activation: str = "elu",
        map_activation: str = "tanh",
        input_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sheaf_options(map_type, stalk, orth_map, edge_weights, normalisation, map_activation)
        require_number("steps", steps, smallest=1)
        require_number("hidden", hidden, smallest=1)
        require_choice("solver", solver, _SOLVERS)
        require_choice("linear", linear, (True, False))
        require_choice("activation", activation, ("elu", "identity"))
        require_share("input_dropout", input_dropout)
        require_share("dropout", dropout)
        for end in choices_of(time):
            if isinstance(end, bool) or not isinstance(end, int | float) or not end > 0:
                raise SpaceError(f"time: {end!r} is not a number above 0.")
        self.time: Final = as_ordinal(time)
        self.steps: Final = as_ordinal(steps)
        self.solver: Final = as_categorical(solver)
        self.linear: Final = as_categorical(linear)
        self.activation: Final = activation
        self.stalk: Final = as_ordinal(stalk)
        self.hidden: Final = as_ordinal(hidden)
        dimensions, channels = cast(SizeLike, self.stalk), cast(SizeLike, self.hidden)
        features = TableSize(dimensions, channels)
        self.drop_input = nn.Dropout(input_dropout)
        self.drop = nn.Dropout(dropout)
        self.enter = elastic.Linear(inp, features)
        self.learn = RestrictionMaps(
            features,
            dimensions,
            map_type=as_categorical(map_type),
            orth_map=as_categorical(orth_map),
            edge_weights=as_categorical(edge_weights),
            normalisation=as_categorical(normalisation),
            activation=map_activation,
        )
        self.mix_stalks = elastic.Linear(dimensions, dimensions, bias=False)
        self.mix_channels = elastic.Linear(channels, channels, bias=False)
        nn.init.eye_(self.mix_stalks.weight)
        nn.init.orthogonal_(self.mix_channels.weight)
        self.leave = elastic.Linear(features, out)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with diffused features."""
        pairs = node_pairs(graph.edge_index, graph.x.shape[0])
        x = self.drop(F.elu(self.enter(self.drop_input(graph.x))))
        x = x.unflatten(1, (int(self.stalk), int(self.hidden)))
        start = self._sheaf(x, pairs) if current_choice(self.linear) else None

        def flow(x: Tensor) -> Tensor:
            sheaf = self._sheaf(x, pairs) if start is None else start
            change = -sheaf.apply(self.mix_channels(self.mix_stalks(x.mT).mT))
            return F.elu(change) if self.activation == "elu" else change

        x = integrate(flow, x, float(self.time), int(self.steps), current_choice(self.solver))
        return graph._replace(x=self.leave(x.flatten(1)))

    def _sheaf(self, x: Tensor, pairs: NodePairs) -> SheafLaplacian:
        laplacian: SheafLaplacian = self.learn(x.flatten(1), pairs)
        return laplacian


def integrate(flow: Callable[[Tensor], Tensor], x: Tensor, time: float, steps: int, solver: Solver) -> Tensor:
    """Returns the solution of ``dx/dt = flow(x)`` at ``time``.

    Args:
        flow: maps a state to its derivative, in the same shape.
        x: state at time 0.
        time: end of the integration.
        steps: number of equal steps.
        solver: ``euler``, of order 1, or ``rk4``, the classical Runge-Kutta method of order 4.
    """
    step = time / steps
    for _ in range(steps):
        first = flow(x)
        if solver == "euler":
            x = torch.add(x, first, alpha=step)
            continue
        second = flow(x + step / 2 * first)
        third = flow(x + step / 2 * second)
        fourth = flow(x + step * third)
        x = x + step / 6 * (first + 2 * second + 2 * third + fourth)
    return x
