"""Classification of the nodes of one type of a heterogeneous graph, full batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, final

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn import functional as F

from automl.errors import ConfigError, DataError, did_you_mean
from automl.options import parse_options
from automl.space import SizeLike
from automl.tasks import Batch, StepScale, Task, check_split, evaluate_classifier, score_classifier, stratified_split
from automl.tasks.splits import PARTS, Part
from automl_graph.data.training_targets import require_classes
from automl_graph.hetero.archive import holds_typed_graph, load_typed_archive
from automl_graph.hetero.classifier import HeteroClassifier
from automl_graph.hetero.movies import holds_movies, load_movies
from automl_graph.hetero.options import HeteroOptions
from automl_graph.hetero.planted import planted_papers
from automl_graph.hetero.scale import typed_scale
from automl_graph.hetero.schema import Schema, TypeWidths
from automl_graph.hetero.typed_data import TypedData

__all__ = ["HeteroNodeClassification"]

_BUILT_IN: Final = ("planted-papers",)
_MOST_ONE_HOT: Final = 4096


@final
class HeteroNodeClassification(Task):
    """Assigns one of several classes to each node of one type.

    Every step sees the whole graph; the parts differ in the nodes whose outputs count. One sample is therefore one graph, and a
    batch of several is several copies side by side. With ``inductive``, a part does not see the nodes of later parts at all.

    Args:
        data: the labelled graph, as it is used.
        split: nodes of each part.
        options: number of steps in an epoch and the like.

    Attributes:
        schema: types of nodes and relations.

    Raises:
        ConfigError: an option does not fit the data.
        DataError: the split does not fit the data.

    Example:
        >>> task = HeteroNodeClassification.load("planted-papers", seed=0)
        >>> task.outputs, task.input_names[:4]
        (3, ('paper', 'author', 'subject', 'written_by'))
    """

    options_model: ClassVar[type[BaseModel]] = HeteroOptions
    signal: ClassVar[str] = "hetero-graph"
    schema: Schema

    def __init__(self, data: TypedData, split: Mapping[str, list[int]], options: HeteroOptions) -> None:
        self.split = check_split(split, len(data.y), where=f"{data.name}: split")
        self.schema = data.schema
        self._x = tuple(_features(data, kind, options) for kind in data.types)
        numbered = [x.dim() == 1 for x in self._x]
        if options.inductive and numbered[0]:
            raise ConfigError(
                f"task options: 'inductive' cannot learn features of {data.labelled!r} nodes that it does not see; set "
                "'missing_features: degree'."
            )
        self.input_width: SizeLike = TypeWidths(
            [len(x) if x.dim() == 1 else int(x.shape[1]) for x in self._x], numbered
        )
        self.outputs = len(data.class_names)
        self.sample_shape = tuple(self._x[0].shape)
        self.fingerprint = data.fingerprint
        self._data: Final = data
        self._options: Final = options
        self._edges = data.edges
        self._y = data.y
        self._nodes = {part: torch.tensor(self.split[part]) for part in PARTS}
        self._seen = self._views()

    @classmethod
    def load(
        cls,
        data: str,
        *,
        seed: int,
        split: Mapping[str, list[int]] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> HeteroNodeClassification:
        chosen = parse_options(HeteroOptions, options or {}, where="task options")
        return cls._of(_read(data), seed, split, chosen)

    @classmethod
    def of(cls, graph: TypedData, *, seed: int, options: Mapping[str, Any] | None = None) -> HeteroNodeClassification:
        """Returns the task of a graph from Python.

        Args:
            graph: the labelled graph; its first split is used if it has one.
            seed: decides the split otherwise.
            options: values for ``options_model``.
        """
        return cls._of(graph, seed, None, parse_options(HeteroOptions, options or {}, where="task options"))

    @classmethod
    def _of(
        cls, graph: TypedData, seed: int, split: Mapping[str, list[int]] | None, options: HeteroOptions
    ) -> HeteroNodeClassification:
        whole = graph.with_reverse() if options.use_reverse else graph
        task = cls(whole, _split(graph, seed, options) if split is None else split, options)
        require_classes(graph.y.numpy(), task.split["train"], graph.class_names, graph.name)
        return task

    @classmethod
    def recognises(cls, data: str) -> bool:
        return data in _BUILT_IN or holds_typed_graph(Path(data)) or holds_movies(Path(data))

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> None:
        self._x = tuple(x.to(device, dtype) if x.is_floating_point() else x.to(device) for x in self._x)
        self._edges = tuple(edges.to(device) for edges in self._edges)
        self._y = self._y.to(device)
        self._nodes = {part: nodes.to(device) for part, nodes in self._nodes.items()}
        self._seen = self._views()

    def train_batches(self, rng: np.random.Generator, batch_size: int) -> Iterator[Batch]:
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
            return (*self._x, *self._edges)
        copies = torch.arange(batch_size, device=self._y.device)
        x = [x.repeat(batch_size, *(1,) * (x.dim() - 1)) for x in self._x]
        edges = []
        for relation, index in enumerate(self._edges):
            nodes = torch.tensor([[len(self._x[end])] for end in self.schema.ends(relation)], device=index.device)
            edges.append((index[:, None, :] + (nodes * copies)[:, :, None]).flatten(1))
        return (*x, *edges)

    @property
    def input_names(self) -> tuple[str, ...]:
        return (*self.schema.types, *(relation.name for relation in self.schema.relations))

    @property
    def dynamic_axes(self) -> tuple[dict[int, str], ...]:
        nodes: list[dict[int, str]] = [{0: f"nodes_{position}"} for position in range(len(self.schema.types))]
        return (*nodes, *({1: f"edges_{position}"} for position in range(len(self.schema.relations))))

    def head(self, width: SizeLike) -> nn.Module:
        return HeteroClassifier(width, self.outputs, schema=self.schema)

    def steps_per_epoch(self, batch_size: int) -> int:
        return self._options.steps_per_epoch

    def step_scale(self, batch_size: int) -> StepScale:
        return typed_scale(self._batch("train"), self._data, self._smaller)

    def describe(self) -> dict[str, Any]:
        edges = zip(self.schema.relations, self._edges, strict=True)
        return {
            "task": "hetero-node-classification",
            "data": self._data.name,
            "fingerprint": self.fingerprint,
            "types": {
                name: {"nodes": len(x), "features": "numbered" if x.dim() == 1 else int(x.shape[1])}
                for name, x in zip(self.schema.types, self._x, strict=True)
            },
            "relations": {
                r.name: {"heads": r.head, "tails": r.tail, "edges": int(index.shape[1])} for r, index in edges
            },
            "merged_edges": self._data.merged_edges,
            "classified": self._data.labelled,
            "classes": list(self._data.class_names),
            "samples": {part: len(nodes) for part, nodes in self.split.items()},
            "inductive": self._options.inductive,
            "normalisation": self._options.normalise,
        }

    def statistics(self) -> dict[str, Any]:
        found = self.describe()
        return {
            "nodes": {name: facts["nodes"] for name, facts in found["types"].items()},
            "edges": {name: facts["edges"] for name, facts in found["relations"].items()},
            "classified": found["classified"],
            "classes": found["classes"],
            "samples": found["samples"],
        }

    def _smaller(self, graph: TypedData) -> HeteroNodeClassification:
        """The task of a smaller graph, of whose nodes as large a share is trained on."""
        nodes = len(graph.y)
        trained = min(max(1, round(nodes * len(self.split["train"]) / len(self._seen["train"][0][0]))), nodes - 2)
        split = {"train": [*range(trained)], "validation": [trained], "test": [*range(trained + 1, nodes)]}
        return HeteroNodeClassification(graph, split, HeteroOptions())

    def _batch(self, part: Part, limit: int | None = None) -> Batch:
        inputs, rows = self._seen[part]
        nodes = self._nodes[part][:limit]
        return Batch(inputs, self._y[nodes], rows[nodes])

    def _views(self) -> dict[Part, tuple[tuple[Tensor, ...], Tensor]]:
        """For each part the tensors that it sees, and the row of each node of the first type in them."""
        whole = (*self._x, *self._edges), torch.arange(len(self._y), device=self._y.device)
        if not self._options.inductive:
            return dict.fromkeys(PARTS, whole)
        kept = torch.ones(len(self._y), dtype=torch.bool, device=self._y.device)
        views: dict[Part, tuple[tuple[Tensor, ...], Tensor]] = {"test": whole}
        for part, hidden in (("validation", "test"), ("train", "validation")):
            kept = kept.index_fill(0, self._nodes[hidden], False)  # type: ignore[index]
            views[part] = self._without(kept)  # type: ignore[index]
        return views

    def _without(self, kept: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        rows = kept.cumsum(0) - 1
        edges = []
        for relation, index in enumerate(self._edges):
            for row, end in enumerate(self.schema.ends(relation)):
                if end == 0:
                    index = index[:, kept[index[row]]]
                    index = torch.stack([rows[i] if r == row else i for r, i in enumerate(index)])
            edges.append(index)
        x = [self._x[0][kept], *self._x[1:]]
        if self._options.missing_features == "degree":
            # Numbers of edges must not tell of edges that are hidden.
            for kind, name in enumerate(self.schema.types):
                if self._data.types[name].x is None:
                    x[kind] = _degrees(name, len(x[kind]), self.schema, edges).to(x[kind])
        return (*x, *edges), rows


def _read(data: str) -> TypedData:
    if data in _BUILT_IN:
        return planted_papers()
    path = Path(data)
    if path.name.lower().endswith((".csv", ".csv.gz")):
        return load_movies(path)
    if path.suffix.lower() != ".npz":
        raise DataError(
            f"{data}: no such heterogeneous graph; expected an .npz file, IMDB's table of movies or a built-in one."
            f"{did_you_mean(data, _BUILT_IN)}"
        )
    return load_typed_archive(path)


def _features(data: TypedData, kind: str, options: HeteroOptions) -> Tensor:
    nodes, x = data.types[kind]
    if x is not None:
        if options.normalise == "length":
            return F.normalize(x, dim=1)
        return F.normalize(x, p=1, dim=1) if options.normalise == "row" else x
    if options.missing_features == "learned":
        return torch.arange(nodes)
    if options.missing_features == "one-hot":
        if nodes > _MOST_ONE_HOT:
            raise ConfigError(
                f"task options: 'missing_features: one-hot' would give {nodes} features to each {kind!r} node; 'learned' does "
                "the same without them."
            )
        return torch.eye(nodes)
    return _degrees(kind, nodes, data.schema, data.edges)


def _degrees(kind: str, nodes: int, schema: Schema, edges: Sequence[Tensor]) -> Tensor:
    """Logarithms of 1 + the numbers of edges of each node of a type, for each end of a relation, ``(nodes, ends)``."""
    ends = [
        index[row]
        for relation, index in zip(schema.relations, edges, strict=True)
        for row, end in enumerate((relation.head, relation.tail))
        if end == kind
    ]
    counts = [torch.bincount(end, minlength=nodes) for end in ends] or [torch.zeros(nodes)]
    return torch.stack(counts, dim=1).float().log1p()


def _split(graph: TypedData, seed: int, options: HeteroOptions) -> dict[str, list[int]]:
    named = dict(graph.splits)
    if options.split is not None and options.split != "shares":
        if not named:
            raise ConfigError(
                f"task options: split: {options.split!r} is asked for, but {graph.name} comes without splits. Leave the "
                "option out, or add arrays such as 'train', 'val' and 'test' to the file."
            )
        if options.split not in named:
            raise ConfigError(
                f"task options: split: {graph.name} has no split {options.split!r}, only {', '.join(map(repr, named))}."
                f"{did_you_mean(options.split, named)}"
            )
        return dict(named[options.split])
    if named and options.split is None:
        return dict(next(iter(named.values())))
    return stratified_split(
        graph.y.numpy(),
        seed=seed,
        validation=options.validation,
        test=options.test,
        names=graph.class_names,
        where=graph.name,
    )
