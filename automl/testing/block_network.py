"""A block alone between fixed or elastic widths, as a network whose space can be walked."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from automl.host import Family, Host
from automl.space import Architecture, Ordinal, SearchSpace, SizeLike
from automl.supernet import PayloadFormat

__all__ = ["BlockNetwork", "Setting", "covering_architectures", "settings_of"]


@dataclass(frozen=True)
class Setting:
    """One slot that a block could be put into.

    Attributes:
        label: what messages call it.
        inp: choices of the width of the input.
        out: choices of the width of the output; ``None`` shares the dimension of the input.
        stride: down-sampling factor; ``None`` for a block that takes no stride.
    """

    label: str
    inp: tuple[int, ...]
    out: tuple[int, ...] | None
    stride: int | None = None

    def __str__(self) -> str:
        return self.label


class BlockNetwork(nn.Module):
    """Input tensors → payload → block → features, or logits for a head.

    Args:
        block: the block.
        inp: width of the input that the block was built for.
        out: width of the output.
        accepts: format of its input.
        produces: format of its output; ``None`` for logits.
    """

    def __init__(
        self,
        block: nn.Module,
        inp: SizeLike,
        out: SizeLike,
        accepts: PayloadFormat,
        produces: PayloadFormat | None,
    ) -> None:
        super().__init__()
        self.inp = inp
        self.out = out
        self.block = block
        self.accepts = accepts
        self.produces = produces

    @classmethod
    def build(cls, family: Family, setting: Setting, host: Host, seed: int = 0) -> BlockNetwork:
        """Builds a block for a slot; the same seed gives the same weights."""
        inp = _size(setting.inp)
        out = inp if setting.out is None else _size(setting.out)
        accepts = host.find("signal", family.accepts).load()()
        parameters = inspect.signature(family.load()).parameters
        options = {name: fact for name, fact in accepts.facts().items() if name in parameters}
        if setting.stride is not None:
            options["stride"] = setting.stride
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            block = family.load()(inp, out, **options)
        produces = None if family.produces == "logits" else host.find("signal", family.produces).load()()
        return cls(block, inp, out, accepts, produces)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Returns the features (or logits) of the output payload."""
        payload = self.block(self.accepts.pack(*inputs))
        features: Tensor = payload if self.produces is None else self.produces.features(payload)
        return features

    def inputs(self, batch: int, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
        """Returns random input tensors for the active width of the input."""
        generator = torch.Generator().manual_seed(seed)
        tensors = self.accepts.example(batch, int(self.inp), generator)
        return tuple(t.to(dtype) if t.is_floating_point() else t for t in tensors)

    def payload(self, batch: int, seed: int) -> Any:
        """Returns the payload that the block gives for random inputs."""
        return self.block(self.accepts.pack(*self.inputs(batch, seed)))


def settings_of(family: Family) -> list[Setting]:
    """Returns small slots of unequal widths that a block must fit; those with a stride where it declares one.

    The last one is drawn at random, with the name of the family as the seed.
    """
    takes_stride = "stride" in inspect.signature(family.load()).parameters
    stride = 1 if takes_stride else None
    if family.produces == "logits":
        return [Setting("5 or 8 to 3", (5, 8), (3,)), Setting("7 to 4", (7,), (4,))]
    settings = [
        Setting("shared width 6 or 9", (6, 9), None, stride),
        Setting("4 or 7 to 5 or 8 or 10", (4, 7), (5, 8, 10), stride),
        Setting("5 to 7", (5,), (7,), stride),
        Setting("1 or 3 to 2", (1, 3), (2,), stride),
    ]
    if takes_stride:
        settings.append(Setting("6 or 9 to 4 or 8, stride 2", (6, 9), (4, 8), 2))
        settings.append(Setting("shared width 8, stride 2", (8,), None, 2))
    rng = np.random.default_rng(zlib.crc32(family.name.encode()))
    inp, out = (tuple(sorted(rng.choice(np.arange(1, 13), size=3, replace=False).tolist())) for _ in range(2))
    return [*settings, Setting(f"{inp} to {out}", inp, out, stride)]


def covering_architectures(space: SearchSpace, seed: int) -> list[Architecture]:
    """Returns the smallest, the largest and random architectures until every choice of every dimension occurs."""
    rng = np.random.default_rng(seed)
    missing = {(name, choice) for name, dimension in space.dimensions.items() for choice in dimension.choices}
    chosen: dict[Architecture, None] = {}
    for architecture in _candidates(space, rng):
        new = missing & set(architecture.items())
        if new or len(chosen) < 2:
            chosen[architecture] = None
            missing -= new
        if not missing:
            break
    return list(chosen)


def _candidates(space: SearchSpace, rng: np.random.Generator) -> Iterator[Architecture]:
    yield space.smallest()
    yield space.largest()
    for _ in range(64 * sum(len(d.choices) for d in space.dimensions.values())):
        yield space.sample(rng)


def _size(choices: tuple[int, ...]) -> SizeLike:
    return choices[0] if len(choices) == 1 else Ordinal(*choices)
