"""Every check of a block can fail: each is shown a block that breaks just that promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from automl import elastic
from automl.host import Family, Host
from automl.space import SizeLike
from automl.testing import Check
from automl.testing.family_checks import family_checks

Failures = Callable[[list[Check]], dict[str, str]]
Target = Callable[[object], str]


class Sound(nn.Module):
    """A convolution.

    Example:
        >>> Sound(3, 4)(torch.zeros(1, 3, 5, 5)).shape
        torch.Size([1, 4, 5, 5])
    """

    def __init__(self, inp: SizeLike, out: SizeLike, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = elastic.Conv2d(inp, out, 3, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class WrongSlice(Sound):
    """Takes the last output channels where the supernet takes the first."""

    def specialise(self) -> nn.Module:
        full = self.conv
        plain = elastic.specialise(full)
        with torch.no_grad():
            plain.weight.copy_(full.weight.flip(0)[: plain.out_channels, : plain.in_channels])
        return plain


class SharedWeights(Sound):
    """Extracts a model that shares its weights with the supernet."""

    def specialise(self) -> nn.Module:
        plain = elastic.specialise(self.conv)
        if plain.weight.shape == self.conv.weight.shape:
            plain.weight = self.conv.weight
        return plain


class Keeps(Sound):
    """Remembers what it saw, also in evaluation."""

    def __init__(self, inp: SizeLike, out: SizeLike, *, stride: int = 1) -> None:
        super().__init__(inp, out, stride=stride)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return self.conv(x) + 0.01 * self.seen


class ComparesSamples(Sound):
    """Subtracts the mean over the batch."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y - y.mean(0, keepdim=True)


class KnowsTheBatch(Sound):
    """Behaves differently for small batches, which a traced graph cannot."""

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * (2.0 if x.shape[0] > 8 else 1.0)


class Noisy(Sound):
    """Adds noise in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + torch.rand(())


class Dead(Sound):
    """Holds a layer that never runs."""

    def __init__(self, inp: SizeLike, out: SizeLike, *, stride: int = 1) -> None:
        super().__init__(inp, out, stride=stride)
        self.dead = elastic.Linear(inp, out)


class Leaks(Sound):
    """Reads weights of channels that are not active."""

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.conv.weight.mean()


class IgnoresStride(Sound):
    """Declares a stride and never uses it."""

    def __init__(self, inp: SizeLike, out: SizeLike, *, stride: int = 1) -> None:
        super().__init__(inp, out)


class ManyOutputs(Sound):
    """Gives a tuple where a tensor should flow on."""

    def forward(self, x: Tensor) -> Any:
        return (self.conv(x), x)


class OneTooWide(Sound):
    """Gives one channel too many."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return torch.cat([y, y[:, :1]], 1)


class SinglePrecision(Sound):
    """Loses double precision on the way."""

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).float()


class NoDefault(Sound):
    """Has an option that must be given."""

    def __init__(self, inp: SizeLike, out: SizeLike, *, stride: int = 1, kernel: int = 3, **others: int) -> None:
        super().__init__(inp, out, stride=stride)


class NoExample(Sound):
    """Says nothing about its use."""


class Anonymous(Sound):
    """Hides its name."""

    def __repr__(self) -> str:
        return "a block"


class NeedsTwo(Sound):
    """Cannot take an empty batch."""

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) if len(x) else self.conv(x[:1].new_zeros(1, *x.shape[1:]))


def _documented_by(example: str, result: str) -> type[nn.Module]:
    # Made here, so that the suite's own doctests do not find it.
    return type("WrongExample", (Sound,), {"__doc__": f">>> {example}\n{result}\n", "__module__": __name__})


def run(block: type[nn.Module], target: Target, failures: Failures) -> dict[str, str]:
    family = Family(name="my.block", summary="s", target=target(block), accepts="image", produces="image")
    return failures(family_checks(family, Host.load(entry_points=False)))


def test_a_sound_block_passes_all(target: Target, failures: Failures) -> None:
    assert run(Sound, target, failures) == {}


@pytest.mark.parametrize(
    ("block", "check", "message"),
    [
        (WrongSlice, "extraction equals activation for every choice", "extracted against active: values differ"),
        (WrongSlice, "extraction equals activation in single precision", "values differ"),
        (SharedWeights, "the extracted model is plain and independent", "is shared, not copied"),
        (Keeps, "another subnetwork leaves no trace", "differs after"),
        (KnowsTheBatch, "the exported program equals the subnetwork", "size()[0] <= 8"),
        (Dead, "gradient reaches all active weights and no other", "no gradient reaches block.dead.weight"),
        (Leaks, "gradient reaches all active weights and no other", "outside the subnetwork get gradient"),
        (IgnoresStride, "keeps the contract of its signals", "at stride 2"),
        (ManyOutputs, "keeps the contract of its signals", "its signal is"),
        (OneTooWide, "keeps the contract of its signals", "output features, expected"),
        (SinglePrecision, "extraction equals activation for every choice", "float64 in, torch.float32 out"),
        (Noisy, "is deterministic", "the same input gives different outputs"),
        (ComparesSamples, "takes one sample and none", "a sample alone against the same in a batch"),
        (NeedsTwo, "takes one sample and none", "an empty batch gives shape"),
        (NoDefault, "takes widths, and keyword options with defaults", "option 'others' must be keyword-only"),
        (NoExample, "examples run", "has no example"),
        (_documented_by("1 + 1", "3"), "examples run", "Expected:"),
        (Anonymous, "repr names the block", "repr must start with 'Anonymous'"),
    ],
)
def test_a_broken_promise_is_found(
    block: type[nn.Module], check: str, message: str, target: Target, failures: Failures
) -> None:
    family = Family(name="my.block", summary="s", target=target(block), accepts="image", produces="image")
    (chosen,) = [c for c in family_checks(family, Host.load(entry_points=False)) if c.name == check]
    found = failures([chosen])
    assert found, f"{check!r} does not notice {block.__name__}"
    assert message in found[check]
    assert found[check].startswith(f"family my.block: {check}: ")
