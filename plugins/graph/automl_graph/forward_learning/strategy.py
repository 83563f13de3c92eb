"""Forward learning of a supernet on graphs: slot after slot by a local loss, then the head.

Source:
    Park et al. 2024, "Forward learning of graph neural networks", arXiv:2403.11004, section 3.3 (single forward).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, final

import torch
from torch import Tensor
from torch.nn import functional as F

from automl.blockwise.stage_run import pooled_features, stopped_gradient
from automl.errors import ConfigError, did_you_mean
from automl.supernet import Stage, Staged, Supernet
from automl.tasks import Batch, Task
from automl.training import StepContext, Strategy, TrainingConfig
from automl_graph.forward_learning.goals import goodness_loss, prototype_logits
from automl_graph.forward_learning.labels import class_nodes, virtual_features
from automl_graph.links.metrics import balanced_loss
from automl_graph.signal import GraphFormat

__all__ = ["Forward"]

_LINK_LOSSES: Final = ("cross-entropy", "goodness")


@final
class Forward(Strategy):
    """Trains one slot at a time to make its nodes resemble the virtual node of their class; at last the head.

    In each step one random subnetwork runs on the graph with a virtual node for each class, linked with the training
    nodes of that class, up to the slot that is being trained. The loss compares each training node with the virtual nodes.
    In link prediction there are no virtual nodes: a slot learns that products of linked nodes are large, by cross entropy or by
    the goodness of forward-forward, the squared length of ``z_i * z_j``.
    No gradient passes from one slot to another, so memory for training is that of the largest slot. The head learns
    from the labels on the graph as it is, and so may be exported as any network.

    What differs from the paper: the answer is that of the head, as a network must answer without labels; rows are not
    normalised between slots, which only forward-forward needs; blocks within a slot learn together. The other variants change
    the widths of inputs or need all layers at once; ``automl_graph.forward_learning.train_forward`` has them.

    Args:
        head: share of the training for the head, above 0 and below 1; the slots have equal parts of the rest.
        temperature: divides the products with virtual nodes, or of two nodes.
        both_directions: virtual and labelled nodes are linked in both directions, not only towards the virtual node.
        seed: of the features of virtual nodes.
        links: loss of pairs of nodes: ``cross-entropy`` or ``goodness``.
        theta: goodness that separates linked from unlinked pairs.

    Raises:
        ConfigError: an option is out of its range, or the task is one on whole graphs.
    """

    name: ClassVar[str] = "forward"
    loss_range: ClassVar[float] = 1000.0  # products of nodes grow with the width, and with sums over neighbours

    def __init__(
        self,
        *,
        head: float = 0.25,
        temperature: float = 1.0,
        both_directions: bool = True,
        seed: int = 0,
        links: str = "cross-entropy",
        theta: float = 2.0,
    ) -> None:
        if not 0 < head < 1:
            raise ConfigError(f"strategy 'forward': head is {head}; it must be above 0 and below 1.")
        for option, value in {"temperature": temperature, "theta": theta}.items():
            if not value > 0:
                raise ConfigError(f"strategy 'forward': {option} is {value}; it must be above 0.")
        if links not in _LINK_LOSSES:
            raise ConfigError(f"strategy 'forward': unknown links {links!r}.{did_you_mean(links, _LINK_LOSSES)}")
        self._head: Final = head
        self._temperature: Final = temperature
        self._both_directions: Final = both_directions
        self._seed: Final = seed
        self._links: Final = links
        self._theta: Final = theta

    def prepare(self, supernet: Supernet, config: TrainingConfig) -> None:
        _graph_stages(supernet)

    def check(self, supernet: Supernet, task: Task) -> None:
        _require_one_graph(task.input_names)

    def phase(self, supernet: Supernet, progress: float) -> tuple[float, float]:
        share, stages = 1 - self._head, len(_graph_stages(supernet))
        if progress >= share:
            return share, 1.0
        stage = self._stage(progress, stages)
        return share * stage / stages, share * (stage + 1) / stages

    def step(self, context: StepContext) -> dict[str, float]:
        stages = _graph_stages(context.supernet)
        if context.progress >= 1 - self._head:
            with stopped_gradient(stages, len(stages)):
                loss = context.loss(context.forward(context.sample()))
        else:
            loss = self._local_loss(context, stages, self._stage(context.progress, len(stages)))
        context.backward(loss)
        return {"loss": loss.item()}

    def _local_loss(self, context: StepContext, stages: list[Stage], stage: int) -> Tensor:
        inputs = _inputs(stages)
        _require_one_graph(inputs)
        if "pairs" in inputs:
            return self._link_loss(context, stages, stage)
        return self._node_loss(context, stages, stage)

    def _link_loss(self, context: StepContext, stages: list[Stage], stage: int) -> Tensor:
        """Whether the product of two nodes tells that they are linked (section on links: FL-CE, and FF by goodness)."""
        first, second = context.batch.inputs[2]
        linked = context.batch.target == 1
        architecture = context.sample()
        nodes = pooled_features(lambda: context.forward(architecture), stages, stage)
        products = nodes[first] * nodes[second]
        if self._links == "goodness":
            return goodness_loss(products[linked], [products[~linked]], self._theta)
        return balanced_loss(products.sum(1, keepdim=True) / self._temperature, context.batch.target)

    def _node_loss(self, context: StepContext, stages: list[Stage], stage: int) -> Tensor:
        x, edges = context.batch.inputs
        labels, nodes = context.batch.target, context.batch.index
        if nodes is None:
            nodes = torch.arange(len(labels), device=labels.device)
        features = virtual_features(context.outputs, x.shape[1], seed=self._seed, like=x)
        augmented = class_nodes(x, edges, nodes, labels, features, both_directions=self._both_directions)
        view = context.with_batch(Batch((augmented.x, augmented.edge_index), labels, nodes))
        architecture = context.sample()
        outputs = pooled_features(lambda: view.forward(architecture), stages, stage)
        return F.cross_entropy(prototype_logits(outputs, len(x), self._temperature)[nodes], labels)

    def _stage(self, progress: float, stages: int) -> int:
        return min(int(progress / (1 - self._head) * stages), stages - 1)

    def describe(self) -> dict[str, Any]:
        return {
            "head": self._head,
            "temperature": self._temperature,
            "both_directions": self._both_directions,
            "seed": self._seed,
            "links": self._links,
            "theta": self._theta,
        }

    def __repr__(self) -> str:
        return f"Forward({', '.join(f'{name}={value}' for name, value in self.describe().items())})"


def _inputs(stages: list[Stage]) -> tuple[str, ...]:
    payload = stages[0].payload
    assert isinstance(payload, GraphFormat)  # so has _graph_stages() found
    return payload.inputs


def _require_one_graph(inputs: Sequence[str]) -> None:
    """Refuses tasks by the names of the inputs of their networks: features, edges and, for links, pairs."""
    if "edge_attr" in inputs:
        raise ConfigError(
            "strategy 'forward': joins nodes to nodes for classes by edges that have no features; set "
            "'task_options.edge_features=none' to leave those of the graph out."
        )
    if "batch" in inputs:
        raise ConfigError(
            "strategy 'forward': trains on nodes or links of one graph; take 'single-path' for whole graphs."
        )


def _graph_stages(supernet: Supernet) -> list[Stage]:
    stages = supernet.network.stages() if isinstance(supernet.network, Staged) else []
    if not stages or not all(isinstance(stage.payload, GraphFormat) for stage in stages):
        raise ConfigError("strategy 'forward': trains spaces of slots on graphs only; take 'single-path' for others.")
    return stages
