"""How much the nodes of a graph prefer each relation that LATTE composed."""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from automl_graph.hetero.latte_layer import Preference

__all__ = ["RelationUsage", "Usage"]


class Usage(NamedTuple):
    """Weights of one relation for the nodes of one type.

    Args:
        order: number of relations in a row.
        type_name: type of the nodes that choose.
        relation: name of the composed relation; ``"self"`` for the node's own features.
        mean: mean weight over the nodes.
        std: its standard deviation.
        weights: weight for each node, ``(nodes,)``.
    """

    order: int
    type_name: str
    relation: str
    mean: float
    std: float
    weights: Tensor


@final
class RelationUsage:
    """Runs a network once and returns the weights by which each of its LATTE layers mixes relations.

    Weights of a node over all relations and itself sum to 1 in each order. The network may be a supernet or extracted.

    Source:
        Tran and Gao 2020, arXiv:2009.08072: the attention weights across relations, beta.

    Example:
        >>> from automl_graph.hetero import HeteroNodeClassification, LATTEHead
        >>> task = HeteroNodeClassification.load("planted-papers", seed=0)
        >>> head = LATTEHead(task.input_width, 3, schema=task.schema, orders=1)
        >>> from automl_graph.hetero import HeteroFormat
        >>> graph = HeteroFormat(task.schema, task.input_width).pack(*task.example_inputs(1))
        >>> [row.relation for row in RelationUsage()(head, graph)]
        ['written_by', 'about', 'self']
    """

    def __call__(self, network: nn.Module, *inputs: object) -> list[Usage]:
        """Returns a row for each order, type and relation.

        Args:
            network: the network, which is put into evaluation mode and back.
            *inputs: what it is called with.
        """
        found: list[Usage] = []

        def note(module: nn.Module, arguments: object, weights: Tensor) -> None:
            assert isinstance(module, Preference)
            for relation, column in zip((*module.relations, "self"), weights.detach().T, strict=True):
                mean, std = float(column.mean()), float(column.std(correction=0))
                found.append(Usage(module.order, module.type_name, relation, mean, std, column.clone()))

        training = network.training
        hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, Preference)]
        try:
            with torch.no_grad():
                network.eval()(*inputs)
        finally:
            network.train(training)
            for hook in hooks:
                hook.remove()
        return found
