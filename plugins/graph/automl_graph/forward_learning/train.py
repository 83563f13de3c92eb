"""Training of layers by their local goals, one after another or, with signals from above, all together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Final, final

import torch
from torch import Tensor, nn

from automl_graph.forward_learning.labels import LabelledGraph
from automl_graph.forward_learning.layer import CachedGCN, normalised_rows
from automl_graph.forward_learning.network import Convolution, ForwardNetwork
from automl_graph.forward_learning.options import ForwardOptions

__all__ = ["train_forward"]

_CLIP_NORM: Final = 1.0


def train_forward(
    graph: LabelledGraph,
    validation: Tensor,
    validation_labels: Tensor,
    *,
    convolution: Convolution = CachedGCN,
    options: ForwardOptions | None = None,
) -> ForwardNetwork:
    """Trains a network layer by layer, each until its accuracy on the validation nodes no longer rises.

    Memory does not grow with the number of layers: what a layer keeps for its gradient is gone before the next one runs.

    Args:
        graph: features, edges and labels of the training nodes.
        validation: nodes that decide when to stop, ``(validation nodes,)``.
        validation_labels: their classes.
        convolution: makes each layer: any block on graphs.
        options: variant, sizes, optimiser.

    Source:
        Park et al. 2024, arXiv:2403.11004, algorithms 1 to 3. Deviation: the accuracy that stops a layer is that of all layers
        up to it, in every variant.

    Example:
        >>> x = torch.eye(4)
        >>> edges = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
        >>> graph = LabelledGraph(x, edges, torch.tensor([0, 1]), torch.tensor([0, 2]), classes=2)
        >>> options = ForwardOptions(layers=2, hidden=5, epochs=4)
        >>> network = train_forward(graph, torch.tensor([1]), torch.tensor([0]), options=options)
        >>> network.scores(torch.tensor([1, 3])).shape
        torch.Size([4, 2])
    """
    chosen = ForwardOptions() if options is None else options
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(chosen.seed)
        network = ForwardNetwork(graph, convolution, chosen)
        training = _Training(network, validation, validation_labels)
        if chosen.variant in ("sf-top2input", "sf-top2loss"):
            training.train_together()
        else:
            training.train_greedily()
    return network.eval()


@final
class _Training:
    def __init__(self, network: ForwardNetwork, validation: Tensor, labels: Tensor) -> None:
        self._network: Final = network
        self._validation: Final = validation
        self._labels: Final = labels
        options = network.options
        self._optimisers: Final = [
            torch.optim.Adam(layer.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
            for layer in network.layers
        ]

    def train_greedily(self) -> None:
        network, goal = self._network, self._network.goal
        train, infer = goal.training_graphs(), goal.inference_graphs(self._validation)
        settled: Tensor | float = 0.0
        for layer, optimiser in zip(network.layers, self._optimisers, strict=True):
            train, infer = ([g._replace(x=normalised_rows(g.x)) for g in graphs] for graphs in (train, infer))

            def epoch(layer: nn.Module = layer, optimiser: torch.optim.Optimizer = optimiser) -> None:
                self._step(optimiser, goal.loss([layer(g).x for g in train]))  # noqa: B023  # used within this turn only

            def scores(layer: nn.Module = layer, below: Tensor | float = settled) -> Tensor:
                return below + goal.scores([layer(g).x for g in infer])  # noqa: B023

            self._until_it_stops(layer, epoch, scores)
            with torch.no_grad():
                settled = scores()
                train, infer = ([layer(g) for g in graphs] for graphs in (train, infer))
            if isinstance(layer, CachedGCN):
                layer.forget()

    def train_together(self) -> None:
        network = self._network
        epoch = self._top_to_input() if network.options.variant == "sf-top2input" else self._top_to_loss
        self._until_it_stops(network.layers, epoch, lambda: network.scores(self._validation))

    def _top_to_input(self) -> Callable[[], None]:
        network = self._network
        states = network.initial_states()

        def epoch() -> None:
            for level in network.update_order():
                output = network.layers[level](network.between(states, level)).x
                self._step(self._optimisers[level], network.goal.loss([output]))
                states[level] = output.detach()

        return epoch

    def _top_to_loss(self) -> None:
        network = self._network
        with torch.no_grad():
            before = [outputs[0] for outputs in network.run(network.goal.training_graphs())]
        (graph,) = network.goal.training_graphs()
        for level, layer in enumerate(network.layers):
            graph = layer(graph._replace(x=normalised_rows(graph.x.detach())))
            states = [*before[:level], graph.x, *before[level + 1 :]]
            loss = network.goal.loss([network.averaged(states, level)])
            self._step(self._optimisers[level], loss, clip=layer.parameters())

    def _step(
        self, optimiser: torch.optim.Optimizer, loss: Tensor, clip: Sequence[Tensor] | object | None = None
    ) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(clip, _CLIP_NORM)  # type: ignore[arg-type]
        optimiser.step()

    def _until_it_stops(self, module: nn.Module, epoch: Callable[[], None], scores: Callable[[], Tensor]) -> None:
        """Runs epochs until the patience is over, then goes back to the best weights."""
        options = self._network.options
        best, best_accuracy, waited = copy.deepcopy(module.state_dict()), -1.0, 0
        for number in range(1, options.epochs + 1):
            module.train()
            epoch()
            if number % options.validate_every and number != options.epochs:
                continue
            module.eval()
            with torch.no_grad():
                answers = scores()[self._validation].argmax(1)
            accuracy = float((answers == self._labels).double().mean())
            if accuracy > best_accuracy:
                best, best_accuracy, waited = copy.deepcopy(module.state_dict()), accuracy, 0
            else:
                waited += 1
                if waited >= options.patience:
                    break
        module.load_state_dict(best)
        module.eval()
