"""Stages of a chain, and which stage of one network corresponds to which of another.

A stage is a row of segments whose outputs have the same positions: the same number of pixels or tokens. Networks are joined
inside corresponding stages only, since elsewhere the positions of their features mean different places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from automl.stitching.layout import Layout

__all__ = ["Stage", "corresponding", "find_stages"]


@dataclass(frozen=True)
class Stage:
    """A row of blocks.

    Attributes:
        layout: form of the output of its first block.
        blocks: positions of the blocks in the chain.
    """

    layout: Layout
    blocks: tuple[int, ...]


def find_stages(layouts: Sequence[Layout | None]) -> list[Stage]:
    """Returns the stages of a chain.

    Args:
        layouts: forms of the outputs of all segments but the last, which is the head; None where there is no such form.

    The segment that changes the positions is the first block of the stage behind it.
    """
    rows: list[list[int]] = []
    for number, layout in enumerate(layouts):
        before = layouts[number - 1] if number else None
        if layout is None:
            continue
        if before is not None and before.place == layout.place:
            rows[-1].append(number)
        else:
            rows.append([number])
    return [Stage(layout, tuple(row)) for row in rows if (layout := layouts[row[0]]) is not None]


def corresponding(front: Sequence[Stage], back: Sequence[Stage]) -> list[tuple[int, int]]:
    """Returns pairs of stages by number: those of equal positions in order, or, where there are none, first with first."""
    pairs = []
    following = 0
    for number, stage in enumerate(back):
        for candidate in range(following, len(front)):
            if _same_positions(front[candidate].layout, stage.layout):
                pairs.append((candidate, number))
                following = candidate + 1
                break
    return pairs or list(zip(range(len(front)), range(len(back)), strict=False))


def _same_positions(front: Layout, back: Layout) -> bool:
    source, target = front.grid(back), back.grid(front)
    if source is None or target is None:
        return front.place == back.place
    return source[:2] == target[:2]
