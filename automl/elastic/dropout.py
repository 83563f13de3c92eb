"""Dropout whose rate may be searched."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from automl.errors import SpaceError
from automl.space import Size

__all__ = ["Dropout"]


@final
class Dropout(nn.Module):
    """Zeroes each number with a searched probability in training mode, and scales the rest up.

    Args:
        rate: probability of a zero, from 0 to below 1: a number or an ``Ordinal``.

    Shape:
        x: any. Returns the same.

    Raises:
        SpaceError: a rate outside [0, 1).

    Specialised:
        ``nn.Dropout``.

    Example:
        >>> from automl.space import Ordinal
        >>> layer = Dropout(Ordinal(0.0, 0.1, 0.25))
        >>> layer.rate.value = 0.1
        >>> layer.specialise()
        Dropout(p=0.1, inplace=False)
    """

    def __init__(self, rate: float | Size = 0.5) -> None:
        super().__init__()
        if isinstance(rate, bool) or not isinstance(rate, int | float | Size):
            raise SpaceError(f"Dropout: rate must be a number or an Ordinal, got {rate!r}.")
        smallest, largest = (rate.minimum, rate.maximum) if isinstance(rate, Size) else (rate, rate)
        if not 0 <= smallest <= largest < 1:
            raise SpaceError(f"Dropout: rate {rate!r} leaves the interval [0, 1).")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Drops in training mode, else returns ``x``."""
        return F.dropout(x, float(self.rate), self.training)

    def specialise(self) -> nn.Dropout:
        """Returns ``nn.Dropout`` with the active rate."""
        return nn.Dropout(float(self.rate)).train(self.training)

    def extra_repr(self) -> str:
        """Returns the arguments."""
        return f"rate={self.rate!r}"
