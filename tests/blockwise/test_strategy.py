"""Which weights a step of block-wise training reaches, what it keeps, and that an interruption changes nothing."""

from __future__ import annotations

import pytest
import torch

from automl import elastic
from automl.blockwise import Blockwise
from automl.blockwise.siamese import Siamese
from automl.blockwise.stage_run import searched_stages
from automl.errors import ConfigError
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.training import train


class Killed(BaseException):
    """Stands for the end of the process."""


class KillAfter:
    def __init__(self, steps: int) -> None:
        self.left = steps

    def start(self, total: int, completed: int) -> None: ...

    def advance(self, steps: int = 1) -> None:
        self.left -= steps
        if not self.left:
            raise Killed

    def epoch_ended(self, record) -> None: ...


def reached(module: torch.nn.Module) -> set[str]:
    return {name for name, p in module.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("progress", "parts"), [(0.1, ("stem.", "first.")), (0.5, ("second.",)), (0.9, ("head.",))], ids=str
)
def test_gradient_reaches_one_stage_or_the_head_and_never_the_twin(
    progress, parts, strategy, config, context, new_supernet
):
    supernet = new_supernet()
    strategy.prepare(supernet, config)
    strategy.step(context(supernet, progress))
    found = reached(supernet.network)
    assert found
    assert all(name.startswith(parts) for name in found)
    assert {name.split(".")[0] + "." for name in found} == set(parts)
    assert not reached(supernet.companion.twin)
    assert not reached(supernet.companion.twin_projectors)


def test_the_twin_starts_equal_and_momentum_1_freezes_it(strategy, config, new_supernet):
    supernet = new_supernet()
    strategy.prepare(supernet, config)
    siamese = supernet.companion
    pairs = [(supernet.network, siamese.twin), (siamese.projectors, siamese.twin_projectors)]
    for online, twin in pairs:
        for a, b in zip(online.parameters(), twin.parameters(), strict=True):
            assert torch.equal(a, b)
            assert a.data_ptr() != b.data_ptr()
    stages, twins = searched_stages(supernet.network), searched_stages(siamese.twin)
    before = supernet.network.stem.weight.detach().clone()
    with torch.no_grad():
        supernet.network.stem.weight += 1
    siamese.follow(0, stages[0], twins[0], 1.0)
    assert torch.equal(siamese.twin.stem.weight, before)
    siamese.follow(0, stages[0], twins[0], 0.75)
    torch.testing.assert_close(siamese.twin.stem.weight, before + 0.25)


def test_one_path_is_bootstrapped_from_itself(config, context, new_supernet):
    """With P = 1 the loss is BYOL's on this path, computed here by hand."""
    supernet, strategy = new_supernet(), Blockwise(paths=1, hidden=16, projection=8)
    strategy.prepare(supernet, config)
    loss = strategy.step(context(supernet, 0.0))["loss"]
    other, siamese = new_supernet(), supernet.companion
    byol = context(other, 0.0)
    architecture = supernet.active
    byol.rng.permutation(3), byol.rng.permutation(3)  # the draw of the path
    byol.rng.random((1, 4))
    views = (byol.augmented().batch.inputs[0], byol.augmented().batch.inputs[0])
    other.activate(architecture)
    features = [other.network.first(torch.relu(other.network.stem(v))).mean((2, 3)) for v in views]
    z = [siamese.projectors[0](f) for f in features]
    q = [siamese.predictors[0](p) for p in z]
    by_hand = sum(2 - 2 * torch.cosine_similarity(a, b, dim=-1).mean() for a, b in ((q[0], z[1]), (q[1], z[0])))
    assert loss == pytest.approx(by_hand.item(), abs=1e-5)


def test_training_a_stage_leaves_those_before_it_as_they_are_statistics_included(
    config, context, strategy, new_supernet
):
    supernet = new_supernet()
    strategy.prepare(supernet, config)
    optimiser = torch.optim.AdamW(supernet.parameters(), lr=0.1)
    strategy.step(context(supernet, 0.5))  # rates the first stage
    before = {n: t.clone() for n, t in supernet.network.state_dict().items()}
    for seed in range(3):
        optimiser.zero_grad(set_to_none=True)
        strategy.step(context(supernet, 0.5, seed))
        optimiser.step()
    changed = {n for n, t in supernet.network.state_dict().items() if not torch.equal(t, before[n])}
    assert changed
    assert all(name.startswith("second.") for name in changed)


def test_the_best_path_is_kept_with_the_supernet_and_stays(config, context, strategy, tmp_path, new_supernet):
    supernet = new_supernet()
    strategy.prepare(supernet, config)
    strategy.step(context(supernet, 0.1))
    assert int(supernet.companion.chosen) == 0
    strategy.step(context(supernet, 0.5))
    best = supernet.companion.best[0].clone()
    assert int(supernet.companion.chosen) == 1
    assert (best >= 0).any()
    strategy.step(context(supernet, 0.6, seed=5))
    assert torch.equal(supernet.companion.best[0], best)
    supernet.save(tmp_path / "supernet.safetensors")
    loaded = new_supernet(seed=9)
    strategy.prepare(loaded, config)
    loaded.load(tmp_path / "supernet.safetensors")
    assert isinstance(loaded.companion, Siamese)
    assert torch.equal(loaded.companion.best[0], best)


@pytest.mark.parametrize("steps", [3, 7, 9, 14], ids=str)  # in both stages and in the head
def test_a_killed_training_ends_with_the_same_bits(steps, strategy, config, tmp_path, new_supernet, new_task):
    supernets, histories = [], []
    for folder, kill in (("whole", None), ("killed", steps)):
        (tmp_path / folder).mkdir()
        given = {"strategy": strategy, "folder": tmp_path / folder, "seed": 3, "device": "cpu"}
        if kill:
            with pytest.raises(Killed):
                train(new_supernet(), new_task(), config, progress=KillAfter(kill), **given)
        supernet = new_supernet(seed=9 if kill else 0)
        histories.append(train(supernet, new_task(), config, **given))
        supernets.append(supernet.state_dict())
    assert [name for name in supernets[0] if not torch.equal(supernets[0][name], supernets[1][name])] == []
    assert [r["losses"] for r in histories[0]] == [r["losses"] for r in histories[1]]


def test_the_learning_rate_rises_and_falls_once_in_each_phase(strategy, config, new_supernet):
    supernet = new_supernet()
    strategy.prepare(supernet, config)
    found = {strategy.phase(supernet, p / 16) for p in range(16)}
    assert sorted(found) == [(0.0, 0.375), (0.375, 0.75), (0.75, 1.0)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paths": 0}, "paths: 0 is not valid: must be a whole number, from 1 to 64"),
        ({"head": 1}, "head: 1 is not valid"),
        ({"momentum": 1.5}, "momentum: 1.5 is not valid"),
        ({"projection": 1}, "projection: 1 is not valid"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        Blockwise(**options)
    assert message in str(caught.value)


@pytest.mark.parametrize("head", [0.0, 0.1, 0.25, 0.6])
def test_a_training_without_a_step_for_every_stage_and_the_head_is_refused(head, config, new_supernet):
    supernet, strategy = new_supernet(), Blockwise(head=head, hidden=16, projection=8)
    strategy.prepare(supernet, config)
    phases = 2 + (head > 0)
    accepted = 0
    for steps in range(1, 30):
        found = {strategy.phase(supernet, step / steps) for step in range(steps)}
        try:
            strategy.check_length(supernet, steps)
        except ConfigError:
            assert not accepted  # from some length on all are long enough
        else:
            accepted += 1
            assert len(found) == phases
    assert accepted
    with pytest.raises(ConfigError, match=r"the training has 1 steps.*raise training\.epochs"):
        strategy.check_length(supernet, 1)


def test_a_network_without_stages_is_refused(strategy, config):
    supernet = Supernet(elastic.Linear(3, Ordinal(4, 7)))
    with pytest.raises(ConfigError, match="Linear has no stages to train one after another; choose a space of slots"):
        strategy.prepare(supernet, config)


def test_one_held_out_sample_is_too_few(strategy, config, new_supernet):
    with pytest.raises(ConfigError, match=r"training\.validation_samples.*at least 2"):
        strategy.prepare(new_supernet(), config.model_copy(update={"validation_samples": 1}))
