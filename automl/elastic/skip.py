"""Container that runs a module or passes its input on."""

from __future__ import annotations

from typing import Any, final

from torch import nn

from automl.elastic.specialise import specialise
from automl.errors import SpaceError
from automl.space import Guard, Ordinal

__all__ = ["Skip"]


@final
class Skip(nn.Module):
    """A module that may be left out.

    Dimensions inside the module exist only while it is kept.

    Args:
        module: maps its input to the same form.
        keep: the dimension, if it is shared with other containers: ``Ordinal(0, 1)``, where 1 runs the module. Left out, a
            new one.

    Shape:
        One input of any form; returns the module's output or the input itself.

    Raises:
        SpaceError: a shared dimension with other choices than 0 and 1.

    Specialised:
        The module, specialised, or ``nn.Identity``.

    Example:
        >>> import torch
        >>> layer = Skip(nn.ReLU())
        >>> layer.keep.value = 0
        >>> layer(torch.tensor([-1.0, 2.0])), layer.specialise()
        (tensor([-1.,  2.]), Identity())
    """

    def __init__(self, module: nn.Module, *, keep: Ordinal | None = None) -> None:
        super().__init__()
        keep = Ordinal(0, 1) if keep is None else keep
        if not isinstance(keep, Ordinal) or keep.choices != (0, 1):
            raise SpaceError(f"Skip: keep must be Ordinal(0, 1), got {keep!r}.")
        self.keep = keep
        self.module = module

    def forward(self, x: Any) -> Any:
        """Runs the module if it is kept."""
        return self.module(x) if self.keep.index else x

    def conditions(self) -> dict[str, Guard]:
        """Returns the guard that the module is kept."""
        return {"module": Guard.above(self.keep, 0)}

    def specialise(self) -> nn.Module:
        """Returns the module, specialised, or ``nn.Identity``."""
        return specialise(self.module) if self.keep.index else nn.Identity().train(self.training)
