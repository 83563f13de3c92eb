"""Prediction of one real number for each graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.errors import DataError
from automl.options import parse_options
from automl.tasks import Batch
from automl.tasks.classification import evaluation_mode
from automl.tasks.splits import Part
from automl_graph.data.graph_archive import holds_graphs
from automl_graph.data.graph_collection import GraphCollection
from automl_graph.data.motif_graphs import VALUES
from automl_graph.data.training_targets import require_values
from automl_graph.tasks.graph_level import GraphLevelTask, load_collection
from automl_graph.tasks.graph_options import GraphOptions
from automl_graph.tasks.graph_split import split_graphs

__all__ = ["GraphRegression"]


@final
class GraphRegression(GraphLevelTask):
    """Predicts a value of each graph; networks predict it with mean 0 and deviation 1 over the training part.

    Metrics: ``error`` is the share of variance that is left unexplained, 1 - R² and at most 1; ``loss`` the mean squared error
    of standardised values; ``mae`` the mean absolute error in units of the target.

    Args:
        data: the graphs.
        split: numbers of the graphs of each part.
        options: features and noise.
        seed: decides the noise.

    Example:
        >>> task = GraphRegression.load("triangles", seed=0)
        >>> task.outputs, task.input_width, len(task.split["test"])
        (1, 1, 60)
    """

    def __init__(self, data: GraphCollection, split: Mapping[str, list[int]], options: GraphOptions, seed: int) -> None:
        super().__init__(data, split, options, seed, outputs=1)
        require_values(data.y.astype(np.float64), self.split["train"], data.name)
        known = data.y[self.split["train"]].astype(np.float64)
        self._mean: Final = float(known.mean())
        self._deviation: Final = float(known.std())

    @classmethod
    def load(
        cls,
        data: str,
        *,
        seed: int,
        split: Mapping[str, list[int]] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> GraphRegression:
        chosen = parse_options(GraphOptions, options or {}, where="task options")
        graphs = load_collection(data, VALUES, "values", chosen)
        return cls(graphs, split_graphs(graphs, chosen, seed) if split is None else split, chosen, seed)

    @classmethod
    def of(cls, graphs: GraphCollection, *, seed: int, options: Mapping[str, Any] | None = None) -> GraphRegression:
        """Returns the task of graphs from Python.

        Args:
            graphs: with a value each.
            seed: decides the split.
            options: values for ``options_model``; ``target`` has no effect.

        Raises:
            DataError: the graphs have classes instead of values.
        """
        if graphs.class_names:
            raise DataError(f"{graphs.name}: its graphs have classes, not values; take 'GraphClassification'.")
        chosen = parse_options(GraphOptions, options or {}, where="task options")
        return cls(graphs, split_graphs(graphs, chosen, seed), chosen, seed)

    @classmethod
    def recognises(cls, data: str) -> bool:
        return data in VALUES or (data.lower().endswith(".npz") and holds_graphs(Path(data), "values"))

    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Returns the mean squared error; there are no labels to smooth."""
        return F.mse_loss(batch.counted(outputs)[:, 0], batch.target.to(outputs.dtype))

    def distillation_loss(self, outputs: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        return F.mse_loss(batch.counted(outputs), batch.counted(teacher))

    def evaluate(self, model: nn.Module, part: Part, batch_size: int, limit: int | None = None) -> dict[str, float]:
        with evaluation_mode(model):
            return self.score((model(*batch.inputs), batch) for batch in self.batches(part, batch_size, limit))

    def score(self, answers: Iterable[tuple[Tensor, Batch]]) -> dict[str, float]:
        found: list[Tensor] = []
        wanted: list[Tensor] = []
        with torch.no_grad():
            for outputs, batch in answers:
                found.append(batch.counted(outputs)[:, 0].double().cpu())
                wanted.append(batch.target.double().cpu())
        if not found or not bool(torch.isfinite(torch.cat(found)).all()):
            return dict.fromkeys(("error", "loss", "mae"), float("nan"))
        predicted, true = torch.cat(found), torch.cat(wanted)
        squared = float(((predicted - true) ** 2).mean())
        variance = float(true.var(correction=0))
        return {
            "error": min(1.0, squared / variance) if variance else float(squared > 0),
            "loss": squared,
            "mae": float((predicted - true).abs().mean()) * self._deviation,
        }

    def describe(self) -> dict[str, Any]:
        target = {"mean": self._mean, "deviation": self._deviation}
        return {"task": "graph-regression", "normalisation of the target": target, **super().describe()}

    def _targets(self, rows: Sequence[int]) -> Tensor:
        values = (self._data.y[list(rows)].astype(np.float64) - self._mean) / self._deviation
        return torch.from_numpy(values.astype(np.float32))
