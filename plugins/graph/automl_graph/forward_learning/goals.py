"""Local goals of a layer: forward-forward tells right from wrong labels, single forward compares with prototypes.

A goal turns a labelled graph into the graphs on which a layer is run, and the outputs of the layer into a loss and into scores
of classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, final

import torch
from torch import Tensor
from torch.nn import functional as F

from automl_graph.forward_learning.labels import LabelledGraph, append_labels, class_nodes, virtual_features
from automl_graph.forward_learning.options import ForwardOptions
from automl_graph.signal import Graph

__all__ = ["ForwardForward", "Goal", "SingleForward", "build_goal", "goodness_loss", "prototype_logits"]


def goodness_loss(right: Tensor, wrong: Sequence[Tensor], theta: float) -> Tensor:
    """Returns the mean over positives of ``-log s(g - theta)``, and over negatives of ``-log s(theta - g)``, added.

    Args:
        right: outputs of a layer under true labels, ``(rows, width)``; goodness ``g`` is the squared length of a row.
        wrong: those under wrong labels.
        theta: goodness of a coin toss.
    """
    positive = F.softplus(theta - right.square().sum(1)).mean()
    negative = torch.stack([F.softplus(output.square().sum(1) - theta).mean() for output in wrong]).mean()
    return positive + negative


def prototype_logits(outputs: Tensor, nodes: int, temperature: float) -> Tensor:
    """Returns ``z_i z_c / temperature`` of each node with each virtual node, which follow the nodes, ``(nodes, classes)``."""
    return outputs[:nodes] @ outputs[nodes:].T / temperature


class Goal(ABC):
    """What layers are trained for.

    Attributes:
        width: of the features that enter the first layer.
    """

    width: int

    @abstractmethod
    def training_graphs(self) -> list[Graph]:
        """Returns the graphs whose outputs ``loss`` takes."""

    @abstractmethod
    def inference_graphs(self, evaluated: Tensor) -> list[Graph]:
        """Returns the graphs whose outputs ``scores`` takes; of the evaluated nodes nothing but features enters."""

    @abstractmethod
    def loss(self, outputs: Sequence[Tensor]) -> Tensor:
        """Returns the local loss, a scalar, from the outputs of a layer for each training graph."""

    @abstractmethod
    def scores(self, outputs: Sequence[Tensor]) -> Tensor:
        """Returns ``(nodes, classes)`` from the outputs of a layer for each inference graph; they add up over layers."""


@final
class SingleForward(Goal):
    """One graph with a virtual node for each class, whose embedding is the prototype of the class."""

    def __init__(self, graph: LabelledGraph, options: ForwardOptions) -> None:
        self.width = int(graph.x.shape[1])
        self._graph: Final = graph
        self._temperature: Final = options.temperature
        features = virtual_features(graph.classes, self.width, seed=options.seed, like=graph.x)
        self._augmented: Final = class_nodes(
            graph.x, graph.edge_index, graph.train, graph.labels, features, both_directions=options.both_directions
        )

    def training_graphs(self) -> list[Graph]:
        return [self._augmented]

    def inference_graphs(self, evaluated: Tensor) -> list[Graph]:
        return [self._augmented]

    def loss(self, outputs: Sequence[Tensor]) -> Tensor:
        logits = prototype_logits(outputs[0], self._graph.nodes, self._temperature)
        return F.cross_entropy(logits[self._graph.train], self._graph.labels)

    def scores(self, outputs: Sequence[Tensor]) -> Tensor:
        return prototype_logits(outputs[0], self._graph.nodes, self._temperature).softmax(1)


@final
class ForwardForward(Goal):
    """A graph for each labelling: goodness is to be high under the true one, low under the wrong ones."""

    def __init__(self, graph: LabelledGraph, options: ForwardOptions) -> None:
        appended = options.variant == "ff-la"
        self.width = int(graph.x.shape[1]) + (graph.classes if appended else 0)
        self._appended: Final = appended
        self._graph: Final = graph
        self._options: Final = options
        self._features: Final = virtual_features(graph.classes, graph.x.shape[1], seed=options.seed, like=graph.x)

    def training_graphs(self) -> list[Graph]:
        wrong = min(self._options.negatives or self._graph.classes, self._graph.classes - 1)
        shifted = [(self._graph.labels + shift) % self._graph.classes for shift in range(wrong + 1)]
        return [self._labelled(self._graph.train, labels) for labels in shifted]

    def inference_graphs(self, evaluated: Tensor) -> list[Graph]:
        nodes = torch.cat([self._graph.train, evaluated])
        return [
            self._labelled(nodes, torch.cat([self._graph.labels, torch.full_like(evaluated, label)]))
            for label in range(self._graph.classes)
        ]

    def loss(self, outputs: Sequence[Tensor]) -> Tensor:
        right, *wrong = (output[self._graph.train] for output in outputs)
        return goodness_loss(right, wrong, self._options.theta)

    def scores(self, outputs: Sequence[Tensor]) -> Tensor:
        return torch.stack([output[: self._graph.nodes].square().sum(1) for output in outputs], dim=1)

    def _labelled(self, nodes: Tensor, labels: Tensor) -> Graph:
        x, edges = self._graph.x, self._graph.edge_index
        if self._appended:
            return Graph(append_labels(x, nodes, labels, self._graph.classes), edges)
        return class_nodes(x, edges, nodes, labels, self._features, both_directions=self._options.both_directions)


def build_goal(graph: LabelledGraph, options: ForwardOptions) -> Goal:
    """Returns the goal of a variant."""
    return (ForwardForward if options.variant.startswith("ff") else SingleForward)(graph, options)
