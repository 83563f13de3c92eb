"""A task and a network without files or images, on which components of any kind can be tried in milliseconds.

Two inputs of different types, so that whatever assumes one tensor, or floating point, or images, is found out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, final

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.options import parse_options
from automl.space import Ordinal, SizeLike
from automl.supernet import Stage, Supernet
from automl.tasks import (
    Batch,
    Task,
    check_split,
    evaluate_classifier,
    score_classifier,
    stratified_split,
    wrong_answers,
)
from automl.tasks.splits import Part

__all__ = ["ToyNetwork", "ToyTask", "toy_supernet"]

_FEATURES, _GROUPS, _CLASSES, _SAMPLES = 6, 4, 3, 90


class _NoOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")


@final
class ToyTask(Task):
    """Three classes of random vectors, each vector with the number of its group.

    Shape:
        Inputs ``(samples, 6)`` floating point and ``(samples,)`` int64 below 4; outputs ``(samples, 3)``.
    """

    options_model: ClassVar[type[BaseModel]] = _NoOptions
    signal: ClassVar[str] = "tabular"

    def __init__(self, seed: int, split: Mapping[str, list[int]] | None = None) -> None:
        rng = np.random.default_rng(7)
        labels = np.arange(_SAMPLES) % _CLASSES
        groups = rng.integers(_GROUPS, size=_SAMPLES)
        centres = rng.normal(size=(_CLASSES, _FEATURES)) * 2
        self._x = torch.tensor(centres[labels] + rng.normal(size=(_SAMPLES, _FEATURES)), dtype=torch.float32)
        self._groups = torch.tensor(groups)
        self._labels = torch.tensor(labels)
        self.input_width = _FEATURES
        self.outputs = _CLASSES
        self.sample_shape = (_FEATURES,)
        self.fingerprint = "toy"
        fresh = stratified_split(labels, seed=seed, validation=0.2, test=0.2)
        self.split = fresh if split is None else check_split(split, _SAMPLES)

    @classmethod
    def load(
        cls,
        data: str = "toy",
        *,
        seed: int,
        split: Mapping[str, list[int]] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ToyTask:
        parse_options(_NoOptions, options or {}, "task_options")
        return cls(seed, split)

    @classmethod
    def recognises(cls, data: str) -> bool:
        return data == "toy"

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> None:
        self._x = self._x.to(device, dtype)
        self._groups = self._groups.to(device)
        self._labels = self._labels.to(device)

    def train_batches(self, rng: np.random.Generator, batch_size: int) -> Iterator[Batch]:
        yield from self._in_batches(rng.permutation(self.split["train"]).tolist(), batch_size)

    def batches(self, part: Part, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        yield from self._in_batches(self.split[part][:limit], batch_size)

    def calibration_batches(self, seed: int, samples: int, batch_size: int) -> Iterator[Batch]:
        chosen = np.random.default_rng(seed).permutation(self.split["train"])[:samples]
        yield from self._in_batches(chosen.tolist(), batch_size)

    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(outputs, batch.target, label_smoothing=label_smoothing)

    def evaluate(self, model: nn.Module, part: Part, batch_size: int, limit: int | None = None) -> dict[str, float]:
        return evaluate_classifier(model, self.batches(part, batch_size, limit), _CLASSES)

    def score(self, answers: Iterable[tuple[Tensor, Batch]]) -> dict[str, float]:
        return score_classifier(answers, _CLASSES)

    def sample_scores(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        return {"error": wrong_answers(outputs, batch)}

    def example_inputs(self, batch_size: int) -> tuple[Tensor, ...]:
        rows = [i % _SAMPLES for i in range(batch_size)]
        return self._x[rows], self._groups[rows]

    @property
    def input_names(self) -> tuple[str, ...]:
        return "x", "group"

    @property
    def dynamic_axes(self) -> tuple[dict[int, str], ...]:
        return {0: "batch"}, {0: "batch"}

    def describe(self) -> dict[str, Any]:
        return {"samples": {part: len(indices) for part, indices in self.split.items()}, "classes": _CLASSES}

    def head(self, width: SizeLike) -> nn.Module:
        return elastic.Linear(width, _CLASSES)

    def _in_batches(self, indices: list[int], size: int) -> Iterator[Batch]:
        for start in range(0, len(indices), size):
            rows = indices[start : start + size]
            if len(rows) > 1 or len(indices) == 1:
                yield Batch((self._x[rows], self._groups[rows]), self._labels[rows])


@final
class ToyNetwork(nn.Module):
    """Elastic layers for ``ToyTask``: two widths, a depth, a choice, and batch norm.

    Shape:
        x: ``(samples, 6)``; group: ``(samples,)`` int64. Returns ``(samples, 3)``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.width = Ordinal(4, 7, 9)
        self.hidden = Ordinal(3, 5)
        self.embed = elastic.Linear(_FEATURES, self.width)
        self.group = elastic.Embedding(_GROUPS, self.width)
        self.norm = elastic.BatchNorm1d(self.width)
        self.layers = elastic.Repeat([self._layer() for _ in range(2)], Ordinal(1, 2))
        self.head = elastic.Linear(self.width, _CLASSES)

    def _layer(self) -> nn.Module:
        wide = nn.Sequential(
            elastic.Linear(self.width, self.hidden), nn.ReLU(), elastic.Linear(self.hidden, self.width)
        )
        return elastic.Choice({"plain": elastic.Linear(self.width, self.width), "bottleneck": wide})

    def forward(self, x: Tensor, group: Tensor) -> Tensor:
        """Returns the logits."""
        features = torch.relu(self.norm(self.embed(x) + self.group(group)))
        logits: Tensor = self.head(self.layers(features))
        return logits

    def stages(self) -> list[Stage]:
        """Returns everything in front of the head as one stage."""
        parts = (self.embed, self.group, self.norm, self.layers)
        return [Stage(self.layers, parts, tuple(int(width) for width in self.width.choices))]


def toy_supernet(seed: int) -> Supernet:
    """Returns a supernet for ``ToyTask``; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Supernet(ToyNetwork())
