"""Forward learning of a supernet on graphs: slot after slot by a local loss, then the head.

Source:
    Park et al. 2024, "Forward learning of graph neural networks", arXiv:2403.11004, sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar, Final, final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from automl.blockwise.stage_run import pooled_features, stopped_gradient
from automl.errors import ConfigError, did_you_mean
from automl.space import Architecture
from automl.supernet import Stage, Staged, Supernet
from automl.tasks import Batch, Task
from automl.training import StepContext, Strategy, TrainingConfig
from automl_graph.forward_learning.goals import Goal, build_goal, goodness_loss
from automl_graph.forward_learning.labels import LabelledGraph
from automl_graph.forward_learning.network import ForwardNetwork
from automl_graph.forward_learning.options import ForwardOptions
from automl_graph.links.metrics import balanced_loss
from automl_graph.signal import Graph, GraphFormat

__all__ = ["Forward"]

_LINK_LOSSES: Final = ("cross-entropy", "goodness")
_VARIANTS: Final = {"single-forward": "sf", "forward-forward": "ff-vn"}


@final
class Forward(Strategy):
    """Trains one slot at a time to make its nodes resemble the virtual node of their class; at last the head.

    In each step one random subnetwork runs on the graph with a virtual node for each class, linked with the training
    nodes of that class, up to the slot that is being trained. The loss compares each training node with the virtual nodes.
    ``forward-forward`` runs the subnetwork on a second graph for each wrong label, too: the squared length of a training node
    is to be above ``theta`` where it is linked with its own class, and below it elsewhere. With ``top_down`` all slots learn in
    every step, and each compares the mean of its own output and those of the slots above it, as they are at the time.
    In link prediction there are no virtual nodes: a slot learns that products of linked nodes are large, by cross entropy or by
    the goodness of forward-forward, the squared length of ``z_i * z_j``.
    No gradient passes from one slot to another, so memory for training is that of the largest slot. The head learns
    from the labels on the graph as it is, and so may be exported as any network.

    What differs from the paper: the answer is that of the head, as a network must answer without labels; rows are not
    normalised between slots, so a slot of forward-forward can tell labels by the lengths that it is given; blocks within a slot
    learn together. Labels as features and signals from above through the input change the widths of inputs, which a network
    without labels cannot have; ``automl_graph.forward_learning.train_forward`` has these variants.

    Args:
        head: share of the training for the head, above 0 and below 1; the slots have equal parts of the rest.
        temperature: divides the products with virtual nodes, or of two nodes.
        both_directions: virtual and labelled nodes are linked in both directions, not only towards the virtual node.
        seed: of the features of virtual nodes.
        links: loss of pairs of nodes: ``cross-entropy`` or ``goodness``.
        theta: goodness that separates linked from unlinked pairs, or true from wrong labels.
        variant: of nodes: ``single-forward`` or ``forward-forward``.
        negatives: wrong labels of each node in a step of ``forward-forward``; None for all.
        top_down: slots hear from those above them through their loss; for ``single-forward`` and slots of one width.

    Raises:
        ConfigError: an option is out of its range or does not go with another, the task is one on whole graphs, or slots have
            unequal widths with ``top_down``.
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
        variant: str = "single-forward",
        negatives: int | None = None,
        top_down: bool = False,
    ) -> None:
        if not 0 < head < 1:
            raise ConfigError(f"strategy 'forward': head is {head}; it must be above 0 and below 1.")
        for option, value in {"temperature": temperature, "theta": theta}.items():
            if not value > 0:
                raise ConfigError(f"strategy 'forward': {option} is {value}; it must be above 0.")
        if links not in _LINK_LOSSES:
            raise ConfigError(f"strategy 'forward': unknown links {links!r}.{did_you_mean(links, _LINK_LOSSES)}")
        if variant not in _VARIANTS:
            raise ConfigError(f"strategy 'forward': unknown variant {variant!r}.{did_you_mean(variant, _VARIANTS)}")
        if top_down and variant != "single-forward":
            raise ConfigError("strategy 'forward': top_down is for the variant 'single-forward' only.")
        if variant == "forward-forward" and not both_directions:
            raise ConfigError(
                "strategy 'forward': both_directions is false, but with 'forward-forward' nodes hear of labels from virtual "
                "nodes only."
            )
        if negatives is not None and variant != "forward-forward":
            raise ConfigError("strategy 'forward': negatives is for the variant 'forward-forward' only.")
        self._options: Final = ForwardOptions(
            variant=_VARIANTS[variant],
            theta=theta,
            negatives=negatives,
            temperature=temperature,
            both_directions=both_directions,
            seed=seed,
        )
        self._variant: Final = variant
        self._top_down: Final = top_down
        self._head: Final = head
        self._temperature: Final = temperature
        self._links: Final = links
        self._theta: Final = theta

    def prepare(self, supernet: Supernet, config: TrainingConfig) -> None:
        _graph_stages(supernet)

    def check(self, supernet: Supernet, task: Task) -> None:
        _require_one_graph(task.input_names)
        if self._nodes_only and "pairs" in task.input_names:
            raise ConfigError(
                "strategy 'forward': variant and top_down are for classes of nodes; links have 'links: goodness'."
            )
        if self._top_down:
            _require_equal_widths(_graph_stages(supernet))

    @property
    def _nodes_only(self) -> bool:
        return self._top_down or self._variant != "single-forward"

    def phase(self, supernet: Supernet, progress: float) -> tuple[float, float]:
        share, stages = 1 - self._head, 1 if self._top_down else len(_graph_stages(supernet))
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
        if loss.requires_grad:  # else the slot is left out of this subnetwork, so there is nothing to train
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
        goal = self._goal(context)
        architecture = context.sample()
        if self._top_down:
            return self._top_down_loss(context, goal, architecture, stages)
        outputs = [
            pooled_features(lambda view=view: view.forward(architecture), stages, stage)  # type: ignore[misc]
            for view in _views(context, goal)
        ]
        return goal.loss(outputs)

    def _top_down_loss(
        self, context: StepContext, goal: Goal, architecture: Architecture, stages: list[Stage]
    ) -> Tensor:
        """The sum of the losses of all slots, none of which reaches another slot."""
        (view,) = _views(context, goal)
        with _separated(stages) as states:
            view.forward(architecture)
        return torch.stack([goal.loss([ForwardNetwork.averaged(states, level)]) for level in range(len(states))]).sum()

    def _goal(self, context: StepContext) -> Goal:
        x, edges = context.batch.inputs
        labels, nodes = context.batch.target, context.batch.index
        if nodes is None:
            nodes = torch.arange(len(labels), device=labels.device)
        return build_goal(LabelledGraph(x, edges, labels, nodes, context.outputs), self._options)

    def _stage(self, progress: float, stages: int) -> int:
        return min(int(progress / (1 - self._head) * stages), stages - 1)

    def describe(self) -> dict[str, Any]:
        return {
            "head": self._head,
            "temperature": self._temperature,
            "both_directions": self._options.both_directions,
            "seed": self._options.seed,
            "links": self._links,
            "theta": self._theta,
            "variant": self._variant,
            "negatives": self._options.negatives,
            "top_down": self._top_down,
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


def _views(context: StepContext, goal: Goal) -> list[StepContext]:
    """The step on each training graph of a goal; labels are in the graphs."""
    batch = context.batch
    return [
        context.with_batch(Batch((graph.x, graph.edge_index), batch.target, batch.index))
        for graph in goal.training_graphs()
    ]


@contextmanager
def _separated(stages: Sequence[Stage]) -> Iterator[list[Tensor]]:
    """Inside, gives the output of every stage of a run, and no gradient passes from one stage to another."""
    states: list[Tensor] = []

    def cut(stage: Stage) -> RemovableHandle:
        def hook(module: nn.Module, inputs: object, output: Graph) -> Graph:
            states.append(output.x)
            return output._replace(x=output.x.detach())

        return stage.end.register_forward_hook(hook)

    with ExitStack() as hooks:
        for stage in stages:
            hooks.callback(cut(stage).remove)
        yield states


def _require_equal_widths(stages: Sequence[Stage]) -> None:
    """Refuses slots whose widths differ or are chosen apart, so that no mean over them exists."""
    first = stages[0]
    shared = getattr(first.end, "width", None)
    for stage in stages[1:]:
        same = stage.widths == first.widths
        if not same or (len(stage.widths) > 1 and getattr(stage.end, "width", None) is not shared):
            raise ConfigError(
                "strategy 'forward': top_down needs slots of one width; give only the first a width, or couple the others "
                "with 'width: <name of the first>'."
            )
