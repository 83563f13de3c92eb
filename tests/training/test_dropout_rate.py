"""One rate for all dropout layers, for the length of a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from automl import elastic
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.tasks.task import Task
from automl.training import SinglePath, TrainingConfig, train
from automl.training.dropout_rate import dropout_rate


def test_rates_are_replaced_for_a_while_but_for_those_that_are_zero_or_searched() -> None:
    searched = elastic.Dropout(Ordinal(0.1, 0.3))
    network = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.0), nn.Sequential(nn.Dropout2d(0.2)), searched)
    with dropout_rate(network, 0.8):
        assert [network[0].p, network[1].p, network[2][0].p, searched.rate.value] == [0.8, 0.0, 0.8, 0.3]
    assert [network[0].p, network[1].p, network[2][0].p] == [0.5, 0.0, 0.2]
    with dropout_rate(network, None):
        assert network[0].p == 0.5


class _Seen(nn.Dropout):
    """Notes its rate in each pass of training."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            RATES.append(self.p)
        return super().forward(x)


RATES: list[float] = []


def test_a_training_runs_with_the_rate_of_its_settings_and_gives_it_back(
    tmp_path: Path, new_task: Callable[[], Task]
) -> None:
    task = new_task()
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), _Seen(0.25), nn.Linear(5, task.outputs))
    supernet = Supernet(network)
    RATES.clear()
    config = TrainingConfig(epochs=1, dropout=0.6, warmup_epochs=0)
    train(supernet, task, config, strategy=SinglePath(), folder=tmp_path, seed=0, device="cpu")
    assert set(RATES) == {0.6}
    assert supernet.network[2].p == 0.25
