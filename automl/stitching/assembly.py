"""From trained anchors to a stitched network: stages, joins, stitching layers and their least-squares start."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from automl.errors import SpaceError
from automl.objectives.macs import count_macs
from automl.stitching.layer import StitchingLayer
from automl.stitching.layout import Layout
from automl.stitching.network import Path, StitchedNetwork
from automl.stitching.pairing import Join, stage_joins
from automl.stitching.stages import Stage, corresponding, find_stages
from automl.supernet.chain import ChainNetwork

__all__ = ["Joining", "SplitAnchor", "assemble", "split_anchor"]


@dataclass(frozen=True)
class Joining:
    """Options of a stitched network; see the fields of ``StitchedSpace`` of the same names."""

    kernel: int = 2
    stride: int = 1
    nearest: bool = True
    last_stage: bool | None = None
    least_squares: bool = True
    train_anchors: bool = True
    adapters: Collection[str] = ()


@dataclass(frozen=True)
class SplitAnchor:
    """An anchor as a chain.

    Attributes:
        segments: the chain.
        values: output of each segment for the same few samples.
        macs: multiply-accumulates of each segment for one sample.
        stages: the stages of the chain without its head.
    """

    segments: Sequence[nn.Module]
    values: Sequence[Any]
    macs: Sequence[int]
    stages: Sequence[Stage]

    @property
    def cost(self) -> int:
        """Multiply-accumulates for one sample."""
        return sum(self.macs)


@torch.no_grad()
def split_anchor(segments: Sequence[nn.Module], inputs: tuple[Tensor, ...], one: tuple[Tensor, ...]) -> SplitAnchor:
    """Runs a chain and finds its stages.

    Args:
        segments: a chain in evaluation mode.
        inputs: the samples that stitching layers are fitted on.
        one: a single sample, on which costs are counted.
    """
    values: list[Any] = []
    macs: list[int] = []
    value: Any = inputs
    single: Any = one
    for segment in segments:
        value = segment(value)
        macs.append(count_macs(segment, (single,)))
        single = segment(single)
        values.append(value)
    return SplitAnchor(segments, values, macs, find_stages([Layout.of(v) for v in values[:-1]]))


def assemble(anchors: Mapping[str, SplitAnchor], options: Joining) -> StitchedNetwork:
    """Returns the stitched network of anchors that are named from cheap to expensive.

    Raises:
        SpaceError: two neighbours have nothing to be joined at, or need an adapter that was not declared.
    """
    costs: dict[str, tuple[int, Path]] = {
        name: (anchor.cost, Path(name, len(anchor.segments))) for name, anchor in anchors.items()
    }
    layers: list[StitchingLayer] = []
    for front, back in pairwise(anchors) if options.nearest else combinations(anchors, 2):
        found = _joins(anchors[front], anchors[back], options)
        if not found:
            raise SpaceError(
                f"anchors {front!r} and {back!r} have nothing to be joined at: no two stages correspond that have a block "
                f"after the first; {_shown(anchors[front])} against {_shown(anchors[back])}."
            )
        for stages, joins in found:
            try:
                costs |= _stitch(front, back, anchors, stages, joins, options, layers)
            except SpaceError as error:
                raise SpaceError(f"anchors {front!r} and {back!r}: {error}") from error
    paths = {name: path for name, (_, path) in sorted(costs.items(), key=lambda entry: (entry[1][0], entry[0]))}
    largest = list(anchors.values())[-1]
    return StitchedNetwork(
        {name: anchor.segments for name, anchor in anchors.items()},
        layers,
        paths,
        teacher=ChainNetwork(copy.deepcopy(list(largest.segments))),
        train_anchors=options.train_anchors,
    )


def _joins(front: SplitAnchor, back: SplitAnchor, options: Joining) -> list[tuple[tuple[int, int], list[Join]]]:
    """Returns the joins of each window with the stages that they are in."""
    pairs = corresponding(front.stages, back.stages)
    several = len(front.stages) > 1 or len(back.stages) > 1

    def inside(pairs: Sequence[tuple[int, int]]) -> list[tuple[tuple[int, int], list[Join]]]:
        return [
            (pair, joins)
            for pair in pairs
            for joins in stage_joins(
                len(_blocks(front.stages[pair[0]], several)),
                len(_blocks(back.stages[pair[1]], several)),
                kernel=options.kernel,
                stride=options.stride,
                forward_only=several,
            )
        ]

    if options.last_stage or not several:
        return inside(pairs)
    early = inside([(f, b) for f, b in pairs if f < len(front.stages) - 1 and b < len(back.stages) - 1])
    return early if early or options.last_stage is False else inside(pairs)


def _blocks(stage: Stage, several: bool) -> tuple[int, ...]:
    """Returns the blocks of a stage. In a network of one stage, the first segment is the embedding and no block."""
    return stage.blocks if several else stage.blocks[1:]


def _stitch(
    front: str,
    back: str,
    anchors: Mapping[str, SplitAnchor],
    stages: tuple[int, int],
    joins: Sequence[Join],
    options: Joining,
    layers: list[StitchingLayer],
) -> dict[str, tuple[int, Path]]:
    """Adds the stitching layers of one window, fitted, and returns cost and path of each of its joins by name.

    Blocks of a stage may differ in width; joins of one window with different widths have layers of their own.
    """
    first, second = anchors[front], anchors[back]
    several = len(first.stages) > 1 or len(second.stages) > 1
    leaving = _blocks(first.stages[stages[0]], several)
    entering = _blocks(second.stages[stages[1]], several)
    groups: dict[tuple[Layout, Layout], list[Join]] = {}
    for join in joins:
        source, target = _layout(first, leaving[join.front]), _layout(second, entering[join.back] - 1)
        groups.setdefault((source, target), []).append(join)
    found = {}
    for (source, target), members in groups.items():
        layer = StitchingLayer(source, target, options.adapters)
        features = [(first.values[leaving[join.front]], second.values[entering[join.back] - 1]) for join in members]
        if options.least_squares:
            layer.fit(features)
        macs = count_macs(layer, (features[0][0][:1],))
        for join in members:
            leave, enter = leaving[join.front] + 1, entering[join.back]
            name = f"{front}:{stages[0]}.{join.front}>{back}:{stages[1]}.{join.back}"
            cost = sum(first.macs[:leave]) + macs + sum(second.macs[enter:])
            found[name] = cost, Path(front, leave, len(layers), back, enter)
        layers.append(layer)
    return found


def _layout(anchor: SplitAnchor, segment: int) -> Layout:
    layout = Layout.of(anchor.values[segment])
    assert layout is not None, "segments of a stage have a layout"
    return layout


def _shown(anchor: SplitAnchor) -> str:
    return ", ".join(f"{len(stage.blocks)} of {stage.layout}" for stage in anchor.stages) or "no stages"
