"""Classification of whole graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.errors import DataError
from automl.options import parse_options
from automl.tasks import Batch, evaluate_classifier, score_classifier, wrong_answers
from automl.tasks.splits import Part
from automl_graph.data.graph_archive import holds_graphs
from automl_graph.data.graph_collection import GraphCollection
from automl_graph.data.motif_graphs import CLASSES
from automl_graph.data.training_targets import require_classes
from automl_graph.tasks.graph_level import GraphLevelTask, load_collection
from automl_graph.tasks.graph_options import GraphOptions
from automl_graph.tasks.graph_split import split_graphs

__all__ = ["GraphClassification"]


@final
class GraphClassification(GraphLevelTask):
    """Assigns one of several classes to each graph.

    Example:
        >>> task = GraphClassification.load("cycles-or-trees", seed=0)
        >>> task.outputs, {part: len(graphs) for part, graphs in task.split.items()}
        (2, {'train': 180, 'validation': 60, 'test': 60})
    """

    @classmethod
    def load(
        cls,
        data: str,
        *,
        seed: int,
        split: Mapping[str, list[int]] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> GraphClassification:
        chosen = parse_options(GraphOptions, options or {}, where="task options")
        return cls._divided(load_collection(data, CLASSES, "classes", chosen), split, chosen, seed)

    @classmethod
    def of(cls, graphs: GraphCollection, *, seed: int, options: Mapping[str, Any] | None = None) -> GraphClassification:
        """Returns the task of graphs from Python.

        Args:
            graphs: with a class each.
            seed: decides the split.
            options: values for ``options_model``; ``target`` has no effect.

        Raises:
            DataError: the graphs have values instead of classes.
        """
        if not graphs.class_names:
            raise DataError(f"{graphs.name}: its graphs have values, not classes; take 'GraphRegression'.")
        return cls._divided(graphs, None, parse_options(GraphOptions, options or {}, where="task options"), seed)

    @classmethod
    def _divided(
        cls, graphs: GraphCollection, split: Mapping[str, list[int]] | None, options: GraphOptions, seed: int
    ) -> GraphClassification:
        fitting = split_graphs(graphs, options, seed) if split is None else split
        task = cls(graphs, fitting, options, seed, outputs=len(graphs.class_names))
        require_classes(graphs.y.astype(np.int64), task.split["train"], graphs.class_names, graphs.name)
        return task

    @classmethod
    def recognises(cls, data: str) -> bool:
        return data in CLASSES or (data.lower().endswith(".npz") and holds_graphs(Path(data), "classes"))

    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(batch.counted(outputs), batch.target, label_smoothing=label_smoothing)

    def evaluate(self, model: nn.Module, part: Part, batch_size: int, limit: int | None = None) -> dict[str, float]:
        return evaluate_classifier(model, self.batches(part, batch_size, limit), self.outputs)

    def score(self, answers: Iterable[tuple[Tensor, Batch]]) -> dict[str, float]:
        return score_classifier(answers, self.outputs)

    def sample_scores(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        return {"error": wrong_answers(outputs, batch)}

    def describe(self) -> dict[str, Any]:
        return {"task": "graph-classification", "classes": list(self._data.class_names), **super().describe()}

    def _targets(self, rows: Sequence[int]) -> Tensor:
        return torch.from_numpy(self._data.y[list(rows)])
