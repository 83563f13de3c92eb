from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.tickets.granularity import ChannelWise, NOfM, parse_pattern
from automl.tickets.ranking import keep_highest

shapes = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 7)), min_size=1, max_size=4)


@given(shapes=shapes, sparsity=st.floats(0, 0.99), levels=st.integers(1, 4), scope=st.sampled_from(["global", "layer"]))
def test_exactly_the_asked_number_is_dropped_also_with_ties_and_no_tensor_is_lost(shapes, sparsity, levels, scope):
    generator = torch.Generator().manual_seed(len(shapes))
    scores = [torch.randint(0, levels, shape, generator=generator).float() for shape in shapes]
    masks = keep_highest(scores, sparsity, scope)
    sizes = [score.numel() for score in scores]
    dropped = [int((~mask).sum()) for mask in masks]
    if scope == "layer":
        assert dropped == [min(round(sparsity * size), size - 1) for size in sizes]
    else:
        assert sum(dropped) == min(round(sparsity * sum(sizes)), sum(sizes) - len(sizes))
    for score, mask in zip(scores, masks, strict=True):
        assert mask.shape == score.shape
        assert mask.any()
        assert score[mask].max() == score.max()


@given(first=st.floats(0, 0.98), second=st.floats(0, 0.98), scope=st.sampled_from(["global", "layer"]))
def test_masks_of_rising_sparsity_are_nested(first, second, scope):
    scores = [torch.rand(4, 5, generator=torch.Generator().manual_seed(1)), torch.ones(3, 2)]
    wide = keep_highest(scores, min(first, second), scope)
    narrow = keep_highest(scores, max(first, second), scope)
    assert not any(bool((n & ~w).any()) for n, w in zip(narrow, wide, strict=True))


def test_global_scope_ranks_across_tensors_and_layer_scope_does_not():
    generator = torch.Generator().manual_seed(5)
    scores = [torch.rand(6, 7, generator=generator), torch.rand(5, 9, generator=generator)]
    scaled = [scores[0] * 10, scores[1]]
    kept = [int(keep_highest(s, 0.6, "global")[0].sum()) for s in (scores, scaled)]
    assert kept[1] > kept[0]
    assert [int(keep_highest(s, 0.6, "layer")[0].sum()) for s in (scores, scaled)] == [17, 17]


@pytest.mark.parametrize("shape", [(5, 8), (3, 12, 3, 2)])
def test_two_of_four_keeps_the_two_largest_of_every_four_inputs(shape):
    scores = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    mask = NOfM(2, 4).masks({"w": scores}, 0.5, "global")["w"]
    groups, kept = scores.movedim(1, -1).reshape(-1, 4), mask.movedim(1, -1).reshape(-1, 4)
    assert kept.sum(1).tolist() == [2] * len(groups)
    assert bool((groups.masked_fill(~kept, 2).amin(1) > groups.masked_fill(kept, -1).amax(1)).all())


def test_two_of_four_rises_in_whole_weights_and_never_drops_more_than_two():
    scores = {"w": torch.rand(3, 8)}
    dropped = [int((~NOfM(2, 4).masks(scores, s, "layer")["w"]).sum()) // 6 for s in (0, 0.1, 0.2, 0.3, 0.45, 0.5)]
    assert dropped == [0, 0, 1, 1, 2, 2]


def test_channels_are_dropped_everywhere_where_they_are_made_and_read(two_layers):
    group, scores = two_layers
    masks = ChannelWise([group]).masks(scores, 0.4, "global")
    expected = torch.tensor([True, False, True, False, True])
    assert torch.equal(masks["a.weight"], expected[:, None].expand(5, 3))
    assert torch.equal(masks["b.weight"], expected[None, :].expand(4, 5))
    assert group.dead(masks).tolist() == [1, 3]


@pytest.fixture
def two_layers():
    from automl.tickets import ChannelGroup

    group = ChannelGroup(5, makers=("a",), readers=("b",))
    made = torch.tensor([[5.0, 5, 5], [1, 2, 3], [9, 9, 9], [0, 0, 1], [7, 8, 9]])
    return group, {"a.weight": made, "b.weight": torch.ones(4, 5)}


def test_patterns_are_read():
    assert parse_pattern("2:4") == (2, 4)
    assert parse_pattern("channel") is None
