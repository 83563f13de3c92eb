"""The HyTra fabric: numbers of paths and networks, identity at the start, and the position code."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from automl_vision.hybrid_block import HybridBlock, MapAttention, bottleneck_body
from automl_vision.hytra import HyTra
from automl_vision.hytra_paths import block_paths, end_scale, steps

from automl.errors import SpaceError
from automl.supernet import Supernet


@pytest.mark.parametrize(("available", "count"), [(4, 131), (3, 115), (2, 80), (1, 16)])
def test_numbers_of_paths_are_those_of_the_paper(available: int, count: int) -> None:
    paths = block_paths(range(4 - available, 4), 4, 4)
    assert len(set(paths)) == len(paths) == count
    for path in paths:
        scales = [scale for _, scale in steps(path)]
        assert all(b - a in (0, 1) for a, b in pairwise(scales))


def networks(*, jumps: bool) -> int:
    ways = {0: 1}
    for available in (4, 3, 2, 2):
        following: dict[int, int] = {}
        for scale, count in ways.items():
            reached = range(scale, 4) if jumps else (scale, scale + 1)
            for path in block_paths([s for s in reached if 4 - available <= s < 4], 4, 4):
                following[end_scale(path)] = following.get(end_scale(path), 0) + count
        ways = following
    return sum(ways.values())


def test_the_whole_space_is_that_of_the_paper_and_ours_its_part_without_jumps_between_stages() -> None:
    assert networks(jumps=True) == 2_848_512
    fabric = HyTra(3, 8, stride=8, layers=4, available=[4, 3, 2, 2], width=2)
    assert Supernet(fabric).space.size() == networks(jumps=False) == 1_663_488


@pytest.mark.parametrize("kind", ["conv", "att"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_fresh_block_passes_its_shortcut_on(kind: str, stride: int) -> None:
    block = HybridBlock(6, 4, 6, bottleneck_body(kind, 4, 6, 2), stride=stride)
    x = torch.randn(2, 6, 5, 7)
    torch.testing.assert_close(block(x), torch.relu(block.shortcut(x)))


def test_the_position_code_makes_attention_aware_of_places() -> None:
    torch.manual_seed(0)
    attention, position = (
        MapAttention(6, head_dim=3).double(),
        HybridBlock(6, 6, 6, torch.nn.Identity()).position.double(),
    )
    x, order = torch.randn(2, 6, 3, 4).double(), torch.randperm(12)

    def permuted(y: torch.Tensor) -> torch.Tensor:
        return y.flatten(2)[..., order].unflatten(2, (3, 4))

    torch.testing.assert_close(attention(permuted(x)), permuted(attention(x)))
    assert not torch.allclose(attention(position(permuted(x))), permuted(attention(position(x))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 3}, "stride: 3 is not valid; it must be a power of two"),
        ({"stride": 8, "available": [4, 1]}, "stage 2 may use 1 scales, which cannot be reached from scale 0"),
        ({"available": []}, "available: no stage is given"),
    ],
)
def test_mistakes_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        HyTra(3, 8, **options)  # type: ignore[arg-type]
