"""Contrastive training with adaptive edge removal, around any other strategy.

Source:
    Li et al. 2025, arXiv:2501.00773, first version; see ``edge_removal``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final, final

import torch
from torch import nn

from automl import elastic
from automl.errors import ConfigError, did_you_mean
from automl.space import SizeLike
from automl.supernet import Supernet
from automl.tasks import Batch
from automl.training import Sandwich, SinglePath, StepContext, Strategy, TrainingConfig
from automl_graph.pyg import scatter
from automl_graph.readout import graph_of_nodes
from automl_graph.signal import Graph, GraphFormat, select_edges
from automl_graph.strategies.edge_removal import EdgeScorer, draw_view, drop_probabilities, info_nce

__all__ = ["GraphContrastive"]

_BASES: Final = {"single-path": SinglePath, "sandwich": Sandwich}
_PROJECTED: Final = 32


@final
class GraphContrastive(Strategy):
    """Trains as another strategy does, then one more random subnetwork on the batch and on a view with fewer edges.

    ``L = alpha * L_task(G') + beta * InfoNCE(proj(h_G), proj(h_G')) + gamma * |mean(p) - drop|`` with ``h`` the mean of the
    features that enter the head. Any backbone between graph and head will do. A step costs two passes more than that of the base.

    Args:
        base: strategy of the main loss, ``single-path`` or ``sandwich``.
        alpha: weight of the task's loss on the view.
        beta: weight of the contrastive loss; 0 leaves it out.
        gamma: weight of the pull of the mean probability towards ``drop``.
        drop: mean probability of an edge to be removed.
        largest: largest probability.
        temperature: of the contrastive loss.

    Raises:
        ConfigError: an option is out of its range.
    """

    name: ClassVar[str] = "graph-contrastive"

    def __init__(
        self,
        *,
        base: str = "single-path",
        alpha: float = 0.5,
        beta: float = 0.1,
        gamma: float = 0.1,
        drop: float = 0.2,
        largest: float = 0.7,
        temperature: float = 0.2,
    ) -> None:
        if base not in _BASES:
            raise ConfigError(f"base: unknown strategy {base!r}.{did_you_mean(base, _BASES)}")
        for option, value in {"alpha": alpha, "beta": beta, "gamma": gamma}.items():
            if not value >= 0:
                raise ConfigError(f"{option}: {value!r} is negative; expected a weight of at least 0.")
        if not 0 <= drop <= largest < 1:
            raise ConfigError(f"drop {drop!r}, largest {largest!r}: expected 0 <= drop <= largest < 1.")
        if not temperature > 0:
            raise ConfigError(f"temperature: {temperature!r} is not positive.")
        self._base: Final[Strategy] = _BASES[base]()
        self._options: Final = {
            "base": base,
            "alpha": alpha,
            "beta": beta,
            "gamma": gamma,
            "drop": drop,
            "largest": largest,
            "temperature": temperature,
        }
        self._alpha: Final = alpha
        self._beta: Final = beta
        self._gamma: Final = gamma
        self._drop: Final = drop
        self._largest: Final = largest
        self._temperature: Final = temperature

    def prepare(self, supernet: Supernet, config: TrainingConfig) -> None:
        self._base.prepare(supernet, config)
        if supernet.companion is None:
            supernet.companion = _Contrast(_width_before_head(supernet.network))

    def step(self, context: StepContext) -> dict[str, float]:
        losses = dict(self._base.step(context))
        contrast = context.supernet.companion
        assert isinstance(contrast, _Contrast)  # prepare() has put it there
        payload = context.supernet.network.payload
        assert isinstance(payload, GraphFormat)  # so has prepare() found
        architecture = context.sample()
        with _payload_before_head(context.supernet.network) as entered:
            context.forward(architecture)
            clean = entered.pop()
            graph = payload.pack(*context.batch.inputs)
            edge_index = graph.edge_index
            batch, graphs = graph_of_nodes(clean)
            owner = batch[edge_index[0]]
            scores = contrast.scorer(clean.x.detach(), edge_index)
            probabilities = drop_probabilities(scores, owner, graphs, drop=self._drop, largest=self._largest)
            generator = torch.Generator().manual_seed(int(context.rng.integers(2**62)))
            view = draw_view(edge_index, probabilities, len(batch), owner, generator)
            fewer, edge_attr = select_edges(edge_index, graph.edge_attr, view.kept)
            inputs = payload.unpack(graph._replace(edge_index=fewer, edge_attr=edge_attr))
            viewed = context.with_batch(Batch(inputs, context.batch.target, context.batch.index))
            outputs = viewed.forward(architecture)
            other = entered.pop()
        task_loss = viewed.loss(outputs)
        total = self._alpha * task_loss
        if self._beta:
            first = scatter(clean.x, batch, dim=0, dim_size=graphs, reduce="mean")
            second = scatter(other.x * view.weight[:, None], batch, dim=0, dim_size=graphs, reduce="mean")
            contrastive = info_nce(contrast.project(first), contrast.project(second), self._temperature)
            total = total + self._beta * contrastive
            losses["contrastive"] = contrastive.item()
        if probabilities.numel():
            total = total + self._gamma * (probabilities.mean() - self._drop).abs()
        context.backward(total)
        return {**losses, "view": task_loss.item()}

    def describe(self) -> dict[str, Any]:
        return {**self._options, "base_options": self._base.describe()}

    def __repr__(self) -> str:
        return f"GraphContrastive({', '.join(f'{name}={value!r}' for name, value in self._options.items())})"


@final
class _Contrast(nn.Module):
    """What is learned beside the network: scores of edges, and the projection that graphs are compared in."""

    def __init__(self, width: SizeLike) -> None:
        super().__init__()
        self.scorer = EdgeScorer(width)
        self.project = elastic.Linear(width, _PROJECTED)


def _width_before_head(network: nn.Module) -> SizeLike:
    output = getattr(network, "output", None)
    width = getattr(network.get_submodule(output), "width", None) if isinstance(output, str) else None
    if width is None or not isinstance(getattr(network, "payload", None), GraphFormat):
        raise ConfigError(
            "strategy: 'graph-contrastive' needs a space of slots that takes graphs and has a head, such as 'graph/level'; "
            "use 'single-path' or 'sandwich' here."
        )
    chosen: SizeLike = width
    return chosen


@contextmanager
def _payload_before_head(network: nn.Module) -> Iterator[list[Graph]]:
    """Collects what enters the head."""
    entered: list[Graph] = []

    def keep(head: nn.Module, arguments: tuple[Any, ...]) -> None:
        entered.append(arguments[0])

    handle = network.get_submodule("head").register_forward_pre_hook(keep)
    try:
        yield entered
    finally:
        handle.remove()
