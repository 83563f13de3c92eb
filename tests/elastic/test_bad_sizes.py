"""Sizes that cannot work are refused when a layer is built."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from automl import elastic
from automl.errors import SpaceError
from automl.space import Categorical, Ordinal

WIDTH = Ordinal(4, 6)
CASES = [
    (lambda: elastic.Linear(0, 3), "Linear: in_features: 0 can be 0; expected at least 1."),
    (lambda: elastic.Linear(3, Ordinal(0, 2)), "Linear: out_features: Ordinal(0, 2) can be 0; expected at least 1."),
    (lambda: elastic.Linear(3, 2.5), "Linear: out_features: expected a whole number or a size, got 2.5."),
    (lambda: elastic.Linear(True, 2), "Linear: in_features: expected a whole number or a size, got True."),
    (lambda: elastic.Linear(3, Categorical(2, 4)), "got Categorical(2, 4)."),
    (
        lambda: elastic.Linear(3, Ordinal(3, 5, 6) * 0.5),
        "Linear: out_features: (Ordinal(3, 5, 6) * 0.5) is 1.5, not a whole number of units; use .rounded(multiple).",
    ),
    (lambda: elastic.Conv2d(3, 2, Ordinal(2, 3)), "Conv2d: kernel_size: [2, 3] mixes odd and even sizes"),
    (
        lambda: elastic.Conv2d(3, 2, (3, 3, 3)),
        "Conv2d: kernel_size: (3, 3, 3) gives 3 sizes; expected one, or one for each",
    ),
    (lambda: elastic.Conv1d(3, 2, 3, stride=0), "Conv1d: stride: 0 can be 0; expected at least 1."),
    (lambda: elastic.Conv1d(3, 2, 3, padding=-1), "Conv1d: padding: -1 can be -1; expected at least 0."),
    (lambda: elastic.Conv3d(3, 2, 3, dilation=0), "Conv3d: dilation: 0 can be 0"),
    (
        lambda: elastic.Conv2d(WIDTH, 12, 3, groups=4),
        "Conv2d: in_channels: Ordinal(4, 6) can be 6, which 4 = 4 does not divide.",
    ),
    (lambda: elastic.Conv2d(12, WIDTH, 3, groups=4), "Conv2d: out_channels: Ordinal(4, 6) can be 6"),
    (lambda: elastic.Conv2d(WIDTH, 9, 3, depthwise=True), "Conv2d: out_channels: 9 can be 9, which Ordinal(4, 6) = 4"),
    (lambda: elastic.Conv2d(4, 4, 3, groups=2, depthwise=True), "drop groups=2"),
    (lambda: elastic.ConvTranspose2d(3, 2, 2), "kernel (2, 2) with stride (1, 1) and dilation (1, 1) needs the output"),
    (lambda: elastic.ConvTranspose2d(3, 2, 2, stride=2, output_padding=1), "output_padding=(1, 1) needs a padding"),
    (lambda: elastic.BatchNorm2d(0), "BatchNorm2d: num_features: 0 can be 0"),
    (lambda: elastic.LayerNorm(-3), "LayerNorm: normalized_shape: -3 can be -3"),
    (lambda: elastic.RMSNorm("4"), "RMSNorm: normalized_shape: expected a whole number or a size, got '4'."),
    (
        lambda: elastic.GroupNorm(3, WIDTH),
        "GroupNorm: num_channels: Ordinal(4, 6) can be 4, which 3 = 3 does not divide.",
    ),
    (lambda: elastic.Embedding(Ordinal(2, 4), 3, padding_idx=2), "padding_idx=2 is no entry under every setting"),
    (lambda: elastic.MultiheadAttention(4, 2, head_dim=0), "head_dim is 0"),
    (
        lambda: elastic.MultiheadAttention(4, Ordinal(0, 2), head_dim=3),
        "MultiheadAttention: heads: Ordinal(0, 2) can be 0",
    ),
    (lambda: elastic.MultiheadAttention(4, 2, head_dim=3, dropout=1.0), "dropout 1.0 leaves the interval [0, 1)"),
    (lambda: elastic.Dropout(1.0), "Dropout: rate 1.0 leaves the interval [0, 1)."),
    (lambda: elastic.Dropout("0.1"), "Dropout: rate must be a number or an Ordinal, got '0.1'."),
    (lambda: elastic.Choice({}), "at least one candidate"),
    (lambda: elastic.Choice({"a.b": nn.Identity(), "a_b": nn.ReLU()}), "the candidate name 'a_b' is taken"),
    (lambda: elastic.Choice({"forward": nn.Identity()}), "the candidate name 'forward' is taken"),
    (lambda: elastic.Choice({"": nn.Identity()}), "the candidate name '' is taken or cannot be used"),
    (
        lambda: elastic.Choice({"a": nn.Identity()}, choice=Categorical("a", "b")),
        "the shared dimension offers ['a', 'b'], the candidates are ['a']",
    ),
    (lambda: elastic.Repeat([nn.ReLU()], 2), "Repeat: depth 2 reaches 2, but there are 1 modules."),
    (lambda: elastic.Repeat([nn.ReLU()] * 3, Ordinal(1, 2)), "reaches 2, but there are 3 modules"),
    (lambda: elastic.Repeat([nn.ReLU()] * 4, Ordinal(1, 2) * Ordinal(1, 2)), "depends on several dimensions"),
    (lambda: elastic.Skip(nn.ReLU(), keep=Ordinal(0, 2)), "keep must be Ordinal(0, 1), got Ordinal(0, 2)"),
    (lambda: elastic.Concat([]), "at least one source"),
    (lambda: elastic.Concat([3, Ordinal(0, 2)]), "Concat: widths: Ordinal(0, 2) can be 0"),
]


@pytest.mark.parametrize(("build", "message"), CASES, ids=[message[:40] for _, message in CASES])
def test_bad_sizes_are_refused_with_their_value(build, message):
    with pytest.raises(SpaceError, match=re.escape(message)):
        build()


def test_checks_leave_dimensions_as_they_were():
    width, kernel = Ordinal(4, 8, 12), Ordinal(3, 5, 7)
    width.value, kernel.value = 8, 5
    elastic.Conv2d(width, width, kernel, groups=width // 4)
    assert (width.value, kernel.value) == (8, 5)


@pytest.mark.parametrize("order", [(0, 0, 1, 2), (0, 4, 1, 2), (0,)])
def test_indices_that_are_no_selection_are_refused(picked, order):
    width = Ordinal(2, 4)
    layer = elastic.Linear(3, picked(width, order))
    width.value = 2
    with pytest.raises(SpaceError, match="expected 2 different ones below 4"):
        layer(torch.randn(1, 3))
