"""Multiply-accumulates against counts made by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.objectives import Candidate, Macs, count_macs

B, H, W = 1, 9, 7


class _Attention(nn.Module):
    """Scaled dot-product attention of its input with itself; ``groups`` heads share keys and values."""

    def __init__(self, heads: int, groups: int = 1) -> None:
        super().__init__()
        self.heads, self.groups = heads, groups

    def forward(self, x: Tensor) -> Tensor:
        query = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key = query[:, :: self.groups]
        return F.scaled_dot_product_attention(query, key, key, enable_gqa=self.groups > 1)


@pytest.mark.parametrize(
    ("model", "shape", "macs"),
    [
        (nn.Linear(11, 5), (B, 11), 11 * 5),
        (nn.Linear(11, 5, bias=False), (B, 3, 11), 3 * 11 * 5),
        (nn.Conv2d(3, 8, 3, padding=1), (B, 3, H, W), H * W * 3 * 8 * 9),
        (nn.Conv2d(3, 8, (3, 5), stride=2, padding=(1, 2)), (B, 3, H, W), 5 * 4 * 3 * 8 * 15),
        (nn.Conv2d(6, 6, 5, padding=2, groups=6), (B, 6, H, W), H * W * 6 * 25),
        (nn.Conv2d(6, 10, 3, padding=1, groups=2), (B, 6, H, W), H * W * 3 * 10 * 9),
        (nn.Conv1d(4, 6, 3), (B, 4, 10), 8 * 4 * 6 * 3),
        (nn.Conv3d(2, 3, 2), (B, 2, 3, 4, 5), 2 * 3 * 4 * 2 * 3 * 8),
        (nn.ConvTranspose2d(3, 5, 2, stride=2), (B, 3, H, W), H * W * 3 * 5 * 4),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.AvgPool2d(3)), (B, 3, H, W), 0),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(4 * H * W, 10)), (B, 3, H, W), H * W * (12 + 40)),
        # each head: scores 13 x 13 x 4, weighted sum 13 x 13 x 4
        (_Attention(heads=3), (B, 13, 12), 3 * 2 * 13 * 13 * 4),
        (_Attention(heads=4, groups=2), (B, 13, 12), 4 * 2 * 13 * 13 * 3),
        # gates of an LSTM: 4 x 5 outputs from 12 inputs and 5 states, for each of 13 steps
        (nn.LSTM(12, 5, batch_first=True), (B, 13, 12), 13 * 4 * 5 * (12 + 5)),
        (nn.LSTM(12, 5, bidirectional=True, batch_first=True), (B, 13, 12), 2 * 13 * 4 * 5 * (12 + 5)),
        (nn.GRU(12, 5, batch_first=True), (B, 13, 12), 13 * 3 * 5 * (12 + 5)),
        # projections to query, key, value and back, attention, and the two layers of the feed-forward part
        (
            nn.TransformerEncoderLayer(12, 4, 20, batch_first=True),
            (B, 13, 12),
            4 * 13 * 12 * 12 + 2 * 13 * 13 * 12 + 2 * 13 * 12 * 20,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_layers_count_as_by_hand(model: nn.Module, shape: tuple[int, ...], macs: int) -> None:
    assert count_macs(model.eval(), (torch.randn(shape),)) == macs


def test_vectors_and_bilinear_forms_count() -> None:
    class Forms(nn.Module):
        def forward(self, matrix: Tensor, vector: Tensor) -> Tensor:
            return torch.dot(matrix @ vector, torch.addmv(vector[:5], matrix, vector))

    assert count_macs(Forms(), (torch.randn(5, 8), torch.randn(8))) == 5 * 8 + 5 * 8 + 5
    assert count_macs(nn.Bilinear(4, 6, 3), (torch.randn(2, 4), torch.randn(2, 6))) == 2 * 3 * (4 * 6 + 6)


def test_the_objective_counts_one_sample(candidate: Callable[..., Candidate]) -> None:
    assert Macs().measure(candidate()).value == 64 * 7 + 7 * 10


def test_counting_leaves_the_attention_switch_alone() -> None:
    assert torch.backends.mha.get_fastpath_enabled()
    count_macs(nn.Linear(2, 3), (torch.zeros(1, 2),))
    assert torch.backends.mha.get_fastpath_enabled()
