"""Parameters, size and peak memory against counts made by hand."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from automl.objectives import Candidate, Params, PeakMemory, Size, count_params, peak_bytes, state_bytes

FLOAT = 4


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.ones(3), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def test_shared_weights_count_once() -> None:
    assert count_params(_Tied()) == 25
    assert state_bytes(_Tied()) == (25 + 3) * FLOAT


def test_size_holds_what_inference_needs_in_its_dtype() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Linear(4, 2).double())
    assert count_params(model) == 108 + 8 + 10
    assert state_bytes(model) == (108 + 4 * 4) * FLOAT + 10 * 8  # no batch counter


def test_objectives_report_them(candidate: Callable[..., Candidate]) -> None:
    params = 64 * 7 + 7 + 7 * 10 + 10
    assert Params().measure(candidate()).value == params
    assert Size().measure(candidate()).value == FLOAT * params
    assert PeakMemory().measure(candidate()).value == FLOAT * (params + 64 + 7 + 10)  # flattening is a view


def _chain(*widths: int) -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(widths)))


@pytest.mark.parametrize(
    ("widths", "activations"),
    [
        ((12, 100, 50, 3), 12 + 100 + 50),  # the caller keeps the input; two neighbours are alive at a time
        ((12, 20, 90, 80, 3), 12 + 90 + 80),
        ((200, 10, 3), 200 + 10 + 3),
    ],
)
def test_a_chain_needs_its_widest_neighbours(widths: tuple[int, ...], activations: int) -> None:
    model = _chain(*widths)
    assert peak_bytes(model, (torch.zeros(1, widths[0]),)) == FLOAT * (count_params(model) + activations)


class _Residual(nn.Module):
    def __init__(self, keep: bool) -> None:
        super().__init__()
        self.first, self.second, self.keep = nn.Linear(8, 30), nn.Linear(30, 30), keep

    def forward(self, x: Tensor) -> Tensor:
        skip = self.first(x)
        y = self.second(skip)
        y = y.relu_() if self.keep else y.relu()
        return skip + y if self.keep else y


def test_a_skip_connection_keeps_its_start_alive() -> None:
    held, dropped = _Residual(keep=True), _Residual(keep=False)
    x = torch.zeros(1, 8)
    # skip, y (changed in place) and their sum
    assert peak_bytes(held, (x,)) == FLOAT * (count_params(held) + 8 + 3 * 30)
    # the local name still holds the start, beside y and its activation
    assert peak_bytes(dropped, (x,)) == FLOAT * (count_params(dropped) + 8 + 3 * 30)


def test_views_cost_nothing() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Unflatten(1, (5, 4)), nn.Flatten())
    assert peak_bytes(model, (torch.zeros(1, 4, 5),)) == FLOAT * 20


def test_peak_memory_is_the_same_each_time_and_leaves_no_tracker() -> None:
    model = nn.TransformerEncoderLayer(12, 4, 20, batch_first=True).eval()
    x = torch.randn(1, 13, 12)
    peaks = {peak_bytes(model, (x,)) for _ in range(3)}
    gc.collect()
    assert len(peaks) == 1
    # the widest moment needs at least input, skip and the hidden layer of the feed-forward part
    assert min(peaks) >= state_bytes(model) + FLOAT * 13 * (12 + 12 + 20)
