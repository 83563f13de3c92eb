"""Progressive shrinking: what is open when, and what the subnetworks learn from."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from automl import elastic
from automl.errors import ConfigError
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.training import Progressive, TrainingConfig
from automl.training.progressive import opened_choices


def three_kinds() -> Supernet:
    """A kernel, a kind of block, a depth and a width, 16 pixels in a row to 3 logits."""
    width, kernel = Ordinal(2, 3, 5), Ordinal(1, 3)
    blocks = [nn.Sequential(elastic.Conv1d(width, width, kernel), nn.ReLU()) for _ in range(3)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = nn.Sequential(
            nn.Flatten(2),
            elastic.Conv1d(1, width, 1),
            elastic.Choice({"soft": nn.Tanh(), "hard": nn.ReLU()}),
            elastic.Repeat(blocks, Ordinal(1, 2, 3)),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            elastic.Linear(width, 3),
        )
    return Supernet(network)


def test_kinds_open_one_after_the_other_from_the_largest_choices_downwards():
    supernet = three_kinds()
    short = {name: name.rpartition(".")[2] for name in supernet.space.names}
    phases = [{short[n]: c for n, c in choices.items()} for choices in opened_choices(supernet)]
    kernel = {"kernel_size": (1, 3), "choice": ("soft", "hard")}
    assert phases == [
        {**kernel, "depth": (3,), "out_channels": (5,)},
        {**kernel, "depth": (2, 3), "out_channels": (5,)},
        {**kernel, "depth": (1, 2, 3), "out_channels": (5,)},
        {**kernel, "depth": (1, 2, 3), "out_channels": (3, 5)},
        {**kernel, "depth": (1, 2, 3), "out_channels": (2, 3, 5)},
    ]


def ran(spy, progress, steps=40, **options):
    case = spy(supernet=three_kinds(), progress=progress, samples=2)
    strategy = Progressive(**options)
    for _ in range(steps):
        strategy.step(case.context)
    return case, set(case.ran)


def test_at_first_the_largest_trains_alone(spy):
    for progress in (0.0, 0.24):
        case, seen = ran(spy, progress, steps=3)
        assert seen == {case.context.largest}


def test_draws_keep_to_what_is_open_and_reach_all_of_it(spy):
    moments = {0.25: 4, 0.41: 8, 0.56: 12, 0.71: 24, 0.86: 36, 0.999999: 36}
    for progress, architectures in moments.items():
        _, seen = ran(spy, progress, steps=15, random=12)
        assert len(seen) == architectures, progress


def test_without_a_first_phase_choices_open_at_once(spy):
    _, seen = ran(spy, 0.0, steps=10, first=0.0, random=4)
    assert len(seen) == 4


def test_the_phase_follows_from_the_progress_alone(spy):
    strategy = Progressive()
    for progress in (0.9, 0.1, 0.5):  # a strategy that went back or was loaded anew is in the same phase
        fresh, used = spy(supernet=three_kinds(), progress=progress), spy(supernet=three_kinds(), progress=progress)
        Progressive().step(fresh.context)
        strategy.step(used.context)
        assert fresh.ran == used.ran


@pytest.mark.parametrize("distillation", [0.0, 2.0])
def test_subnetworks_learn_from_targets_and_from_the_largest(distillation, spy):
    case = spy(supernet=three_kinds(), progress=0.9, seed=5)
    losses = Progressive(random=2, distillation=distillation).step(case.context)
    found, subnetworks = case.gradients(), list(case.ran)
    case.supernet.zero_grad()
    assert subnetworks[0] == case.context.largest
    case.supernet.activate(subnetworks[0])
    outputs = case.supernet(*case.batch.inputs)
    soft = outputs.detach().softmax(-1)
    terms = [F.cross_entropy(outputs, case.batch.target, label_smoothing=0.1)]
    for architecture in subnetworks[1:]:
        case.supernet.activate(architecture)
        outputs = case.supernet(*case.batch.inputs)
        hard = F.cross_entropy(outputs, case.batch.target, label_smoothing=0.1)
        taught = -(soft * outputs.log_softmax(-1)).sum(-1).mean()
        terms.append((hard + distillation * taught) / (1 + distillation))
    (sum(terms) / len(terms)).backward()
    assert losses["loss"] == pytest.approx(terms[0].item(), abs=1e-6)
    for mine, theirs in zip(found, case.gradients(), strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": 1}, "first: 1 is not valid: must be a number, at least 0 and below 1"),
        ({"first": -0.1}, "first: -0.1 is not valid"),
        ({"random": 0}, "random: 0 is not valid: must be a whole number, 1 or more"),
        ({"distillation": -1}, "distillation: -1 is not valid: must be a number of 0 or more"),
        ({"distillation": float("nan")}, "distillation: nan is not valid"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        Progressive(**options)
    assert message in str(caught.value)


def test_a_space_of_one_network_has_nothing_to_shrink():
    with pytest.raises(ConfigError, match="nothing to shrink"):
        Progressive().prepare(Supernet(nn.Linear(3, 2)), TrainingConfig())
