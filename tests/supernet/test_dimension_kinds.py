"""Kinds of dimensions follow from what they do to a network."""

from __future__ import annotations

from torch import nn

from automl import elastic
from automl.space import Categorical, Ordinal
from automl.supernet import Supernet


def test_kinds_are_found_whatever_the_dimensions_are_called():
    network = nn.Module()
    network.a, network.b, network.c, network.d = Ordinal(2, 4, 6), Ordinal(3, 5), Ordinal(0, 1, 2), Ordinal(1, 3)
    network.rate = Ordinal(0.1, 0.3)
    network.layers = nn.Sequential(
        elastic.Conv2d(3, network.a, network.b),
        elastic.Repeat([elastic.Conv2d(network.a, network.a, 1) for _ in range(2)], network.c),
        elastic.Choice({"x": nn.Identity(), "y": elastic.Conv2d(network.a, network.a * network.d, 1)}),
        elastic.Dropout(network.rate),
    )
    supernet = Supernet(network)
    before = supernet.active
    assert dict(supernet.kinds) == {
        "a": "width",
        "b": "other",
        "c": "depth",
        "d": "width",
        "rate": "other",
        "layers.2.choice": "other",
    }
    assert supernet.active == before


def test_a_module_that_may_be_left_out_is_a_depth():
    skip = elastic.Skip(elastic.Linear(4, 4))
    assert dict(Supernet(nn.Sequential(skip)).kinds) == {"0.keep": "depth"}


def test_a_categorical_dimension_has_no_order_whatever_it_guards():
    choice = Categorical("x", "y")
    network = elastic.Choice({"x": nn.Identity(), "y": elastic.Linear(3, 3)}, choice=choice)
    assert dict(Supernet(network).kinds) == {"choice": "other"}
