"""Batch normalisation with elastic width, one set of statistics for all subnetworks."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.elastic.layer import ElasticLayer
from automl.elastic.selection import Selection
from automl.elastic.specialise import plain_layer
from automl.elastic.validation import check_count
from automl.space import SizeLike

__all__ = ["BatchNorm", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d"]


class _Arguments(NamedTuple):
    mean: Tensor
    variance: Tensor
    weight: Tensor | None
    bias: Tensor | None


class BatchNorm(ElasticLayer[Selection, _Arguments]):
    """What batch normalisations of any number of axes share; see ``BatchNorm2d``."""

    ranks: ClassVar[tuple[int, ...]]
    plain: ClassVar[type[nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d]]
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self, num_features: SizeLike, *, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True
    ) -> None:
        super().__init__()
        largest = check_count(f"{type(self).__name__}: num_features", num_features)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(largest)) if affine else None
        self.bias = nn.Parameter(torch.zeros(largest)) if affine else None
        self.register_buffer("running_mean", torch.zeros(largest))
        self.register_buffer("running_var", torch.ones(largest))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        """Normalises; in training mode by the batch, updating the active statistics."""
        if x.dim() not in self.ranks:
            raise ValueError(f"{type(self).__name__}: expected {self.ranks} axes, got the shape {tuple(x.shape)}.")
        mean, variance, weight, bias = self._arguments()
        if not self.training:
            return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, self.eps)
        self.num_batches_tracked.add_(1)
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        result = F.batch_norm(x, mean, variance, weight, bias, True, momentum, self.eps)
        if (
            self._selection().index is not None
        ):  # the statistics were gathered, so the update has not reached the buffers
            self.set_statistics(mean, variance)
        return result

    def active_statistics(self) -> tuple[Tensor, Tensor]:
        """Returns copies of the running mean and variance of the active channels, ``(num_features,)`` each."""
        selection = self._selection()
        return selection.take(self.running_mean).clone(), selection.take(self.running_var).clone()

    @torch.no_grad()
    def set_statistics(self, mean: Tensor, variance: Tensor) -> None:
        """Writes the running statistics of the active channels; the other channels keep theirs.

        Args:
            mean: ``(num_features,)``.
            variance: ``(num_features,)``, unbiased.

        Raises:
            ValueError: a shape is not that of the active channels.
        """
        selection = self._selection()
        if mean.shape != (selection.count,) or variance.shape != (selection.count,):
            raise ValueError(
                f"{type(self).__name__}: expected statistics of {selection.count} active channels, got the shapes "
                f"{tuple(mean.shape)} and {tuple(variance.shape)}."
            )
        selection.put(self.running_mean, mean)
        selection.put(self.running_var, variance)

    def specialise(self) -> nn.Module:
        """Returns the plain layer with copied active weights and statistics."""
        selection = self._selection()
        mean, variance, weight, bias = self._cut(selection)
        return plain_layer(
            self.plain,
            selection.count,
            eps=self.eps,
            momentum=self.momentum,
            affine=weight is not None,
            training=self.training,
            weights={"weight": (weight, self.weight), "bias": (bias, self.bias)},
            buffers={"running_mean": mean, "running_var": variance, "num_batches_tracked": self.num_batches_tracked},
        )

    def _select(self) -> Selection:
        return Selection.of(self.num_features, self.running_mean.device)

    def _cut(self, selection: Selection) -> _Arguments:
        return _Arguments(
            selection.take(self.running_mean),
            selection.take(self.running_var),
            None if self.weight is None else selection.take(self.weight),
            None if self.bias is None else selection.take(self.bias),
        )

    def extra_repr(self) -> str:
        """Returns the arguments."""
        affine = self.weight is not None
        return f"{self.num_features!r}, eps={self.eps}, momentum={self.momentum}, affine={affine}"


@final
class BatchNorm1d(BatchNorm):
    """Batch normalisation of vectors or sequences; all else as in ``BatchNorm2d``.

    Shape:
        x: ``(batch, num_features)`` or ``(batch, num_features, length)``. Returns the same.

    Specialised:
        ``nn.BatchNorm1d``.

    Example:
        >>> BatchNorm1d(6)(torch.randn(5, 6)).shape
        torch.Size([5, 6])
    """

    ranks = (2, 3)
    plain = nn.BatchNorm1d


@final
class BatchNorm2d(BatchNorm):
    """Batch normalisation of images, whose width is searched.

    ``y = (x - mean) / sqrt(variance + eps) * weight + bias`` per channel. Subnetworks share the running statistics, which
    fit none of them after training: calibrate the active ones (``set_statistics``) before a subnetwork is used.

    Args:
        num_features: width, in channels.
        eps: added to the variance.
        momentum: weight of a new batch in the running statistics; ``None`` averages all batches equally.
        affine: scale and shift each channel by learned numbers.

    Shape:
        x: ``(batch, num_features, height, width)``. Returns the same.
        weight, bias, running_mean, running_var: ``(max num_features,)``.

    Raises:
        SpaceError: a width that is no whole number of at least 1 under every setting.

    Specialised:
        ``nn.BatchNorm2d`` with copied weights and statistics.

    Example:
        >>> from automl.space import Ordinal
        >>> width = Ordinal(4, 6)
        >>> layer = BatchNorm2d(width)
        >>> width.value = 4
        >>> y = layer(torch.randn(2, 4, 3, 3))
        >>> layer.running_mean[4:]
        tensor([0., 0.])
    """

    ranks = (4,)
    plain = nn.BatchNorm2d


@final
class BatchNorm3d(BatchNorm):
    """Batch normalisation of videos or volumes; all else as in ``BatchNorm2d``.

    Shape:
        x: ``(batch, num_features, depth, height, width)``. Returns the same.

    Specialised:
        ``nn.BatchNorm3d``.

    Example:
        >>> BatchNorm3d(2)(torch.randn(1, 2, 3, 4, 5)).shape
        torch.Size([1, 2, 3, 4, 5])
    """

    ranks = (5,)
    plain = nn.BatchNorm3d
