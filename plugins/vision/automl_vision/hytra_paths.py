"""Paths through the layers of the HyTra fabric: which operation at which scale, layer by layer.

A path is written ``"conv1-conv1-att2"``: an operation and the number of its scale for each layer. Scale 0 is that of the input;
each further one has half its resolution.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["block_paths", "candidates", "end_scale", "entered_scales", "steps"]

_OPERATIONS = ("conv", "att")
_ATTENTION_SCALES = 2
"""Attention compares all pixels with each other, so only the smallest resolutions have it."""


def candidates(scale: int, scales: int) -> tuple[str, ...]:
    """Returns the operations of a layer at one of ``scales`` scales.

    Example:
        >>> candidates(1, 4), candidates(2, 4)
        (('conv1',), ('conv2', 'att2'))
    """
    kinds = _OPERATIONS if scale >= scales - _ATTENTION_SCALES else _OPERATIONS[:1]
    return tuple(f"{kind}{scale}" for kind in kinds)


def block_paths(starts: Iterable[int], layers: int, scales: int) -> list[str]:
    """Returns all paths of a block whose first layer is at one of ``starts``.

    The resolution never grows, and falls by one scale at most from layer to layer.

    Example:
        >>> block_paths([0, 1], 2, 3)[:3]
        ['conv0-conv0', 'conv0-conv1', 'conv0-att1']
    """
    paths: list[tuple[str, ...]] = [(name,) for start in starts for name in candidates(start, scales)]
    for _ in range(layers - 1):
        paths = [(*path, name) for path in paths for name in _following(path[-1], scales)]
    return ["-".join(path) for path in paths]


def entered_scales(scale: int, scales: int, available: int) -> list[int]:
    """Returns the scales at which the first layer of a block may work behind a layer at ``scale``.

    Args:
        scale: where the layer before works.
        scales: number of scales.
        available: number of scales, counted from the smallest, that the block may use.
    """
    return [s for s in (scale, scale + 1) if scales - available <= s < scales]


def steps(path: str) -> list[tuple[str, int]]:
    """Returns candidate and scale of each layer.

    Example:
        >>> steps("conv1-att2")
        [('conv1', 1), ('att2', 2)]
    """
    return [(name, int(name.lstrip("convat"))) for name in path.split("-")]


def end_scale(path: str) -> int:
    """Returns the scale of the last layer."""
    return steps(path)[-1][1]


def _following(name: str, scales: int) -> list[str]:
    (scale,) = (scale for _, scale in steps(name))
    return [other for s in (scale, scale + 1) if s < scales for other in candidates(s, scales)]
