"""The form of the value between two blocks, which decides how two networks can be joined there."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any, Literal

from torch import Tensor

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """Form of the features between two blocks, without the batch axis.

    Attributes:
        kind: ``"map"`` for ``(N, C, H, W)``, ``"tokens"`` for ``(N, T, C)``, ``"vector"`` for ``(N, C)``.
        width: number of features C at each position.
        resolution: ``(H, W)``, ``(T,)`` or ``()``.
    """

    kind: Literal["map", "tokens", "vector"]
    width: int
    resolution: tuple[int, ...]

    @classmethod
    def of(cls, value: Any) -> Layout | None:
        """Returns the layout of a batch of features; None if it is no tensor of two to four axes."""
        if not isinstance(value, Tensor):
            return None
        if value.ndim == 4:
            return cls("map", value.shape[1], tuple(value.shape[2:]))
        if value.ndim == 3:
            return cls("tokens", value.shape[2], (value.shape[1],))
        return cls("vector", value.shape[1], ()) if value.ndim == 2 else None

    @property
    def place(self) -> tuple[str, tuple[int, ...]]:
        """Kind and resolution: blocks between which it does not change form a stage."""
        return self.kind, self.resolution

    def grid(self, like: Layout | None = None) -> tuple[int, int, int] | None:
        """Returns height, width and the number of class tokens in front; None if tokens form no grid.

        Tokens are a square grid with at most one class token, unless the map of ``like`` has just as many positions.
        """
        if self.kind == "map":
            height, width = self.resolution
            return height, width, 0
        if self.kind == "vector":
            return None
        (tokens,) = self.resolution
        if like is not None and like.kind == "map":
            height, width = like.resolution
            if tokens - height * width in (0, 1):
                return height, width, tokens - height * width
        for extra in (0, 1):
            edge = isqrt(tokens - extra)
            if edge > 0 and edge * edge == tokens - extra:
                return edge, edge, extra
        return None

    def __str__(self) -> str:
        size = "x".join(map(str, self.resolution))
        shown = {"map": f"maps of {size} pixels", "tokens": f"{size} tokens", "vector": "vectors"}[self.kind]
        return f"{shown} with {self.width} features"
