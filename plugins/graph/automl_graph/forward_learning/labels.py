"""Where labels enter a graph: as virtual nodes, one for each class, or as further features.

Source:
    Park et al. 2024, arXiv:2403.11004, sections 3.1 and 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from automl_graph.signal import Graph

__all__ = ["LabelledGraph", "append_labels", "class_nodes", "virtual_features"]


@dataclass(frozen=True, eq=False)
class LabelledGraph:
    """One graph of which some nodes are labelled.

    Attributes:
        x: features, ``(nodes, width)``.
        edge_index: ``(2, edges)`` int64.
        labels: classes of the training nodes, ``(training nodes,)`` int64.
        train: which nodes these are, ``(training nodes,)`` int64.
        classes: number of classes.
    """

    x: Tensor
    edge_index: Tensor
    labels: Tensor
    train: Tensor
    classes: int

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return int(self.x.shape[0])


def virtual_features(classes: int, width: int, *, seed: int, like: Tensor) -> Tensor:
    """Returns the features of virtual nodes, ``(classes, width)``: normal numbers that are never trained."""
    return torch.randn(classes, width, generator=torch.Generator().manual_seed(seed)).to(like)


def class_nodes(
    x: Tensor, edge_index: Tensor, nodes: Tensor, labels: Tensor, features: Tensor, *, both_directions: bool = True
) -> Graph:
    """Returns the graph with one virtual node for each class, linked with the nodes of that class.

    Virtual nodes follow the others. Nodes that are not listed get no link, so their labels are not in the result.

    Args:
        x: ``(nodes, width)``.
        edge_index: ``(2, edges)``.
        nodes: nodes to link, ``(linked,)``.
        labels: class of each of these, ``(linked,)``.
        features: of the virtual nodes, ``(classes, width)``.
        both_directions: link back, too.
    """
    to_virtual = torch.stack([nodes, labels + len(x)])
    links = [edge_index, to_virtual, to_virtual.flip(0)] if both_directions else [edge_index, to_virtual]
    return Graph(torch.cat([x, features]), torch.cat(links, dim=1))


def append_labels(x: Tensor, nodes: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Returns ``(nodes, width + classes)``: the label of each listed node, and the same share of every class for all others."""
    appended = x.new_full((len(x), classes), 1 / classes)
    appended[nodes] = F.one_hot(labels, classes).to(x)
    return torch.cat([x, appended], dim=1)
