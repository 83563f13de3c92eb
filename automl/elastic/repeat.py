"""Container that runs the first modules of a sequence."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, cast, final

from torch import nn

from automl.elastic.specialise import specialise
from automl.elastic.validation import check_count, every_setting
from automl.errors import SpaceError
from automl.space import Guard, Size, SizeLike

__all__ = ["Repeat"]


@final
class Repeat(nn.Module):
    """A sequence of which the first ``depth`` modules run.

    Dimensions inside module ``i`` exist only while ``depth > i``.

    Args:
        modules: the modules in order; each takes what the one before returns.
        depth: number of modules that run: a number, an ``Ordinal`` or a size of one dimension. It reaches all modules.

    Shape:
        One input of any form; returns the output of the last module that runs, or the input itself at depth 0.

    Raises:
        SpaceError: the largest depth is not the number of modules, or the depth depends on several dimensions.

    Specialised:
        ``nn.Sequential`` of the modules that run.

    Example:
        >>> import torch
        >>> from automl.space import Ordinal
        >>> layers = Repeat([nn.ReLU(), nn.Tanh(), nn.Sigmoid()], Ordinal(1, 3))
        >>> layers.depth.value = 1
        >>> layers(torch.tensor([-1.0, 2.0])), len(layers.specialise())
        (tensor([0., 2.]), 1)
    """

    def __init__(self, modules: Iterable[nn.Module], depth: SizeLike) -> None:
        super().__init__()
        children = list(modules)
        deepest = check_count("Repeat: depth", depth, at_least=0)
        if deepest != len(children):
            raise SpaceError(f"Repeat: depth {depth!r} reaches {deepest}, but there are {len(children)} modules.")
        if isinstance(depth, Size) and len(depth.dimensions) > 1:
            raise SpaceError(f"Repeat: depth {depth!r} depends on several dimensions; expected one.")
        self.depth = depth
        for position, module in enumerate(children):
            self.add_module(str(position), module)

    def active(self) -> list[nn.Module]:
        """Returns the modules that run."""
        return cast(list[nn.Module], list(self._modules.values())[: operator.index(self.depth)])

    def forward(self, x: Any) -> Any:
        """Runs the first ``depth`` modules."""
        for module in self.active():
            x = module(x)
        return x

    def conditions(self) -> dict[str, Guard]:
        """Returns for each module that can be absent the guard that the depth reaches it."""
        if not isinstance(self.depth, Size) or not self.depth.dimensions:
            return {}
        (dimension,) = self.depth.dimensions
        reach = dict(zip(dimension.choices, (depth for (depth,) in every_setting(self.depth)), strict=True))
        return {
            name: Guard(dimension, frozenset(choice for choice, depth in reach.items() if depth > position))
            for position, name in enumerate(self._modules)
            if position >= min(reach.values())
        }

    def specialise(self) -> nn.Sequential:
        """Returns the modules that run, specialised, as ``nn.Sequential``."""
        return nn.Sequential(*map(specialise, self.active())).train(self.training)
