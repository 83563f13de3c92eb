"""Elastic networks of every kind, small and with sizes that all differ."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import Dimension, Number, Ordinal, SearchSpace, Size


class Picked(Size):
    """A size whose active units are the first ones of a given order instead of a prefix."""

    def __init__(self, size: Ordinal, order: Sequence[int]) -> None:
        self.size = size
        self.order = tuple(order)

    @property
    def value(self) -> Number:
        return self.size.value

    @property
    def minimum(self) -> Number:
        return self.size.minimum

    @property
    def maximum(self) -> Number:
        return self.size.maximum

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return (self.size,)

    def indices(self) -> tuple[int, ...]:
        return self.order[: int(self.size)]


@dataclass(frozen=True)
class Subject:
    """A module, its dimensions, and inputs that fit its active subnetwork."""

    module: nn.Module
    dimensions: tuple[Dimension, ...]
    inputs: Callable[[int, torch.dtype], tuple[Tensor, ...]]

    def settings(self) -> Iterator[tuple[int, ...]]:
        """Activates every setting in turn and yields it."""
        for setting in itertools.product(*(range(len(d.choices)) for d in self.dimensions)):
            self.activate(setting)
            yield setting

    def activate(self, setting: Sequence[int]) -> None:
        for dimension, index in zip(self.dimensions, setting, strict=True):
            dimension.set_index(index)


def _image(width: int | Size, *extent: int) -> Callable[[int, torch.dtype], tuple[Tensor, ...]]:
    return lambda batch, dtype: (torch.randn(batch, int(width), *extent, dtype=dtype),)


def _tokens(width: int | Size) -> Callable[[int, torch.dtype], tuple[Tensor, ...]]:
    return lambda batch, dtype: (torch.randn(batch, 4, int(width), dtype=dtype),)


def _linear() -> Subject:
    inp, out = Ordinal(2, 3, 5), Ordinal(4, 7)
    return Subject(elastic.Linear(inp, out), (inp, out), _tokens(inp))


def _linear_by_index() -> Subject:
    inp, out = Picked(Ordinal(2, 3, 5), (4, 1, 0, 3, 2)), Picked(Ordinal(4, 7), (6, 2, 4, 1, 0, 3, 5))
    return Subject(elastic.Linear(inp, out, bias=False), (inp.size, out.size), _tokens(inp))


def _conv1d() -> Subject:
    inp, out, kernel, dilation = Ordinal(2, 3), Ordinal(3, 5), Ordinal(1, 3, 5), Ordinal(1, 2)
    layer = elastic.Conv1d(inp, out, kernel, stride=2, dilation=dilation)
    return Subject(layer, (inp, out, kernel, dilation), _image(inp, 13))


def _conv2d() -> Subject:
    inp, out, kernel = Ordinal(2, 3), Ordinal(3, 5), Ordinal(3, 5, 7)
    return Subject(elastic.Conv2d(inp, out, kernel, stride=(2, 1)), (inp, out, kernel), _image(inp, 9, 8))


def _conv2d_by_index() -> Subject:
    inp, out = Picked(Ordinal(2, 3), (2, 0, 1)), Picked(Ordinal(3, 5), (4, 0, 3, 2, 1))
    kernel = Ordinal(2, 4)
    layer = elastic.Conv2d(inp, out, (kernel, 3), bias=False)
    return Subject(layer, (inp.size, out.size, kernel), _image(inp, 7, 6))


def _depthwise() -> Subject:
    width, kernel = Ordinal(3, 4, 7), Ordinal(3, 5)
    return Subject(elastic.Conv2d(width, width, kernel, depthwise=True), (width, kernel), _image(width, 6, 5))


def _depthwise_by_index() -> Subject:
    width = Picked(Ordinal(2, 4), (3, 1, 0, 2))
    return Subject(elastic.Conv2d(width, width, 3, depthwise=True), (width.size,), _image(width, 6, 5))


def _depthwise_multiplied() -> Subject:
    width = Ordinal(2, 3)
    return Subject(elastic.Conv2d(width, width * 3, 3, depthwise=True), (width,), _image(width, 6, 5))


def _grouped() -> Subject:
    inp, out = Ordinal(2, 4, 6), Ordinal(4, 10)
    return Subject(elastic.Conv2d(inp, out, 3, groups=2), (inp, out), _image(inp, 6, 5))


def _grouped_by_width() -> Subject:
    width = Ordinal(4, 8, 12)
    return Subject(elastic.Conv2d(width, width, 3, groups=width // 4), (width,), _image(width, 6, 5))


def _grouped_by_index() -> Subject:
    inp = Picked(Ordinal(2, 6), (1, 4, 0, 3, 2, 5))
    out = Ordinal(4, 8)
    return Subject(elastic.Conv2d(inp, out, 3, groups=2), (inp.size, out), _image(inp, 6, 5))


def _conv3d() -> Subject:
    inp, out, kernel = Ordinal(1, 2), Ordinal(2, 3), Ordinal(1, 3)
    return Subject(elastic.Conv3d(inp, out, (kernel, 3, 1), stride=2), (inp, out, kernel), _image(inp, 5, 4, 3))


def _transposed() -> Subject:
    inp, out, kernel = Ordinal(2, 3), Ordinal(3, 5), Ordinal(2, 4)
    return Subject(elastic.ConvTranspose2d(inp, out, kernel, stride=2), (inp, out, kernel), _image(inp, 4, 3))


def _transposed_grouped() -> Subject:
    inp, out, kernel = Ordinal(2, 6), Ordinal(4, 8), Ordinal(1, 3)
    layer = elastic.ConvTranspose2d(inp, out, kernel, stride=2, groups=2, bias=False)
    return Subject(layer, (inp, out, kernel), _image(inp, 4, 3))


def _batch_norm1d() -> Subject:
    width = Ordinal(2, 3, 5)
    return Subject(elastic.BatchNorm1d(width), (width,), _image(width, 4))


def _batch_norm2d_by_index() -> Subject:
    width = Picked(Ordinal(2, 3, 5), (4, 1, 3, 0, 2))
    return Subject(elastic.BatchNorm2d(width), (width.size,), _image(width, 4, 3))


def _batch_norm3d() -> Subject:
    width = Ordinal(2, 3)
    return Subject(elastic.BatchNorm3d(width, affine=False), (width,), _image(width, 4, 3, 2))


def _layer_norm() -> Subject:
    width = Ordinal(3, 5, 8)
    return Subject(elastic.LayerNorm(width), (width,), _tokens(width))


def _layer_norm_by_index() -> Subject:
    width = Picked(Ordinal(3, 5), (4, 1, 0, 3, 2))
    return Subject(elastic.LayerNorm(width, bias=False), (width.size,), _tokens(width))


def _rms_norm() -> Subject:
    width = Ordinal(3, 5, 8)
    return Subject(elastic.RMSNorm(width), (width,), _tokens(width))


def _group_norm() -> Subject:
    width, groups = Ordinal(4, 8), Ordinal(1, 2, 4)
    return Subject(elastic.GroupNorm(groups, width), (width, groups), _image(width, 3, 2))


def _embedding() -> Subject:
    entries, width = Ordinal(4, 7), Ordinal(2, 3, 5)
    return Subject(
        elastic.Embedding(entries, width),
        (entries, width),
        lambda batch, dtype: (torch.arange(int(entries)).expand(batch, -1),),
    )


def _attention() -> Subject:
    width, heads, context = Ordinal(3, 6), Ordinal(1, 2, 3), Ordinal(2, 5)
    layer = elastic.MultiheadAttention(width, heads, head_dim=4, context_width=context)

    def inputs(batch: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
        return (
            torch.randn(batch, 5, int(width), dtype=dtype),
            torch.randn(batch, 7, int(context), dtype=dtype),
            torch.randn(int(heads), 5, 7, dtype=dtype),
        )

    return Subject(layer, (width, heads, context), inputs)


def _containers() -> Subject:
    """Choice, Repeat and Skip in one another, around coupled widths."""
    width, hidden = Ordinal(4, 6), Ordinal(3, 7)
    blocks = [
        elastic.Choice(
            {
                "a.linear": elastic.Linear(width, width),
                "mlp": nn.Sequential(elastic.Linear(width, hidden), nn.Tanh(), elastic.Linear(hidden, width)),
                "none": nn.Identity(),
            }
        )
        for _ in range(2)
    ]
    skip = elastic.Skip(elastic.LayerNorm(width))
    repeat = elastic.Repeat(blocks, Ordinal(0, 1, 2))
    module = nn.Sequential(elastic.Linear(5, width), repeat, skip, elastic.Dropout(Ordinal(0.0, 0.5)))
    module.eval()
    dimensions = (width, hidden, blocks[0].choice, blocks[1].choice, repeat.depth, skip.keep)
    return Subject(module, dimensions, _tokens(5))  # type: ignore[arg-type]


class Joined(nn.Module):
    """Two branches, concatenated, then layers that select by index."""

    def __init__(self, left: Ordinal, right: Ordinal, out: Ordinal) -> None:
        super().__init__()
        self.left = elastic.Conv2d(2, left, 3)
        self.right = elastic.Conv2d(2, right, 1)
        self.concat = elastic.Concat([left, right])
        self.norm = elastic.BatchNorm2d(self.concat.width)
        self.depthwise = elastic.Conv2d(self.concat.width, self.concat.width, 3, depthwise=True)
        self.project = elastic.Conv2d(self.concat.width, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        joined = self.concat(self.left(x), self.right(x))
        return self.project(self.depthwise(self.norm(joined)))


def _joined() -> Subject:
    left, right, out = Ordinal(1, 3), Ordinal(2, 4), Ordinal(3, 5)
    module = Joined(left, right, out)
    module.eval()
    return Subject(module, (left, right, out), _image(2, 5, 6))


SUBJECTS = {
    build.__name__.removeprefix("_"): build
    for build in (
        _linear,
        _linear_by_index,
        _conv1d,
        _conv2d,
        _conv2d_by_index,
        _depthwise,
        _depthwise_by_index,
        _depthwise_multiplied,
        _grouped,
        _grouped_by_width,
        _grouped_by_index,
        _conv3d,
        _transposed,
        _transposed_grouped,
        _batch_norm1d,
        _batch_norm2d_by_index,
        _batch_norm3d,
        _layer_norm,
        _layer_norm_by_index,
        _rms_norm,
        _group_norm,
        _embedding,
        _attention,
        _containers,
        _joined,
    )
}


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Draws all parameters and statistics at random: no symmetry, positive variances."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            if tensor.is_floating_point():
                draw = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(draw.abs() + 0.3 if name.endswith("running_var") else draw)
            else:
                tensor.fill_(17)
    return module


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Subject:
    """Each elastic network in float64 and evaluation mode, with random weights and statistics."""
    torch.manual_seed(5)
    subject = SUBJECTS[request.param]()
    randomise(subject.module.double().eval())
    assert set(SearchSpace.of(subject.module).dimensions.values()) >= set(subject.dimensions)
    return subject


@pytest.fixture
def picked() -> type[Picked]:
    return Picked


@pytest.fixture
def random_weights() -> Callable[..., nn.Module]:
    return randomise
