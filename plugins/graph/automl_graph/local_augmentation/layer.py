"""A first layer with a branch for the features of the graph and one for each generated copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import nn

from automl_graph.local_augmentation.generator import Generator
from automl_graph.signal import Graph

__all__ = ["AugmentedLayer"]


@final
class AugmentedLayer(nn.Module):
    """``concat(block_0(x), block_1(x^_1), …)``, each block with weights of its own.

    Args:
        generator: gives the generated features; anything that maps ``(nodes, width)`` to the same shape.
        make: makes one branch, any block on graphs.
        copies: number of generated inputs; 0 is the block alone.

    Shape:
        x: ``(nodes, width)``. Returns the same graph with ``(nodes, (copies + 1) * width of a branch)``.

    Source:
        Liu et al. 2022, arXiv:2109.03856, section 3.2.
    """

    def __init__(self, generator: Generator | nn.Module, make: Callable[[], nn.Module], *, copies: int = 1) -> None:
        super().__init__()
        self.generator = generator
        self.branches = nn.ModuleList(make() for _ in range(copies + 1))

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with the outputs of all branches side by side."""
        inputs = [graph, *(graph._replace(x=self.generator(graph.x)) for _ in self.branches[1:])]
        outputs = [branch(given).x for branch, given in zip(self.branches, inputs, strict=True)]
        return graph._replace(x=torch.cat(outputs, dim=1))
