"""Choice, Repeat, Skip and Concat: what runs, what exists, and what the space reads off them."""

from __future__ import annotations

import torch
from torch import nn

from automl import elastic
from automl.space import Categorical, Ordinal, SearchSpace


def _scale(factor: float) -> nn.Module:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, factor)
    return layer


def test_choice_runs_the_chosen_candidate_only():
    layer = elastic.Choice({"vision.two": _scale(2), "three": _scale(3)})
    assert [name for name, _ in layer.named_children()] == ["vision_two", "three"]
    assert layer.choice.choices == ("vision.two", "three")
    x = torch.ones(1, 1)
    assert layer(x).item() == 2
    layer.choice.value = "three"
    assert layer(x).item() == 3
    layer(x).sum().backward()
    assert layer.vision_two.weight.grad is None


def test_choice_can_share_its_dimension():
    choice = Categorical("b", "a")
    first = elastic.Choice({"a": _scale(2), "b": _scale(3)}, choice=choice)
    second = elastic.Choice({"a": _scale(5), "b": _scale(7)}, choice=choice)
    network = nn.Sequential(first, second)
    found = [(choice.value, network(torch.ones(1, 1)).item()) for choice.value in choice.choices]
    assert found == [("b", 21), ("a", 10)]
    assert list(SearchSpace.of(network).dimensions) == ["0.choice"]


def test_choice_passes_all_inputs_on():
    layer = elastic.Choice({"bilinear": nn.Bilinear(2, 3, 4)})
    assert layer(torch.randn(5, 2), torch.randn(5, 3)).shape == (5, 4)


def test_repeat_runs_a_prefix():
    repeat = elastic.Repeat([_scale(2), _scale(3), _scale(5)], Ordinal(0, 2, 3))
    x = torch.ones(1, 1)
    found = {}
    for repeat.depth.value in (0, 2, 3):
        found[repeat.depth.value] = repeat(x).item()
        plain = repeat.specialise()
        assert type(plain) is nn.Sequential
        assert plain(x).item() == found[repeat.depth.value]
    assert found == {0: 1, 2: 6, 3: 30}


def test_repeat_of_a_plain_number_has_no_conditions():
    repeat = elastic.Repeat([_scale(2), _scale(3)], 2)
    assert repeat.conditions() == {}
    assert repeat(torch.ones(1, 1)).item() == 6


def test_repeat_can_share_a_derived_depth():
    depth = Ordinal(1, 2)
    repeat = elastic.Repeat([_scale(f) for f in (2, 3, 5, 7)], depth * 2)
    depth.value = 1
    assert repeat(torch.ones(1, 1)).item() == 6
    guards = repeat.conditions()
    assert set(guards) == {"2", "3"}
    assert guards["2"].values == {2}


def test_skip_keeps_or_passes_on():
    layer = elastic.Skip(_scale(3))
    assert layer(torch.ones(1, 1)).item() == 3
    layer.keep.value = 0
    assert layer(torch.ones(1, 1)).item() == 1
    assert type(layer.specialise()) is nn.Identity


def test_the_space_of_nested_containers_counts_distinct_networks():
    def block() -> nn.Module:
        return elastic.Choice({"wide": elastic.Linear(4, 4), "bottleneck": _bottleneck(), "none": nn.Identity()})

    def _bottleneck() -> nn.Module:
        hidden = Ordinal(1, 2, 3)
        return nn.Sequential(elastic.Linear(4, hidden), elastic.Linear(hidden, 4))

    network = nn.ModuleDict(
        {"body": elastic.Repeat([block(), block()], Ordinal(0, 1, 2)), "end": elastic.Skip(block())}
    )
    space = SearchSpace.of(network)
    per_block = 1 + 3 + 1
    assert space.size() == (1 + per_block + per_block**2) * (1 + per_block)
    assert {"body.depth", "body.1.choice", "body.1.bottleneck.0.out_features", "end.keep", "end.module.choice"} <= set(
        space.dimensions
    )


def test_every_source_of_a_concatenation_keeps_its_columns(random_weights):
    left, right, middle = Ordinal(1, 3), Ordinal(2, 4), 2
    concat = elastic.Concat([left, middle, right])
    layer = random_weights(elastic.Linear(concat.width, 5).double())
    assert layer.weight.shape == (5, 9)
    parts = [torch.randn(6, n, dtype=torch.float64) for n in (3, 2, 4)]
    for left_value in left.choices:
        left.value = left_value
        for right_value in right.choices:
            right.value = right_value
            active = [part[:, :n] for part, n in zip(parts, (left.value, 2, right.value), strict=True)]
            padded = torch.zeros(6, 9, dtype=torch.float64)
            for part, offset in zip(active, (0, 3, 5), strict=True):
                padded[:, offset : offset + part.shape[1]] = part
            torch.testing.assert_close(layer(concat(*active)), padded @ layer.weight.T + layer.bias)


def test_nested_concatenations_keep_their_columns():
    a, b, c = Ordinal(1, 2), Ordinal(1, 2), Ordinal(1, 3)
    inner = elastic.Concat([a, b])
    outer = elastic.Concat([inner.width, c])
    a.value, b.value, c.value = 1, 2, 1
    assert outer.width.indices() == (0, 2, 3, 4)
    assert (outer.width.value, outer.width.minimum, outer.width.maximum) == (4, 3, 7)
    b.value, a.value, c.value = 2, 2, 1
    assert outer.width.indices() is None


def test_concatenation_of_fixed_widths_is_a_plain_number():
    assert elastic.Concat([2, 3]).width == 5


def test_specialised_concatenation_holds_a_plain_number():
    a = Ordinal(1, 2)
    concat = elastic.Concat([a, 3], dim=-1)
    a.value = 1
    plain = elastic.specialise(concat)
    assert plain.width == 4
    assert plain(torch.zeros(2, 1), torch.zeros(2, 3)).shape == (2, 4)
