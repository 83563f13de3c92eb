"""Metrics of classification against counting by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from automl.tasks import Batch, evaluate_classifier
from automl.tasks.ranking import auc_error


class Table(nn.Module):
    """Looks its logits up, so that every answer is known."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("logits", logits)
        self.drop = nn.Dropout(0.9)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.drop(self.logits[rows])


def _case() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(23, 4, generator=generator, dtype=torch.float64).float()
    return logits, torch.randint(0, 4, (23,), generator=generator)


def test_error_balanced_error_and_loss_are_counted_over_samples_not_batches():
    logits, target = _case()
    batches = [Batch((torch.arange(a, b),), target[a:b]) for a, b in ((0, 11), (11, 13), (13, 23))]
    found = evaluate_classifier(Table(logits), batches, 4)
    wrong = logits.argmax(1) != target
    assert found["error"] == pytest.approx(wrong.float().mean().item(), abs=1e-6)
    per_class = [wrong[target == c].float().mean().item() for c in range(4)]
    assert found["balanced-error"] == pytest.approx(sum(per_class) / 4, abs=1e-6)
    by_hand = -torch.log_softmax(logits.double(), 1)[torch.arange(23), target].mean().item()
    assert found["loss"] == pytest.approx(by_hand, abs=1e-5)


def test_auc_error_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    logits, target = _case()
    found = evaluate_classifier(Table(logits), [Batch((torch.arange(23),), target)], 4)
    expected = roc_auc_score(target, torch.softmax(logits, 1), multi_class="ovr", average="macro")
    assert found["auc-error"] == pytest.approx(1 - expected, abs=1e-12)
    logits, target = logits[:, :2], target % 2
    logits[4] = logits[9]  # a tie
    assert auc_error(logits, target) == pytest.approx(1 - roc_auc_score(target, logits[:, 1] - logits[:, 0]), abs=1e-12)


def test_auc_error_of_a_constant_answer_is_a_half_and_absent_classes_do_not_count():
    target = torch.tensor([0, 0, 0, 2, 0])
    assert auc_error(torch.ones(5, 3), target) == 0.5
    assert auc_error(torch.eye(3)[target] * 9, target) == 0.0
    assert math.isnan(auc_error(torch.ones(5, 3), torch.zeros(5, dtype=torch.int64)))


def test_only_indexed_rows_count():
    logits, target = _case()
    index = torch.tensor([20, 3, 8])
    found = evaluate_classifier(Table(logits), [Batch((torch.arange(23),), target[index], index)], 4)
    assert found["error"] == pytest.approx((logits.argmax(1) != target)[index].float().mean().item(), abs=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_outputs_that_are_not_finite_give_nan(value):
    logits, target = _case()
    logits[17, 2] = value
    found = evaluate_classifier(Table(logits), [Batch((torch.arange(23),), target)], 4)
    assert all(math.isnan(number) for number in found.values())


def test_every_module_gets_its_own_mode_back():
    logits, target = _case()
    model = Table(logits).train()
    frozen = nn.Sequential(model, nn.BatchNorm1d(4)).train()
    frozen[1].eval()
    before = [module.training for module in frozen.modules()]
    state = {name: tensor.clone() for name, tensor in frozen.state_dict().items()}
    evaluate_classifier(frozen, [Batch((torch.arange(23),), target)], 4)
    assert [module.training for module in frozen.modules()] == before
    assert all(torch.equal(tensor, state[name]) for name, tensor in frozen.state_dict().items())
