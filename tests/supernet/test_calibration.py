"""Batch-norm calibration: exact pooled statistics, untouched modes, early stop."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from automl.errors import AutomlError
from automl.supernet import calibrate, has_batch_norm


def _batches(sizes: list[int], *shape: int, seed: int = 0, shift: float = 5.0) -> list[tuple[torch.Tensor, ...]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(n, *shape, generator=generator, dtype=torch.float64) * (i + 1) + shift,)
        for i, n in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(3), (3,)),
        (nn.BatchNorm1d(3), (3, 5)),
        (nn.BatchNorm2d(3), (3, 5, 2)),
        (nn.BatchNorm3d(3), (3, 2, 4, 3)),
    ],
)
def test_statistics_are_those_of_all_samples_pooled(layer: nn.Module, shape: tuple[int, ...]) -> None:
    layer = layer.double()
    batches = _batches([7, 2, 11], *shape)
    report = calibrate(layer, batches, tolerance=0)
    pooled = torch.cat([b for (b,) in batches]).movedim(1, 0).flatten(1)
    torch.testing.assert_close(layer.running_mean, pooled.mean(1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.running_var, pooled.var(1), rtol=1e-12, atol=1e-12)
    assert (report.batches, report.samples, report.layers, report.settled) == (3, 20, 1, False)


def test_a_large_mean_does_not_cancel_the_variance() -> None:
    layer = nn.BatchNorm1d(2).double()
    batches = _batches([50, 50], 2, shift=1e8)
    calibrate(layer, batches, tolerance=0)
    torch.testing.assert_close(layer.running_var, torch.cat([b for (b,) in batches]).var(0), rtol=1e-6, atol=0)


def test_the_result_depends_on_weights_and_batches_only() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
    ).double()
    batches = _batches([4, 3], 2, 6, 5)
    calibrate(net, batches)
    first = {k: v.clone() for k, v in net.state_dict().items()}
    for module in net:
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(7.0)
            module.running_var.fill_(9.0)
    calibrate(net, batches)
    for key, value in net.state_dict().items():
        assert torch.equal(value, first[key]), key


def test_modes_counters_and_weights_are_kept() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)).double()
    net[1].eval()
    net[2].train()
    net[1].num_batches_tracked.fill_(5)
    before = {k: v.clone() for k, v in net.state_dict().items() if "running" not in k}
    modes = [m.training for m in net.modules()]
    calibrate(net, _batches([6, 6], 3))
    assert [m.training for m in net.modules()] == modes
    for key, value in before.items():
        assert torch.equal(net.state_dict()[key], value), key
    assert not any(m._forward_pre_hooks for m in net.modules())


def test_dropout_is_off_while_calibrating() -> None:
    net = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(3)).double().train()
    batches = _batches([40], 3)
    calibrate(net, batches)
    torch.testing.assert_close(net[1].running_mean, batches[0][0].mean(0))


def test_it_stops_once_the_statistics_have_settled() -> None:
    layer = nn.BatchNorm1d(2).double()
    same = _batches([64], 2) * 50
    report = calibrate(layer, same, tolerance=1e-3)
    assert report.settled
    assert report.batches < 10
    assert report.change <= 1e-3
    assert not calibrate(layer, _batches([8, 8, 8], 2), tolerance=1e-9).settled


def test_layers_that_a_forward_pass_does_not_reach_are_left_alone() -> None:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.BatchNorm1d(2).double(), nn.BatchNorm1d(2).double()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    net = Partly()
    net.unused.running_mean.fill_(3.0)
    assert calibrate(net, _batches([9], 2)).layers == 1
    assert (net.unused.running_mean == 3).all()


def test_nothing_to_calibrate_needs_no_batch_and_something_does() -> None:
    assert calibrate(nn.Linear(2, 2), []).layers == 0
    assert not has_batch_norm(nn.Sequential(nn.Linear(2, 2), nn.InstanceNorm1d(2, track_running_stats=True)))
    assert has_batch_norm(nn.Sequential(nn.BatchNorm2d(2)))
    with pytest.raises(AutomlError, match="no batch"):
        calibrate(nn.BatchNorm1d(2), [])


def test_an_interrupted_calibration_leaves_no_hook_and_no_mode_behind() -> None:
    net = nn.Sequential(nn.BatchNorm1d(2)).double().eval()
    with pytest.raises(RuntimeError):
        calibrate(net, _batches([4], 3))
    assert not net[0]._forward_pre_hooks
    assert not net[0].training
