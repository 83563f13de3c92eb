"""Every subnetwork of every block: extraction, shapes, small batches, gradients; in float64 with asymmetric weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from automl_vision.attention import AttentionBlock
from automl_vision.conv_stem import ConvStem
from automl_vision.convnext import ConvNeXtBlock
from automl_vision.mbconv import MBConv
from automl_vision.mobile_head import MobileHead
from automl_vision.pool_head import PoolHead
from automl_vision.residual import Residual
from torch import Tensor, nn

from automl.space import Ordinal, SizeLike
from automl.supernet import Supernet

Build = Callable[..., nn.Module]
BLOCKS: dict[str, Build] = {
    "attention": lambda inp, out, stride: AttentionBlock(
        inp, out, stride=stride, heads=[1, 3], head_dim=4, ratio=[1, 3], reach=2
    ),
    "conv_stem": lambda inp, out, stride: ConvStem(inp, out, stride=stride, kernel=[1, 3, 5], activation="silu"),
    "convnext": lambda inp, out, stride: ConvNeXtBlock(inp, out, stride=stride, kernel=[3, 7], ratio=[1, 2, 4]),
    "mbconv": lambda inp, out, stride: MBConv(
        inp, out, stride=stride, kernel=[3, 5], expansion=[1, 2, 3], squeeze_excite=[True, False]
    ),
    "residual": lambda inp, out, stride: Residual(
        inp, out, stride=stride, branch=["basic", "bottleneck"], kernel=[1, 3], reduction=2
    ),
}
HEADS: dict[str, Build] = {
    "mobile_head": lambda inp, out: MobileHead(inp, out, expansion=[2, 3], hidden=[5, 7], dropout=0.5),
    "pool_head": lambda inp, out: PoolHead(inp, out, dropout=0.5),
}


def shared_width() -> tuple[SizeLike, SizeLike]:
    width = Ordinal(5, 9)
    return width, width


def other_width() -> tuple[SizeLike, SizeLike]:
    return Ordinal(3, 5), Ordinal(4, 7)


def plain_widths() -> tuple[SizeLike, SizeLike]:
    return 5, 7


WIDTHS = {"shared": shared_width, "other": other_width, "plain": plain_widths}
every_block = pytest.mark.parametrize("name", BLOCKS)
every_stride = pytest.mark.parametrize("stride", [1, 2, 3])
every_width = pytest.mark.parametrize("widths", WIDTHS)


class Alone(nn.Module):
    """A block with the sizes that it was built for."""

    def __init__(self, block: nn.Module, inp: SizeLike, out: SizeLike) -> None:
        super().__init__()
        self.inp = inp
        self.out = out
        self.block = block

    def forward(self, x: Tensor) -> Any:
        return self.block(x)


def randomise(module: nn.Module) -> None:
    """Makes all weights and statistics different, and none symmetric around zero."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for tensor in module.parameters():
            fan_in = max(1, tensor[0].numel())
            tensor.copy_((torch.randn(tensor.shape, generator=generator, dtype=torch.float64) + 0.3) / fan_in**0.5)
        for name, tensor in module.named_buffers():
            if name.endswith("running_mean"):
                tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64) / 3 + 0.1)
            elif name.endswith("running_var"):
                tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.5)


def supernet_of(name: str, widths: str, stride: int) -> Supernet:
    inp, out = WIDTHS[widths]()
    supernet = Supernet(Alone(BLOCKS[name](inp, out, stride), inp, out)).double().eval()
    randomise(supernet)
    return supernet


def head_of(name: str, classes: int) -> Supernet:
    inp = Ordinal(3, 5, 9)
    supernet = Supernet(Alone(HEADS[name](inp, classes), inp, classes)).double().eval()
    randomise(supernet)
    return supernet


def images(supernet: Supernet, *, batch: int = 2, height: int = 5, width: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    channels = int(supernet.network.inp)  # type: ignore[arg-type]
    return torch.randn(batch, channels, height, width, generator=generator, dtype=torch.float64)


def activated(supernet: Supernet) -> Iterator[Any]:
    """Yields every architecture while it is active."""
    for architecture in supernet.space.enumerate():
        supernet.activate(architecture)
        yield architecture


@every_width
@every_stride
@every_block
@torch.no_grad()
def test_every_extracted_block_equals_the_active_one(name: str, stride: int, widths: str) -> None:
    supernet = supernet_of(name, widths, stride)
    outputs = []
    for architecture in activated(supernet):
        x = images(supernet)
        active, extracted = supernet(x), supernet.extract(architecture)(x)
        # Kernels may order the sums of a slice and of its copy differently, so not bitwise.
        torch.testing.assert_close(extracted, active, rtol=1e-12, atol=1e-12, msg=str(architecture))
        outputs.append((x.shape, active))
    for (shape, one), (other_shape, other) in itertools.combinations(outputs, 2):
        different = shape != other_shape or one.shape != other.shape or not torch.allclose(one, other)
        assert different, "two architectures compute the same"


@pytest.mark.parametrize("name", HEADS)
@torch.no_grad()
def test_every_extracted_head_equals_the_active_one(name: str) -> None:
    supernet = head_of(name, classes=4)
    for architecture in activated(supernet):
        x = images(supernet)
        active, extracted = supernet(x), supernet.extract(architecture)(x)
        assert active.shape == (2, 4)
        torch.testing.assert_close(extracted, active, rtol=1e-12, atol=1e-12, msg=str(architecture))


@every_width
@every_stride
@every_block
@pytest.mark.parametrize("shape", [(5, 7), (4, 6), (1, 3)], ids=str)
@torch.no_grad()
def test_maps_of_any_size_shrink_by_the_stride_rounded_up(
    name: str, stride: int, widths: str, shape: tuple[int, int]
) -> None:
    supernet = supernet_of(name, widths, stride)
    for architecture in (supernet.space.smallest(), supernet.space.largest()):
        supernet.activate(architecture)
        for batch in (0, 1, 3):
            y = supernet(images(supernet, batch=batch, height=shape[0], width=shape[1]))
            out = int(supernet.network.out)  # type: ignore[arg-type]
            assert y.shape == (batch, out, -(-shape[0] // stride), -(-shape[1] // stride))
            assert y.isfinite().all()


@pytest.mark.parametrize("name", HEADS)
@torch.no_grad()
def test_heads_take_one_image_and_none(name: str) -> None:
    supernet = head_of(name, classes=4)
    assert supernet(images(supernet, batch=1, height=1, width=1)).shape == (1, 4)
    assert supernet(images(supernet, batch=0)).shape == (0, 4)


@every_block
@torch.no_grad()
def test_images_of_a_batch_do_not_mix(name: str) -> None:
    supernet = supernet_of(name, "other", 2)
    x = images(supernet, batch=3)
    torch.testing.assert_close(supernet(x)[1:2], supernet(x[1:2]), rtol=1e-12, atol=1e-12)


@every_stride
@every_block
def test_training_reaches_every_active_weight_from_the_initial_ones(name: str, stride: int) -> None:
    torch.manual_seed(0)
    inp, out = other_width()
    supernet = Supernet(Alone(BLOCKS[name](inp, out, stride), inp, out)).train()
    for architecture in activated(supernet):
        supernet.zero_grad(set_to_none=True)
        x = images(supernet, batch=8, height=9, width=11).float()
        y = supernet(x)
        (y * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
        reached = [key for key, p in supernet.named_parameters() if p.grad is not None and p.grad.any()]
        assert len(reached) == len(list(supernet.extract(architecture).parameters())), architecture


@every_block
@torch.no_grad()
def test_initial_blocks_keep_the_scale_of_their_input(name: str) -> None:
    torch.manual_seed(0)
    supernet = Supernet(Alone(BLOCKS[name](Ordinal(16, 32), Ordinal(16, 48), 1), 32, 48)).train()
    supernet.activate(supernet.space.largest())
    deviation = float(supernet(torch.randn(16, 32, 8, 8)).std())
    assert 0.2 < deviation < 3


@every_block
@torch.no_grad()
def test_exported_blocks_take_batches_of_any_size(name: str) -> None:
    supernet = supernet_of(name, "shared", 2)
    model = supernet.extract(supernet.space.largest())
    x = images(supernet, batch=2)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)).module()
    for batch in (1, 5):
        x = images(supernet, batch=batch)
        torch.testing.assert_close(program(x), model(x), rtol=1e-12, atol=1e-12)


@every_block
def test_channels_last_memory_changes_nothing(name: str) -> None:
    supernet = supernet_of(name, "other", 2).train()
    supernet.activate(supernet.space.largest())
    x = images(supernet, batch=4)
    weights = {key: value.clone() for key, value in supernet.state_dict().items()}
    results = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        supernet.load_state_dict(weights)
        supernet.to(memory_format=memory_format)
        supernet.zero_grad(set_to_none=True)
        y = supernet(x.contiguous(memory_format=memory_format))
        (y * torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape)).mean().backward()
        results.append([y, *(p.grad for p in supernet.parameters() if p.grad is not None)])
    for contiguous, channels_last in zip(*results, strict=True):
        torch.testing.assert_close(channels_last, contiguous, rtol=1e-9, atol=1e-9)
