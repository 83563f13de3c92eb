"""Error and loss on held-out data, the shared forward, and values that are no numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.objectives import Candidate, Error, Loss, Objective, Params, Value
from automl.objectives.error import wilson_interval


class _Counting(nn.Module):
    """Calls a network and counts the samples it has seen."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.seen = network, 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return self.network(x)


def test_error_and_loss_are_those_of_the_validation_part(candidate: Callable[..., Candidate]) -> None:
    subject = candidate()
    batches = list(subject.task.batches("validation", 1000))
    (images,), target = batches[0].inputs, batches[0].target
    logits = subject.model(images)
    error, loss = Error().measure(subject), Loss().measure(subject)
    assert error.value == pytest.approx((logits.argmax(1) != target).float().mean().item())
    assert loss.value == pytest.approx(F.cross_entropy(logits, target).item(), rel=1e-5)
    assert error.low is not None
    assert error.high is not None
    assert 0 <= error.low <= error.value <= error.high <= 1
    assert error.context == {"part": "validation", "samples": len(target)}


def test_one_pass_over_the_data_serves_all_objectives(candidate: Callable[..., Candidate]) -> None:
    model = _Counting(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    subject = candidate(model, limit=50)
    Error().measure(subject)
    Loss().measure(subject)
    assert model.seen == 50 == subject.samples()
    assert subject.parts == ("validation",)


def test_wilson_interval_is_the_solution_of_its_equation() -> None:
    z = 1.959964
    for share, samples in ((0.03, 359), (0.5, 7), (0.98, 40)):
        for end in wilson_interval(share, samples):
            assert abs(share - end) == pytest.approx(z * math.sqrt(end * (1 - end) / samples), rel=1e-6)
    assert wilson_interval(0.0, 100)[0] == 0.0
    assert wilson_interval(1.0, 100)[1] == 1.0


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_value_is_a_finite_number(number: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        Value(number)


def test_a_network_without_finite_outputs_fails_instead_of_scoring(candidate: Callable[..., Candidate]) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with torch.no_grad():
        model[1].bias[3] = math.nan
    results = Error().measure_group([candidate(model), candidate()])
    assert isinstance(results[0], ValueError)
    assert isinstance(results[1], Value)


def test_one_failing_candidate_does_not_touch_the_others(candidate: Callable[..., Candidate]) -> None:
    class Fragile(Objective):
        name = "fragile"

        def measure(self, candidate: Candidate) -> Value:
            if isinstance(candidate.model, nn.Identity):
                raise MemoryError("no room")
            return Value(1.5)

    results = Fragile().measure_group([candidate(), candidate(nn.Identity()), candidate()])
    assert [type(result) for result in results] == [Value, MemoryError, Value]
    assert Params().measure_group([]) == []
