"""Prediction of the memory of training steps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from automl import elastic
from automl.job.step_memory import extrapolate, predict_families, step_bytes, weight_bytes
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.tasks import Batch, StepSample, StepScale, Task
from automl.testing.toy_task import ToyTask
from automl.training import Sandwich, TrainingConfig

_SIZES = [(230, 760), (460, 810), (460, 1530), (920, 3070)]
_COSTS = st.integers(0, 10_000)


@given(fixed=_COSTS, nodes=_COSTS, edges=_COSTS)
def test_a_peak_linear_in_nodes_and_edges_is_predicted_exactly(fixed: int, nodes: int, edges: int) -> None:
    peaks = [1 + fixed + nodes * n + edges * e for n, e in _SIZES]
    truth = 1 + fixed + nodes * 100_000 + edges * 1_000_000
    assert extrapolate(_SIZES, peaks, (100_000, 1_000_000)) == pytest.approx(truth, rel=1e-3, abs=2)


def test_a_peak_that_grows_with_all_pairs_of_nodes_is_noticed() -> None:
    peaks = [1000 + 8 * n * n + 16 * e for n, e in _SIZES]
    assert extrapolate(_SIZES, peaks, (100_000, 1_000_000)) == pytest.approx(8e10, rel=0.1)


def test_a_thinner_step_is_not_taken_for_a_bend() -> None:
    # a constant phase outweighs the smallest step, so an exact fit of four columns would need a square
    peaks = [max(5000, 8 * n + 4 * e) for n, e in _SIZES]
    assert extrapolate(_SIZES, peaks, (100_000, 400_000)) == pytest.approx(2_400_000, rel=0.5)


def test_a_step_that_was_measured_whole_is_not_extrapolated() -> None:
    assert extrapolate([(7, 9)], [1234], (7, 9)) == 1234


def test_training_holds_weights_gradients_two_moments_and_an_average() -> None:
    layer = nn.Linear(3, 5, bias=False)
    assert weight_bytes(layer, TrainingConfig(ema=0.9)) == 5 * 15 * 4
    assert weight_bytes(layer, TrainingConfig(optimiser="sgd", momentum=0.0, ema=0.0)) == 2 * 15 * 4


class _Toy(nn.Module):
    """A narrow and a wide family in two blocks."""

    def __init__(self) -> None:
        super().__init__()
        wide = [nn.Sequential(elastic.Linear(6, Ordinal(50, 400)), nn.ReLU()) for _ in range(2)]
        for block in wide:
            block.append(elastic.Linear(block[0].out_features, 6))
        self.blocks = nn.ModuleList(elastic.Choice({"narrow": nn.Linear(6, 6), "wide": block}) for block in wide)
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)  # type: ignore[no-any-return]


def _build(task: Task) -> Supernet:
    raise AssertionError("no sample of these tests brings a task")


def test_families_are_predicted_as_they_are_measured_alone() -> None:
    task, config = ToyTask(0), TrainingConfig()
    rows = [torch.randn(n, 6) for n in (4, 9, 16, 500)]
    batches = [Batch((x, torch.zeros(len(x), dtype=torch.long)), torch.arange(len(x)) % 3) for x in rows]
    scale = StepScale(("samples",), (500,), 0, tuple(StepSample((len(b.target),), b) for b in batches[:3]))
    torch.manual_seed(3)
    supernet = Supernet(_Toy())
    before = list(supernet.state_dict())
    found = predict_families(supernet, task, config, strategy=Sandwich(), scale=scale, seed=0, build=_build)
    assert list(found) == ["narrow", "wide"]
    assert list(supernet.state_dict()) == before
    for family, memory in found.items():
        alone = Supernet(_Toy(), only={"blocks.0.choice": [family], "blocks.1.choice": [family]})
        real = step_bytes(alone, task, batches[3], strategy=Sandwich(), seed=0) + weight_bytes(alone, config)
        assert memory.predicted == pytest.approx(real, rel=0.1)
    assert found["wide"].predicted > 3 * found["narrow"].predicted  # type: ignore[operator]


def test_a_family_that_fails_has_no_prediction_but_a_reason() -> None:
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no such kernel\nsecond line")

    class Network(_Toy):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([elastic.Choice({"sound": nn.Linear(6, 6), "broken": Broken()})])

    task = ToyTask(0)
    batch = Batch((torch.randn(5, 6), torch.zeros(5, dtype=torch.long)), torch.arange(5) % 3)
    scale = StepScale(("samples",), (5,), 0, (StepSample((5,), batch),))
    found = predict_families(
        Supernet(Network()), task, TrainingConfig(), strategy=Sandwich(), scale=scale, seed=0, build=_build
    )
    assert found["broken"].predicted is None
    assert found["broken"].failure == "RuntimeError: no such kernel"
    assert found["sound"].predicted is not None
