"""A classification task asked about some of its classes only, with these numbered anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, final

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from automl.errors import ConfigError, did_you_mean
from automl.tasks.classification import evaluate_classifier, score_classifier, wrong_answers
from automl.tasks.splits import Part
from automl.tasks.task import Batch, Task

__all__ = ["ClassSubset", "find_classes"]


@final
class ClassSubset(Task):
    """Those samples of a task that belong to some of its classes; class ``classes[i]`` becomes class ``i``.

    Inputs stay whole and rows are chosen among the outputs, so samples may depend on each other as the nodes of a graph do.

    Args:
        whole: a classification task, which stays as it is.
        classes: numbers of the classes, in the order of the new outputs.

    Example:
        >>> from automl.tasks import ImageClassification
        >>> task = ClassSubset(ImageClassification.load("digits", seed=0), [7, 2])
        >>> task.outputs, task.describe()["classes"], sorted({int(t) for b in task.batches("test", 64) for t in b.target})
        (2, ['7', '2'], [0, 1])
    """

    options_model: ClassVar[type[BaseModel]] = BaseModel
    signal: ClassVar[str] = ""

    def __init__(self, whole: Task, classes: Sequence[int]) -> None:
        self._whole: Final = whole
        self._classes: Final = tuple(classes)
        self.input_width = whole.input_width
        self.outputs = len(self._classes)
        self.sample_shape = whole.sample_shape
        self.fingerprint = whole.fingerprint
        numbers = torch.full((whole.outputs,), -1, dtype=torch.int64)
        numbers[list(self._classes)] = torch.arange(self.outputs)
        self._numbers: Final = numbers
        self.split = {part: rows[: self._count(part)] for part, rows in whole.split.items()}  # type: ignore[arg-type]

    @classmethod
    def load(cls, data: str, **settings: Any) -> Task:
        """Not a source of data of its own.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"data: {data!r}: a subset of classes is made from another task, not loaded.")

    @classmethod
    def recognises(cls, data: str) -> bool:
        return False

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> None:
        self._whole.to(device, dtype)

    def train_batches(self, rng: np.random.Generator, batch_size: int) -> Iterator[Batch]:
        return self._asked(self._whole.train_batches(rng, batch_size))

    def batches(self, part: Part, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        return self._asked(self._whole.batches(part, batch_size, limit))

    def calibration_batches(self, seed: int, samples: int, batch_size: int) -> Iterator[Batch]:
        """Yields those of the whole task: statistics of all classes are those that the weights were trained with."""
        return self._whole.calibration_batches(seed, samples, batch_size)

    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        return self._whole.loss(outputs, batch, label_smoothing)

    def evaluate(self, model: nn.Module, part: Part, batch_size: int, limit: int | None = None) -> dict[str, float]:
        return evaluate_classifier(model, self.batches(part, batch_size, limit), self.outputs)

    def score(self, answers: Iterable[tuple[Tensor, Batch]]) -> dict[str, float]:
        return score_classifier(answers, self.outputs)

    def sample_scores(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        return {"error": wrong_answers(outputs, batch)}

    def example_inputs(self, batch_size: int) -> tuple[Tensor, ...]:
        return self._whole.example_inputs(batch_size)

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._whole.input_names

    @property
    def dynamic_axes(self) -> tuple[dict[int, str], ...]:
        return self._whole.dynamic_axes

    def describe(self) -> dict[str, Any]:
        whole = self._whole.describe()
        samples = {part: len(rows) for part, rows in self.split.items()}
        return {**whole, "classes": [whole["classes"][number] for number in self._classes], "samples": samples}

    def _asked(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            target = self._numbers.to(batch.target.device)[batch.target]
            rows = (target >= 0).nonzero().flatten()
            if len(rows):
                yield Batch(batch.inputs, target[rows], rows if batch.index is None else batch.index[rows])

    def _count(self, part: Part) -> int:
        return sum(len(batch.target) for batch in self.batches(part, 4096))


def find_classes(task: Task, texts: Sequence[str], where: str) -> list[int]:
    """Returns the numbers of classes that a user named.

    Args:
        task: a classification task.
        texts: names of classes, with commas between where one text holds several.
        where: option that held them; messages start with it.

    Raises:
        ConfigError: the task has no classes, a name is none of them, one is named twice, or fewer than two are named.
    """
    described = task.describe().get("classes")
    if not isinstance(described, Sequence) or isinstance(described, str):
        raise ConfigError(f"{where}: the task {task.describe().get('task', '')!r} has no classes to choose from.")
    known: Mapping[str, int] = {str(name): number for number, name in enumerate(described)}
    names = [word.strip() for text in texts for word in text.split(",") if word.strip()]
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: unknown class {name!r}.{did_you_mean(name, known)}")
    if len(set(names)) != len(names):
        raise ConfigError(f"{where} {','.join(names)}: a class is named twice.")
    if len(names) < 2:
        raise ConfigError(f"{where} {','.join(names)}: name at least two classes to tell apart.")
    return [known[name] for name in names]
