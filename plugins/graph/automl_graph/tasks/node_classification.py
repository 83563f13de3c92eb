"""Classification of the nodes of one graph, some of which are labelled: transductive or inductive, full batch or sampled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NamedTuple, final

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn import functional as F

from automl.errors import ConfigError, DataError
from automl.options import parse_options
from automl.space import SizeLike
from automl.tasks import Batch, StepScale, Task, check_split, evaluate_classifier, score_classifier, stratified_split
from automl.tasks.splits import PARTS, Part
from automl_graph.blocks.classifier import NodeClassifier
from automl_graph.data import NodeData, digits_neighbours, find_graph, holds_graph, karate_club
from automl_graph.data.statistics import graph_statistics
from automl_graph.data.training_targets import require_classes
from automl_graph.signal import Graph
from automl_graph.tasks.few_labels import few_labels_split
from automl_graph.tasks.graph_scale import graph_scale
from automl_graph.tasks.neighbour_sampling import NeighbourSampler
from automl_graph.tasks.node_view import NodeView, node_inputs, part_views
from automl_graph.tasks.options import NodeOptions

__all__ = ["NodeClassification"]


class _BuiltIn(NamedTuple):
    read: Callable[[], NodeData]
    labels_per_class: int


_BUILT_IN: Final[Mapping[str, _BuiltIn]] = {
    "digits-knn": _BuiltIn(digits_neighbours, labels_per_class=20),
    "karate": _BuiltIn(karate_club, labels_per_class=4),
}


@final
class NodeClassification(Task):
    """Assigns one of several classes to each node of a graph.

    Every step and every measurement sees the whole graph; the parts differ in the nodes whose outputs count. One sample is
    therefore one graph, and a batch of several is several copies side by side, without edges between them. With ``inductive``, a
    part does not see the nodes of later parts at all. With ``sampling``, training steps see some nodes and drawn neighbours;
    measurements always see all.

    Args:
        data: the labelled graph.
        split: nodes of each part.
        options: number of steps in an epoch and the like.

    Example:
        >>> task = NodeClassification.load("karate", seed=0)
        >>> task.input_width, task.outputs, {part: len(nodes) for part, nodes in task.split.items()}
        (34, 2, {'train': 8, 'validation': 13, 'test': 13})
    """

    options_model: ClassVar[type[BaseModel]] = NodeOptions
    signal: ClassVar[str] = "graph"
    finalist_weights: ClassVar[Literal["inherited", "new"]] = "new"
    # The kind of recipe that graph networks are published with; see docs/methods/one-front.md for what it gave.
    finalist_training: ClassVar[Mapping[str, Any]] = {
        "optimiser": "adam",
        "learning_rate": 0.01,
        "schedule": "constant",
        "warmup_epochs": 0,
        "weight_decay": 0.0005,
        "label_smoothing": 0,
        "ema": 0,
        "clip_norm": 0,
    }
    finalist_alternatives: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"weight_decay": 0.005},
        {"weight_decay": 0.005, "dropout": 0.8},
        {"weight_decay": 0.02},
    )

    def __init__(self, data: NodeData, split: Mapping[str, list[int]], options: NodeOptions) -> None:
        if options.edge_features == "none":
            data = data.without_edge_features()
        _require_labels(data)
        self.split = check_split(split, data.nodes, where=f"{data.name}: split")
        require_classes(data.y.numpy(), self.split["train"], data.class_names, data.name)
        self.input_width = int(data.x.shape[1])
        self.outputs = len(data.class_names)
        self.sample_shape = tuple(data.x.shape)
        self.fingerprint = data.fingerprint
        self._data: Final = data
        self._options: Final = options
        self._x = F.normalize(data.x, p=1, dim=1) if options.normalise == "row" else data.x
        self._edge_index = data.edge_index
        self._edge_attr = data.edge_attr
        self._y = data.y
        self._directed: Final = data.directed
        self._nodes = {part: torch.tensor(self.split[part]) for part in PARTS}
        self._views = self._part_views()
        train = self._views["train"]
        if options.inductive and not train.edge_index.shape[1]:
            raise DataError(
                f"{data.name}: no edge joins two training nodes, so inductive training sees no neighbours. Train on more "
                "nodes, such as with 'task_options.labels_per_class=0'."
            )
        self._sampler: Final = None if options.sampling is None else NeighbourSampler(train.edge_index, len(train.x))

    @classmethod
    def load(
        cls,
        data: str,
        *,
        seed: int,
        split: Mapping[str, list[int]] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> NodeClassification:
        chosen = parse_options(NodeOptions, options or {}, where="task options")
        graph = _read(data, chosen)
        return cls(graph, _split(graph, data, seed, chosen) if split is None else split, chosen)

    @classmethod
    def of(cls, graph: NodeData, *, seed: int, options: Mapping[str, Any] | None = None) -> NodeClassification:
        """Returns the task of a graph from Python.

        Args:
            graph: the labelled graph; its own split is used if it has one.
            seed: decides the split otherwise.
            options: values for ``options_model``; those about reading files have no effect.
        """
        chosen = parse_options(NodeOptions, options or {}, where="task options")
        return cls(graph, _split(graph, "", seed, chosen), chosen)

    @classmethod
    def recognises(cls, data: str) -> bool:
        return data in _BUILT_IN or holds_graph(Path(data))

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> None:
        if (self._x.device, self._x.dtype) == (torch.device(device), dtype):
            return  # every training asks; views and what is cached for their tensors stay
        self._x = self._x.to(device, dtype)
        self._edge_index = self._edge_index.to(device)
        self._edge_attr = None if self._edge_attr is None else self._edge_attr.to(device, dtype)
        self._y = self._y.to(device)
        self._nodes = {part: nodes.to(device) for part, nodes in self._nodes.items()}
        self._views = self._part_views()

    def train_batches(self, rng: np.random.Generator, batch_size: int) -> Iterator[Batch]:
        if self._sampler is not None:
            yield from self._sampled_batches(self._sampler, rng)
            return
        for _ in range(self._options.steps_per_epoch):
            yield self._batch("train")

    def batches(self, part: Part, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        yield self._batch(part, limit)

    def calibration_batches(self, seed: int, samples: int, batch_size: int) -> Iterator[Batch]:
        yield self._batch("train")

    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(batch.counted(outputs), batch.target, label_smoothing=label_smoothing)

    def evaluate(self, model: nn.Module, part: Part, batch_size: int, limit: int | None = None) -> dict[str, float]:
        return evaluate_classifier(model, self.batches(part, batch_size, limit), self.outputs)

    def score(self, answers: Iterable[tuple[Tensor, Batch]]) -> dict[str, float]:
        return score_classifier(answers, self.outputs)

    def example_inputs(self, batch_size: int) -> tuple[Tensor, ...]:
        if batch_size == 1:
            return node_inputs(self._x, self._edge_index, self._edge_attr)
        first_nodes = torch.arange(batch_size, device=self._x.device) * len(self._x)
        edges = self._edge_index[:, None, :] + first_nodes[None, :, None]
        edge_attr = None if self._edge_attr is None else self._edge_attr.repeat(batch_size, 1)
        return node_inputs(self._x.repeat(batch_size, 1), edges.flatten(1), edge_attr)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("x", "edge_index") if self._edge_attr is None else ("x", "edge_index", "edge_attr")

    @property
    def dynamic_axes(self) -> tuple[dict[int, str], ...]:
        axes = ({0: "nodes"}, {1: "edges"}, {0: "edges"})
        return axes[: len(self.input_names)]

    def head(self, width: SizeLike) -> nn.Module:
        return NodeClassifier(width, self.outputs)

    def steps_per_epoch(self, batch_size: int) -> int:
        sampling = self._options.sampling
        if sampling is None:
            return self._options.steps_per_epoch
        whole, rest = divmod(len(self.split["train"]), sampling.batch)
        return whole + (rest > 1 or (rest == 1 and not (whole and sampling.batch > 1)))

    def step_scale(self, batch_size: int) -> StepScale:
        return graph_scale(next(self.train_batches(np.random.default_rng(0), batch_size)))

    @property
    def training_graph(self) -> Graph:
        """What training may see of the graph."""
        view = self._views["train"]
        return Graph(view.x, view.edge_index, edge_attr=view.edge_attr)

    def describe(self) -> dict[str, Any]:
        return {
            "task": "node-classification",
            "data": self._data.name,
            "fingerprint": self.fingerprint,
            "nodes": self._data.nodes,
            "edges": int(self._data.edge_index.shape[1]),
            "directed": self._directed,
            "self_loops": int((self._data.edge_index[0] == self._data.edge_index[1]).sum()),
            "merged_edges": self._data.merged_edges,
            "isolated_nodes": int(
                (torch.bincount(self._data.edge_index.flatten(), minlength=self._data.nodes) == 0).sum()
            ),
            "features": self.input_width,
            "edge_features": 0 if self._edge_attr is None else int(self._edge_attr.shape[1]),
            "classes": list(self._data.class_names),
            "samples": {part: len(nodes) for part, nodes in self.split.items()},
            "inductive": self._options.inductive,
            "sampling": None if self._options.sampling is None else self._options.sampling.model_dump(),
            "normalisation": self._options.normalise,
        }

    def statistics(self) -> dict[str, Any]:
        counts = torch.bincount(self._data.y, minlength=self.outputs).tolist()
        return {
            **graph_statistics(self._data.edge_index, self._data.nodes, self._data.y),
            "directed": self._directed,
            "features": self.input_width,
            "classes": dict(zip(self._data.class_names, counts, strict=True)),
            **super().statistics(),
        }

    def _part_views(self) -> dict[Part, NodeView]:
        nodes: dict[Part, Tensor] = {part: self._nodes[part] for part in PARTS}
        return part_views(
            self._x, self._edge_index, nodes, inductive=self._options.inductive, edge_attr=self._edge_attr
        )

    def _batch(self, part: Part, limit: int | None = None) -> Batch:
        view, nodes = self._views[part], self._nodes[part][:limit]
        return Batch(node_inputs(view.x, view.edge_index, view.edge_attr), self._y[nodes], view.rows[nodes])

    def _sampled_batches(self, sampler: NeighbourSampler, rng: np.random.Generator) -> Iterator[Batch]:
        sampling, view, nodes = self._options.sampling, self._views["train"], self._nodes["train"]
        assert sampling is not None
        order = nodes[torch.from_numpy(rng.permutation(len(nodes))).to(nodes.device)]
        for asked in torch.split(order, sampling.batch):
            if len(asked) == 1 < min(sampling.batch, len(order)):
                continue
            found = sampler.sample(view.rows[asked], sampling.fanout, rng)
            device = view.x.device
            edge_attr = None if view.edge_attr is None else view.edge_attr[found.edges.to(device)]
            inputs = node_inputs(view.x[found.nodes.to(device)], found.edge_index.to(device), edge_attr)
            yield Batch(inputs, self._y[asked], torch.arange(len(asked), device=device))


def _require_labels(data: NodeData) -> None:
    if not data.class_names:
        raise DataError(f"{data.name}: its nodes have no classes; expected 'y', one label for each node.")


def _read(data: str, options: NodeOptions) -> NodeData:
    if data in _BUILT_IN:
        if options.fixed_split is not None or options.features != "given":
            raise ConfigError(
                f"task options: 'fixed_split' and 'features' are for graphs of files, {data!r} is built in."
            )
        return _BUILT_IN[data].read()
    return find_graph(data, _BUILT_IN).finish(
        undirected=options.undirected,
        features=options.features,
        fixed_split=options.fixed_split,
        edge_features=options.edge_features,
    )


def _split(graph: NodeData, data: str, seed: int, options: NodeOptions) -> dict[str, list[int]]:
    _require_labels(graph)
    if graph.split is not None and options.labels_per_class is None:
        return dict(graph.split)
    usual = _BUILT_IN[data].labels_per_class if data in _BUILT_IN else 0
    per_class = usual if options.labels_per_class is None else options.labels_per_class
    labels = graph.y.numpy()
    if per_class:
        return few_labels_split(
            labels,
            per_class=per_class,
            validation_share=options.validation / (options.validation + options.test),
            names=graph.class_names,
            seed=seed,
            where=graph.name,
        )
    return stratified_split(
        labels,
        seed=seed,
        validation=options.validation,
        test=options.test,
        names=graph.class_names,
        where=graph.name,
    )
