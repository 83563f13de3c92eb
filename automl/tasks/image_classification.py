"""Classification of images of one shape: digits, an ``.npz`` file, or a folder of class folders."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn import functional as F

from automl.errors import DataError
from automl.options import parse_options
from automl.tasks.augmentation import flip_images, pad_images, shift_images
from automl.tasks.classification import evaluate_classifier, score_classifier, wrong_answers
from automl.tasks.image_arrays import read_digits, read_npz
from automl.tasks.image_data import ImageData
from automl.tasks.image_folder import is_class_folder, read_folder
from automl.tasks.image_options import ImageOptions
from automl.tasks.splits import PARTS, Part, check_split, stratified_split
from automl.tasks.task import Batch, Task

if TYPE_CHECKING:
    from automl.space import SizeLike

__all__ = ["ImageClassification"]


@final
class ImageClassification(Task):
    """Assigns one of several classes to an image.

    All images are normalised with the mean and standard deviation of the training part, kept as tensors per part, and
    moved once.

    Args:
        data: the labelled images.
        split: indices of the samples of each part.
        options: augmentation and the like.

    Example:
        >>> task = ImageClassification.load("digits", seed=0)
        >>> task.sample_shape, task.outputs, {part: len(rows) for part, rows in task.split.items()}
        ((1, 8, 8), 10, {'train': 1079, 'validation': 359, 'test': 359})
    """

    options_model: ClassVar[type[BaseModel]] = ImageOptions
    signal: ClassVar[str] = "image"

    def __init__(self, data: ImageData, split: Mapping[str, list[int]], options: ImageOptions) -> None:
        self.split = check_split(split, len(data.pixels), where=f"{data.source}: split")
        self.sample_shape = tuple(data.pixels.shape[1:])
        self.input_width = self.sample_shape[0]
        self.outputs = len(data.classes)
        self.fingerprint = data.fingerprint()
        self._source: Final = data.source
        self._classes: Final = data.classes
        self._skipped: Final = data.skipped
        self._augment: Final = options.augment
        self._shift: Final = _shift(options, self.sample_shape)

        pixels = torch.from_numpy(data.pixels)
        labels = torch.from_numpy(data.labels)
        train = pixels[self.split["train"]]
        deviation, mean = torch.std_mean(train.double(), dim=(0, 2, 3), correction=0)
        deviation[deviation == 0] = 1  # a constant channel stays zero instead of becoming infinite
        self._mean: Final = mean.tolist()
        self._deviation: Final = deviation.tolist()
        scale, offset = deviation.float()[:, None, None], mean.float()[:, None, None]
        self._images = {part: (pixels[self.split[part]] - offset) / scale for part in PARTS}
        self._targets = {part: labels[self.split[part]] for part in PARTS}
        self._padded = pad_images(self._images["train"], self._shift, (-mean / deviation).float())

    @classmethod
    def load(
        cls,
        data: str,
        *,
        seed: int,
        split: Mapping[str, list[int]] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ImageClassification:
        chosen = parse_options(ImageOptions, options or {}, where="task options")
        images = _read(data, chosen)
        if split is None:
            split = stratified_split(
                images.labels,
                seed=seed,
                validation=chosen.validation,
                test=chosen.test,
                names=images.classes,
                where=images.source,
            )
        return cls(images, split, chosen)

    @classmethod
    def recognises(cls, data: str) -> bool:
        try:
            return data == "digits" or data.lower().endswith(".npz") or is_class_folder(Path(data))
        except OSError:
            return False

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> None:
        self._images = {part: images.to(device, dtype) for part, images in self._images.items()}
        self._targets = {part: targets.to(device) for part, targets in self._targets.items()}
        self._padded = self._padded.to(device, dtype)

    def train_batches(self, rng: np.random.Generator, batch_size: int) -> Iterator[Batch]:
        targets = self._targets["train"]
        order = torch.from_numpy(rng.permutation(len(targets))).to(targets.device)
        for rows in torch.split(order, batch_size):
            if len(rows) == 1 < min(batch_size, len(order)):
                continue
            images = shift_images(self._padded, rows, self._shift, rng) if self._shift else self._padded[rows]
            if self._augment == "shift-flip":
                images = flip_images(images, rng)
            yield Batch((images,), targets[rows])

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Shifts and mirrors as the options of the task say, then adds noise."""
        (images,) = batch.inputs
        if self._shift:
            fill = torch.tensor([-m / d for m, d in zip(self._mean, self._deviation, strict=True)])
            rows = torch.arange(len(images), device=images.device)
            images = shift_images(pad_images(images, self._shift, fill), rows, self._shift, rng)
        if self._augment == "shift-flip":
            images = flip_images(images, rng)
        return super().augment(Batch((images,), batch.target), rng)

    def batches(self, part: Part, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        images, targets = self._images[part][:limit], self._targets[part][:limit]
        for start in range(0, len(targets), batch_size):
            yield Batch((images[start : start + batch_size],), targets[start : start + batch_size])

    def calibration_batches(self, seed: int, samples: int, batch_size: int) -> Iterator[Batch]:
        images, targets = self._images["train"], self._targets["train"]
        chosen = np.random.default_rng(seed).permutation(len(targets))[:samples]
        for rows in torch.split(torch.from_numpy(chosen).to(targets.device), batch_size):
            yield Batch((images[rows],), targets[rows])

    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(batch.counted(outputs), batch.target, label_smoothing=label_smoothing)

    def evaluate(self, model: nn.Module, part: Part, batch_size: int, limit: int | None = None) -> dict[str, float]:
        return evaluate_classifier(model, self.batches(part, batch_size, limit), self.outputs)

    def score(self, answers: Iterable[tuple[Tensor, Batch]]) -> dict[str, float]:
        return score_classifier(answers, self.outputs)

    def sample_scores(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        return {"error": wrong_answers(outputs, batch)}

    def example_inputs(self, batch_size: int) -> tuple[Tensor, ...]:
        images = self._images["validation"]
        rows = torch.arange(batch_size, device=images.device) % len(images)
        return (images[rows],)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("images",)

    @property
    def dynamic_axes(self) -> tuple[dict[int, str], ...]:
        return ({0: "batch"},)

    def head(self, width: SizeLike) -> nn.Module:
        from automl.tasks.classifier_head import PooledClassifier  # the elastic layers are needed by supernets only

        return PooledClassifier(width, self.outputs)

    def steps_per_epoch(self, batch_size: int) -> int:
        samples = len(self.split["train"])
        whole, rest = divmod(samples, batch_size)
        return whole + (rest > 1 or samples == rest == 1)

    def shard(self, batch: Batch, rank: int, world_size: int) -> Batch:
        if world_size == 1:
            return batch
        even = len(batch.target) - len(batch.target) % world_size
        own = slice(rank, even, world_size)
        return Batch(tuple(tensor[own] for tensor in batch.inputs), batch.target[own])

    def describe(self) -> dict[str, Any]:
        return {
            "task": "image-classification",
            "data": self._source,
            "fingerprint": self.fingerprint,
            "sample_shape": list(self.sample_shape),
            "classes": list(self._classes),
            "samples": {part: len(rows) for part, rows in self.split.items()},
            "normalisation": {"mean": self._mean, "deviation": self._deviation},
            "augmentation": {"kind": self._augment, "shift": self._shift},
            "skipped": dict(self._skipped),
        }


def _read(data: str, options: ImageOptions) -> ImageData:
    if data == "digits":
        return read_digits()
    path = Path(data)
    if data.lower().endswith(".npz") and path.exists():
        return read_npz(path, options)
    if path.is_dir():
        return read_folder(path, options)
    if path.is_file():
        raise DataError(
            f"{data}: is no .npz file; expected 'digits', an .npz file with 'x' and 'y', or a folder of class folders."
        )
    near = difflib.get_close_matches(data, ["digits", *_neighbours(path)], n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise DataError(
        f"{data}: no such file or folder; expected 'digits', an .npz file with 'x' and 'y', or a folder of class "
        f"folders.{hint}"
    )


def _neighbours(path: Path) -> list[str]:
    """Paths beside ``path``, written as the user wrote it; none where the folder cannot be listed."""
    try:
        return [str(path.parent / child.name) for child in path.parent.iterdir() if not child.name.startswith(".")]
    except OSError:
        return []


def _shift(options: ImageOptions, shape: tuple[int, ...]) -> int:
    """Largest shift in pixels; never so large that nothing of an image is left."""
    if options.augment == "none":
        return 0
    shorter = min(shape[1:])
    if options.shift is not None:
        return min(options.shift, shorter - 1)
    return min(max(1, math.floor(shorter / 8)), 4, shorter - 1)
