"""Networks that learnt layer by layer, and how they answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.errors import ConfigError
from automl_graph.forward_learning.goals import Goal, SingleForward, build_goal, prototype_logits
from automl_graph.forward_learning.labels import LabelledGraph
from automl_graph.forward_learning.layer import normalised_rows
from automl_graph.forward_learning.options import ForwardOptions
from automl_graph.signal import Graph

__all__ = ["Convolution", "ForwardNetwork"]

Convolution: TypeAlias = Callable[[int, int], nn.Module]
"""Makes a block on graphs from the widths of its input and output."""


@final
class ForwardNetwork(nn.Module):
    """Layers with local goals. Made untrained; ``train_forward`` trains it.

    Args:
        graph: the graph that it learns from and speaks about.
        convolution: makes each layer.
        options: how it learns.
    """

    def __init__(self, graph: LabelledGraph, convolution: Convolution, options: ForwardOptions) -> None:
        super().__init__()
        self.options: Final = options
        self.graph: Final = graph
        self.goal: Final[Goal] = build_goal(graph, options)
        below = [self.goal.width, *[options.hidden] * (options.layers - 1)]
        above = [0] * options.layers
        if options.variant == "sf-top2input":
            above = [*[options.hidden] * (options.layers - 1), graph.classes]
        self.layers = nn.ModuleList(
            convolution(low + high, options.hidden) for low, high in zip(below, above, strict=True)
        )
        for layer in self.layers:
            width = layer(
                Graph(graph.x.new_zeros(2, self._width(layer, below, above)), graph.edge_index[:, :0])
            ).x.shape
            if width[1] != options.hidden:
                raise ConfigError(f"forward: a layer gives {width[1]} features, expected {options.hidden}.")

    def _width(self, layer: nn.Module, below: Sequence[int], above: Sequence[int]) -> int:
        number = list(self.layers).index(layer)
        return below[number] + above[number]

    @torch.no_grad()
    def scores(self, evaluated: Tensor, depth: int | None = None) -> Tensor:
        """Returns ``(nodes, classes)`` scores, added up over layers; the largest is the answer.

        Args:
            evaluated: nodes to answer for, ``(evaluated,)``; other rows have no meaning.
            depth: layers to use, the lowest ones; None for all. Any depth of a network that was trained greedily is a network
                that was trained with this depth.
        """
        training = self.training
        self.eval()
        try:
            if self.options.variant == "sf-top2input":
                return self._settled(depth)
            graphs = self.goal.inference_graphs(evaluated)
            outputs = list(self.run(graphs, depth))
            if self.options.variant == "sf-top2loss":
                outputs = [[self.averaged([o[0] for o in outputs], level)] for level in range(len(outputs))]
            return torch.stack([self.goal.scores(output) for output in outputs]).sum(0)
        finally:
            self.train(training)

    def run(self, graphs: Sequence[Graph], depth: int | None = None) -> list[list[Tensor]]:
        """Returns for each layer its outputs for each graph, from the bottom up; no gradient passes between layers."""
        outputs: list[list[Tensor]] = []
        for layer in list(self.layers)[:depth]:
            graphs = [g._replace(x=normalised_rows(g.x.detach())) for g in graphs]
            graphs = [layer(g) for g in graphs]
            outputs.append([g.x for g in graphs])
        return outputs

    @staticmethod
    def averaged(states: Sequence[Tensor], level: int) -> Tensor:
        """Returns the mean of the output of a layer and the normalised ones of all layers above it, which get no gradient."""
        return torch.stack([states[level], *(normalised_rows(s.detach()) for s in states[level + 1 :])]).mean(0)

    # --- signals from above through the input ------------------------------------------------------------------------

    def label_state(self) -> Tensor:
        """What stands above the last layer: labels of training and virtual nodes, equal shares for others."""
        graph = self.graph
        state = graph.x.new_full((graph.nodes, graph.classes), 1 / graph.classes)
        state[graph.train] = F.one_hot(graph.labels, graph.classes).to(state)
        return torch.cat([state, torch.eye(graph.classes).to(state)])

    @torch.no_grad()
    def initial_states(self) -> list[Tensor]:
        """Returns the outputs of all layers in one pass from the bottom up, with zeros for what comes from above."""
        (augmented,) = self.goal.training_graphs()
        states: list[Tensor] = []
        below = augmented.x
        for number, layer in enumerate(self.layers):
            above = self.graph.classes if number + 1 == len(self.layers) else self.options.hidden
            x = torch.cat([normalised_rows(below), below.new_zeros(len(below), above)], dim=1)
            below = layer(augmented._replace(x=x)).x
            states.append(below)
        return states

    def between(self, states: Sequence[Tensor], level: int) -> Graph:
        """Returns the input of a layer: normalised outputs of the layers below and above it, without gradient."""
        (augmented,) = self.goal.training_graphs()
        below = augmented.x if level == 0 else states[level - 1]
        above = self.label_state() if level + 1 == len(self.layers) else states[level + 1]
        halves = [normalised_rows(below.detach()), normalised_rows(above.detach())]
        return augmented._replace(x=torch.cat(halves, dim=1))

    def update_order(self) -> list[int]:
        """Every second layer from the states before, then the others from the new ones."""
        numbers = range(len(self.layers))
        return [*numbers[1::2], *numbers[::2]]

    def _settled(self, depth: int | None) -> Tensor:
        if depth not in (None, len(self.layers)):
            raise ConfigError(
                "forward: layers of 'sf-top2input' depend on those above; it answers with all of them only."
            )
        assert isinstance(self.goal, SingleForward)
        states = self.initial_states()
        total = self.graph.x.new_zeros(self.graph.nodes, self.graph.classes)
        for step in range(1, self.options.time_steps + 1):
            for level in self.update_order():
                states[level] = self.layers[level](self.between(states, level)).x
            if step > 1:
                for state in states:
                    total += prototype_logits(state, self.graph.nodes, self.options.temperature).softmax(1)
        return total
