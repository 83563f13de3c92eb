"""Which blocks of two networks are joined: block ``j`` of the front is followed by block ``q`` of the back.

Joins of one window share one stitching layer, because neighbouring blocks of a trained network compute nearly the same: a layer
that serves several joins is trained by all of them.

Source:
    Pan, Cai, Zhuang 2023 (SN-Net), arXiv:2302.06586, section 3: sliding windows over networks of equal depth, nearest
    blocks for unequal depth. Deviation: a front that is deeper than the back is paired in the same way with the roles
    exchanged, which the paper leaves open.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Join", "paired", "stage_joins", "unpaired"]


class Join(NamedTuple):
    """The front runs its blocks up to and with ``front``; the back goes on with its block ``back``."""

    front: int
    back: int


def paired(depth: int, kernel: int = 2, stride: int = 1) -> list[list[Join]]:
    """Returns the joins of two networks of equal depth, one list for each shared stitching layer.

    Windows of ``kernel`` blocks slide over both networks; within a window every block of the front is joined to every
    block of the back. Joins that an earlier window has are left out, and so are windows without new joins.

    Example:
        >>> joins = paired(12)
        >>> sum(map(len, joins)), len(joins)
        (34, 11)
    """
    known: set[Join] = set()
    layers = []
    for start in range(0, depth, stride):
        window = range(start, min(start + kernel, depth))
        fresh = [Join(j, q) for j in window for q in window if (j, q) not in known]
        known.update(fresh)
        if fresh:
            layers.append(fresh)
    return layers


def unpaired(front: int, back: int) -> list[list[Join]]:
    """Returns the joins of networks of unequal depth, one list for each block of the shallower one that has any.

    Block ``i`` of the deeper network belongs to block ``floor(i * shallow / deep)`` of the shallower one. A shallow front
    hands over to the blocks that belong to its last one, as far as they come later; a deep front hands over to the block after
    the one that its last one belongs to.

    Example:
        >>> unpaired(2, 4)
        [[Join(front=0, back=1)], [Join(front=1, back=2), Join(front=1, back=3)]]
    """
    layers: dict[int, list[Join]] = {}
    if front <= back:
        for i in range(back):
            nearest = i * front // back
            if nearest < i:
                layers.setdefault(nearest, []).append(Join(nearest, i))
    else:
        for j in range(front):
            following = j * back // front + 1
            if following < back:
                layers.setdefault(following, []).append(Join(j, following))
    return list(layers.values())


def stage_joins(front: int, back: int, *, kernel: int = 2, stride: int = 1, forward_only: bool) -> list[list[Join]]:
    """Returns the joins of one stage of two networks, one list for each shared stitching layer.

    Args:
        front: number of blocks of the front in the stage.
        back: number of blocks of the back in the stage.
        kernel: blocks in a window, for equal depths.
        stride: blocks between windows, for equal depths.
        forward_only: keep joins of equal depths only where the back goes on behind the block that the front ended with, as
            networks of several stages need it: the first block of a stage also changes the resolution.
    """
    if front != back:
        return unpaired(front, back)
    layers = paired(front, kernel, stride)
    if forward_only:
        layers = [[join for join in layer if join.front < join.back] for layer in layers]
    return [layer for layer in layers if layer]
