"""Which subnetworks a step trains, and the gradients it leaves."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from automl.errors import ConfigError
from automl.supernet import Supernet
from automl.training import Sandwich, SinglePath


def test_single_path_trains_one_subnetwork_and_reaches_all_of_them(spy):
    case, seen = spy(), set()
    for _ in range(60):
        case.ran.clear()
        SinglePath().step(case.context)
        assert len(case.ran) == 1
        seen.add(case.ran[0])
    assert len(seen) == case.supernet.space.size()


def test_single_path_leaves_the_gradient_of_the_smoothed_loss(spy):
    case = spy()
    losses = SinglePath().step(case.context)
    found = case.gradients()
    case.supernet.zero_grad()
    case.supernet.activate(case.ran[0])
    loss = F.cross_entropy(case.supernet(*case.batch.inputs), case.batch.target, label_smoothing=0.1)
    loss.backward()
    assert losses["loss"] == pytest.approx(loss.item(), abs=1e-12)
    for mine, theirs in zip(found, case.gradients(), strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-12)


def test_sandwich_runs_the_largest_then_the_smallest_then_random_ones(spy):
    case = spy(seed=4)
    Sandwich(random=3).step(case.context)
    assert case.ran[0] == case.context.largest
    assert case.ran[1] == case.context.smallest
    assert 3 <= len(case.ran) <= 5


def test_sandwich_does_not_teach_the_largest_to_itself(spy):
    for seed in range(20):
        case = spy(seed=seed)
        Sandwich(random=4).step(case.context)
        assert case.ran.count(case.context.largest) == 1


@pytest.mark.parametrize("distillation", [True, False])
def test_sandwich_leaves_the_mean_gradient_of_all_its_subnetworks(distillation, spy):
    case = spy(seed=1)
    losses = Sandwich(random=2, distillation=distillation).step(case.context)
    found, ran = case.gradients(), list(case.ran)
    case.supernet.zero_grad()

    case.supernet.activate(ran[0])
    outputs = case.supernet(*case.batch.inputs)
    soft = outputs.detach().softmax(-1)
    terms = [F.cross_entropy(outputs, case.batch.target, label_smoothing=0.1)]
    terms[0].backward()
    for architecture in ran[1:]:
        case.supernet.activate(architecture)
        outputs = case.supernet(*case.batch.inputs)
        if distillation:
            term = -(soft * outputs.log_softmax(-1)).sum(-1).mean()
        else:
            term = F.cross_entropy(outputs, case.batch.target, label_smoothing=0.1)
        term.backward()
        terms.append(term)
    assert losses["loss"] == pytest.approx(terms[0].item(), abs=1e-6)
    assert losses["smallest"] == pytest.approx(terms[1].item(), abs=1e-6)
    assert losses["mean"] == pytest.approx(sum(t.item() for t in terms) / len(terms), abs=1e-6)
    for mine, theirs in zip(found, case.gradients(), strict=True):
        assert torch.allclose(mine, theirs / len(terms), rtol=0, atol=1e-6)


def test_no_gradient_flows_back_through_the_teacher(spy):
    case = spy()
    case.supernet.activate(case.context.largest)
    teacher = case.supernet(*case.batch.inputs)
    student = case.context.forward(case.context.smallest)
    loss = case.context.distillation_loss(student, teacher)
    (through,) = torch.autograd.grad(loss, [teacher], allow_unused=True)
    assert through is None


def test_sandwich_works_on_a_space_of_one_architecture(spy, new_supernet):
    wide = new_supernet(dropout=0.0)
    only = {name: [dimension.choices[-1]] for name, dimension in wide.space.dimensions.items()}
    case = spy(supernet=Supernet(wide.network, only=only))
    losses = Sandwich(random=0).step(case.context)
    assert losses["loss"] == losses["smallest"] == losses["mean"]
    assert case.ran == [case.context.largest]


def test_same_generator_same_choices(spy):
    runs = []
    for seed in (7, 7, 8):
        case = spy(seed=seed)
        for _ in range(6):
            Sandwich(random=2).step(case.context)
        runs.append(case.ran)
    assert runs[0] == runs[1] != runs[2]


def test_negative_number_of_random_subnetworks_is_refused():
    with pytest.raises(ConfigError, match=r"random: -1 is not valid"):
        Sandwich(random=-1)
