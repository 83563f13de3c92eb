"""Small anchors of several families with random weights and statistics, and stitched networks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from automl.stitching.assembly import Joining, assemble, split_anchor
from automl.stitching.network import StitchedNetwork
from automl.stitching.split import split_network


class ResidualBlock(nn.Module):
    """Convolution, batch norm and a shortcut; a stride begins a stage."""

    def __init__(self, inp: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inp, out, 3, stride, 1)
        self.norm = nn.BatchNorm2d(out)
        self.shortcut = nn.Identity() if (inp, stride) == (out, 1) else nn.Conv2d(inp, out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)) + self.shortcut(x))


class Residual(nn.Module):
    """Two stages of residual blocks behind a stem."""

    def __init__(self, width: int, depths: tuple[int, int], classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.stage1 = nn.ModuleList(ResidualBlock(width, width) for _ in range(depths[0]))
        self.stage2 = nn.Sequential(
            *(ResidualBlock(width if i == 0 else 2 * width, 2 * width, 2 if i == 0 else 1) for i in range(depths[1]))
        )
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.stage1:
            x = block(x)
        logits: Tensor = self.head(self.stage2(x).mean((2, 3)))
        return logits


class TokenBlock(nn.Module):
    """Pre-norm attention and MLP, with the parameter count of a DeiT block."""

    def __init__(self, width: int, ratio: int = 4) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
        weights = (q @ k.transpose(1, 2) * q.shape[-1] ** -0.5).softmax(-1)
        x = x + self.project(weights @ v)
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class Transformer(nn.Module):
    """Patches, a class token, positions, blocks, and a head on the class token."""

    def __init__(
        self, width: int, depth: int, *, patch: int = 2, image: int = 8, channels: int = 1, classes: int = 5
    ) -> None:
        super().__init__()
        self.patch = nn.Conv2d(channels, width, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, (image // patch) ** 2 + 1, width))
        self.blocks = nn.ModuleList(TokenBlock(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x)[:, 0])
        return logits


class VectorBlock(nn.Module):
    """A residual block on vectors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + torch.relu(self.linear(self.norm(x)))
        return y


def perceptron(width: int, depth: int, classes: int = 5) -> nn.Sequential:
    """Residual blocks on the pixels as a vector."""
    blocks = [VectorBlock(width) for _ in range(depth)]
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), *blocks, nn.Linear(width, classes))


def scrambled(network: nn.Module, seed: int) -> nn.Module:
    """Gives every parameter and statistic a random value, and returns the network in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    for name, buffer in network.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return network.eval()


@pytest.fixture
def networks() -> SimpleNamespace:
    """The families, as functions of their sizes; ``scrambled(network, seed)`` makes weights and statistics random."""
    return SimpleNamespace(
        residual=Residual, transformer=Transformer, perceptron=perceptron, scrambled=scrambled, block=TokenBlock
    )


Stitched = Callable[..., StitchedNetwork]


@pytest.fixture
def images() -> Tensor:
    """Forty images of 8 x 8 pixels."""
    return torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def stitched(images: Tensor) -> Stitched:
    """Returns a function that stitches networks, from cheap to expensive."""

    def build(anchors: Mapping[str, nn.Module], inputs: Tensor = images, **options: Any) -> StitchedNetwork:
        split = {name: split_anchor(split_network(a), (inputs,), (inputs[:1],)) for name, a in anchors.items()}
        return assemble(split, Joining(**options)).eval()

    return build
